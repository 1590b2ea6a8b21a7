"""The command line as a person and a script meet it, in this process, on a log whose host is a real one."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from apollo_process import Apollo, wait_for
from click.testing import CliRunner
from sse_server import server_process

from apollo_tui.cli import imports
from apollo_tui.cli.root import main
from sessions.host.client import HostDown

TASK = "---\ntitle: count\nlimits: {steps: 50}\n---\nCount to three.\n"


class Said(NamedTuple):
    code: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture(scope="module")
def apollo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apollo]:
    """A host with two sessions that wait for somebody to start them."""
    made = Apollo(tmp_path_factory.mktemp("cli"))
    (made.folder / "task.md").write_text(TASK)
    made.run("new", "task.md", "--model", "demo:steady", "--no-start")
    made.run("new", "task.md", "--model", "demo:steady", "--name", "[/b]\x1b]52;c;aGk=\x07\x1b[2Jtwo", "--no-start")
    yield made
    made.close()


@pytest.fixture
def cli(apollo: Apollo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    for name in list(os.environ):
        if name.startswith("APOLLO_"):
            monkeypatch.delenv(name)
    for name, value in apollo.env.items():
        monkeypatch.setenv(name, value)

    def run(*args: str, log: Path | None = None) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(["--log", str(log or apollo.log), *args])
        out, err = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, out, err)

    return run


def json_of(said: Said) -> Any:
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_what_prints_data_prints_objects_with_the_id_first(cli: Cli) -> None:
    (first, second) = json_of(cli("ls", "--json"))
    session = first["id"]
    shown = [
        first,
        second,
        json_of(cli("show", "1", "--json")),
        json_of(cli("host", "status", "--json")),
        *json_of(cli("doctor", "--json")),
        *json_of(cli("digest", "--json")),
        *json_of(cli("effort", "--json"))["sessions"],
        *(json.loads(line) for line in cli("log", "2", "--json").out.splitlines()),
        json_of(cli("advise", session[:20], "let it run", "--json")),
        json_of(cli("limit", session, "steps", "+5", "--json")),
        json_of(cli("note", "1", "mine", "--json")),
    ]
    assert {next(iter(each)) for each in shown} == {"id"}
    assert {first["number"], second["number"]} == {1, 2}


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("frobnicate",), 2, "there is no command 'frobnicate'"),
        (("lss",), 2, "did you mean 'ls'?"),
        (("show", "99"), 1, "'99': `apollo ls` lists them"),
        (("show", ""), 1, "no session is called ''"),
        (("show", "01"), 1, "2 sessions begin with 01"),
        (("show", "1", "--steps", "-1"), 2, "steps"),
        (("log", "1", "--kind", "nonsense"), 2, "no kind of event 'nonsense'"),
        (("advise", "1", " "), 2, "the advice is empty"),
        (("advise", "1", "x", "--about", "9"), 1, "no step 9"),
        (("advise", "1", "x", "--about", "next"), 2, "'next' is no target"),
        (("answer", "1", "yes"), 1, "asks nothing"),
        (("pause", "1"), 1, "nothing to pause"),
        (("interrupt", "1"), 1, "nothing to interrupt"),
        (("limit", "1", "steps", "-500"), 1, "cannot be -"),
        (("limit", "1", "steps", "1.5"), 1, "a whole number"),
        (("limit", "1", "money", "-5"), 1, "no limit of money"),
        (("limit", "1", "steps", "--many"), 2, "'--many' is no limit"),
        (("limit", "1", "steps"), 2, "say how much: steps 200"),
        (("limit", "1", "stops=200"), 2, "no limit of 'stops'; limits: steps, active_hours"),
        (("flag", "1", "1"), 1, "no step 1"),
        (("flag", "1", "1", "--good", "--unsure"), 2, "not both"),
        (("flag", "1", "3-1"), 2, "ends before it begins"),
        (("flag", "1", "1", "--label", "odd"), 2, "no label 'odd'"),
        (("flag", "1", "1", "--label", "zzzzzz"), 2, "labels: trail/hallucination, "),
        (("flag", "1", "1", "--label", "trail/instuction"), 2, "near: trail/instruction"),
        (("flag", "1", "1", "--label", "right-there-too"), 2, "add --good"),
        (("export", "--log", "x", "-o", "y"), 2, "--log stands before the command: apollo --log … export"),
        (("unflag", "1", "1"), 1, "no flag on 1 in this session; 'apollo log 1 --kind flag.set' lists all flags"),
        (("prompt", "1", "1"), 1, "no request of step 1"),
        (("prompt", "1", "S1"), 1, "no request of summary S1"),
        (("prompt", "1", "one"), 2, "'one' is no step"),
        (("export", "1"), 2, "Give --out FILE"),
        (("log", "1", "--last", "0"), 2, "--last"),
        (("signoff", "1", "up-to"), 2, "up-to 41"),
        (("digest", "--since", "soon"), 2, "'soon' is no time"),
        (("new", "nowhere.md", "--model", "demo:steady"), 2, "nowhere.md"),
        (("new", "{folder}/task.md", "--model", "nobody:x"), 1, "nobody"),
        (("import", "{folder}/task.md"), 1, "task.md"),
        (("export", "--out", "/proc/nowhere/x.jsonl"), 1, "/proc/nowhere"),
        (("export", "--out", "{folder}/x.jsonl", "--format", "odd"), 1, "odd"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_a_code(
    cli: Cli, apollo: Apollo, args: tuple[str, ...], code: int, says: str
) -> None:
    said = cli(*(word.replace("{folder}", str(apollo.folder)) for word in args))
    assert (said.code, said.out) == (code, "")
    assert says in said.err
    assert said.err.startswith("apollo: ")
    assert said.err.count("\n") == 1


def test_who_only_reads_starts_no_host(cli: Cli, apollo: Apollo, tmp_path: Path) -> None:
    log = tmp_path / "copy.sqlite"
    with closing(sqlite3.connect(apollo.log)) as here, closing(sqlite3.connect(log)) as there:
        here.backup(there)
    for args in (("ls",), ("show", "1"), ("log", "1"), ("digest",), ("doctor",), ("effort",)):
        assert cli(*args, log=log).code == 0
    out = tmp_path / "raw.jsonl"
    assert cli("export", "--format", "raw", "--out", str(out), log=log).code == 0
    assert cli("host", "status", log=log).code == 3
    assert not Path(f"{log}.lock").exists()
    there_already = cli("import", str(out))
    assert there_already.code == 0 and "nothing new" in there_already.out


def test_foreign_text_reaches_the_terminal_without_its_sequences(cli: Cli) -> None:
    for args in (("ls",), ("show", "2"), ("log", "2"), ("digest",)):
        said = cli(*args)
        assert said.code == 0, said.err
        assert "[/b]" in said.out
        assert not set(said.out) & {"\x1b", "\x07"}


def test_a_session_is_found_by_the_end_of_its_id_which_ls_shows(cli: Cli) -> None:
    (first, second) = json_of(cli("ls", "--json"))[:2]
    assert first["id"][-8:] in cli("ls").out
    assert json_of(cli("show", first["id"][-8:].lower(), "--json"))["id"] == first["id"]
    assert json_of(cli("show", second["id"], "--json"))["id"] == second["id"]


def test_the_newest_events_are_printed_in_their_order(cli: Cli) -> None:
    for text in ("one", "two"):
        assert cli("note", "2", text).code == 0
    every = [json.loads(line)["seq"] for line in cli("log", "2", "--json").out.splitlines()]
    last = [json.loads(line)["seq"] for line in cli("log", "2", "--last", "2", "--json").out.splitlines()]
    assert last == every[-2:] and len(every) > len(last) == 2
    created = cli("log", "2", "--last", "5", "--kind", "session.created").out.splitlines()
    assert len(created) == 1


def test_a_limit_may_be_written_with_an_equals_sign(cli: Cli) -> None:
    assert json_of(cli("limit", "2", "steps=60", "--json"))["note"] == "steps: 60"
    assert json_of(cli("limit", "2", "steps=-5", "--json"))["note"] == "steps: 55"


def test_an_export_takes_its_sessions_as_arguments(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "raw.jsonl"
    assert cli("export", "1", "-o", str(out), "--format", "raw").code == 0
    sessions = {json.loads(line).get("session") for line in out.read_text().splitlines()}
    assert json_of(cli("show", "1", "--json"))["id"] in sessions
    assert json_of(cli("show", "2", "--json"))["id"] not in sessions


def test_an_import_says_the_number_under_which_the_session_is_found(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "raw.jsonl"
    assert cli("export", "1", "-o", str(out), "--format", "raw").code == 0
    (made,) = json_of(cli("import", str(out), "--copy", "--json"))
    assert json_of(cli("show", str(made["number"]), "--json"))["id"] == made["id"]
    again = cli("import", str(out), "--copy")
    assert f"session {made['number'] + 1} (" in again.out and "imported 1 session, " in again.out


def test_without_a_terminal_the_app_is_refused_before_anything_is_made(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "none.sqlite"
    for args, instead in (((), "apollo ls"), (("demo",), "apollo demo --headless"), (("demo", "--json"), "--headless")):
        said = cli(*args, log=log)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert "needs a terminal" in said.err and instead in said.err
        assert list(tmp_path.iterdir()) == []


def test_a_difference_may_be_negative(cli: Cli) -> None:
    before = json_of(cli("limit", "2", "steps", "40", "--json"))
    assert before["note"] == "steps: 40"
    assert json_of(cli("limit", "2", "steps", "-5", "--json"))["note"] == "steps: 35"


def test_the_exit_code_says_whether_a_host_runs_and_whether_something_is_bad(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "none.sqlite"
    assert cli("host", "status").code == 0
    assert cli("host", "status", log=nowhere).code == 3
    assert json.loads(cli("host", "status", "--json", log=nowhere).out) == {"id": None, "running": False}
    assert cli("doctor").code == 0
    (tmp_path / "config.toml").write_text("[ui]\nmotion = 3\n")
    (tmp_path / "keys").write_text("A=1\n")
    monkeypatch.setenv("APOLLO_CONFIG", str(tmp_path / "config.toml"))
    doctor = cli("doctor")
    assert doctor.code == 1
    assert "ui.motion" in doctor.out
    assert "chmod 600" in doctor.out
    assert not nowhere.exists()


def test_a_host_is_not_stopped_for_a_restart_that_a_wrong_config_would_prevent(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = json_of(cli("host", "status", "--json"))["pid"]
    (tmp_path / "config.toml").write_text("[ui")
    monkeypatch.setenv("APOLLO_CONFIG", str(tmp_path / "config.toml"))
    restart = cli("host", "restart")
    assert (restart.code, restart.err.count("\n")) == (1, 1)
    assert "no valid TOML" in restart.err
    assert json_of(cli("host", "status", "--json"))["pid"] == before


def test_a_folder_that_cannot_be_made_is_named_in_one_line(cli: Cli) -> None:
    said = cli("host", "start", log=Path("/proc/nowhere/a.sqlite"))
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert said.err == "apollo: /proc/nowhere: No such file or directory\n"


def test_the_doctor_survives_a_log_that_is_damaged_and_says_so(cli: Cli, apollo: Apollo, tmp_path: Path) -> None:
    log = tmp_path / "odd name?#%.sqlite"
    data = bytearray(apollo.log.read_bytes())
    page = 4096
    for start in range(2 * page, len(data), page):
        data[start : start + 64] = b"\xff" * 64
    log.write_bytes(data)
    doctor = cli("doctor", log=log)
    assert doctor.code == 1
    assert "bad   log health" in doctor.out
    garbage = tmp_path / "garbage.sqlite"
    garbage.write_text("no database")
    assert "bad   log health" in cli("doctor", log=garbage).out
    listed = cli("ls", log=garbage)
    assert (listed.code, listed.err.count("\n")) == (1, 1)


def test_the_doctor_names_the_variable_of_a_profile_without_a_key(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[profiles.glm]\nmodel = "openai:glm"\nkey_env = "GLM_KEY"\n')
    monkeypatch.setenv("APOLLO_CONFIG", str(config))
    monkeypatch.delenv("GLM_KEY", raising=False)
    assert "set GLM_KEY" in cli("doctor").out
    keys = tmp_path / "keys"
    keys.write_text("GLM_KEY=x\n")
    keys.chmod(0o600)
    assert "GLM_KEY" in cli("doctor").out
    assert "set GLM_KEY" not in cli("doctor").out


def test_a_label_is_taken_by_its_name_and_told_by_it(cli: Cli, apollo: Apollo) -> None:
    made = json_of(cli("new", str(apollo.folder / "task.md"), "--model", "demo:steady", "--json"))["id"]
    wait_for("a step", lambda: apollo.events(made, "model.reply"))
    assert cli("interrupt", made).code == 0
    assert cli("flag", made, "1", "--label", "Instruction broken").code == 0
    assert apollo.events(made, "flag.set")[-1]["body"]["label"] == "trail/instruction"
    effort = cli("effort", made)
    assert "instruction broken 1" in effort.out and "trail/" not in effort.out
    assert cli("flag", made, "1", "--good", "--label", "right-there-too").code == 0
    assert apollo.events(made, "flag.set")[-1]["body"]["label"] == "right-there-too"


def test_a_flag_is_taken_back_by_the_id_that_it_was_given(cli: Cli, apollo: Apollo) -> None:
    made = json_of(cli("new", str(apollo.folder / "task.md"), "--model", "demo:steady", "--json"))["id"]
    wait_for("a step with a result", lambda: apollo.events(made, "action.result"))
    assert cli("interrupt", made).code == 0
    flag = json_of(cli("flag", made, "1.1", "--note", "hasty", "--json"))["flag"]
    assert json_of(cli("unflag", made, flag, "--json"))["flag"] == flag
    assert cli("unflag", made, flag).code == 2
    stopped = cli("stop", made)
    assert stopped.out.startswith("stop asked for: stops now")


def test_a_resume_brings_the_key_that_a_restarted_host_has_forgotten(
    cli: Cli, apollo: Apollo, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = apollo.folder / "with-key.toml"
    config.write_text(
        '[profiles.mine]\nmodel = "openai:m"\nbase_url = "https://models.invalid/v1"\nkey_env = "MY_KEY"\n'
    )
    monkeypatch.setenv("APOLLO_CONFIG", str(config))
    refused = cli("new", str(apollo.folder / "task.md"), "--model", "mine")
    assert refused.code == 1 and "MY_KEY" in refused.err and "nothing was created" in refused.err
    made = json_of(cli("new", str(apollo.folder / "task.md"), "--model", "mine", "--anyway", "--json"))["id"]
    wait_for("the question for a key", lambda: "MY_KEY" in apollo.session(made)["reason"])
    monkeypatch.setenv("MY_KEY", "sk-0123456789abcdefgh")
    assert cli("resume", made).code == 0
    wait_for("an attempt with the key", lambda: apollo.events(made, "model.attempt_failed")[1:])
    assert apollo.events(made, "model.attempt_failed")[-1]["body"]["reason"] == "connection"
    cli("stop", made)


def test_a_new_session_asks_its_model_first_and_creates_nothing_where_it_refuses(
    cli: Cli, apollo: Apollo, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = apollo.folder / "script.json"
    script.write_text(json.dumps({"*": {"turns": [{"text": "ok"}]}}))
    task, wrong, right = str(apollo.folder / "task.md"), "sk-wrong-0123456789", "sk-right-0123456789"
    config = apollo.folder / "asked.toml"
    monkeypatch.setenv("APOLLO_CONFIG", str(config))
    monkeypatch.setenv("A_KEY", wrong)
    with server_process(script, None, "--key", right) as url:
        profile = f'[profiles.mine]\nmodel = "openai:m"\nbase_url = "{url}/v1"\nkey_env = "A_KEY"\n'
        config.write_text(profile)
        before = len(json_of(cli("ls", "--json")))
        refused = cli("new", task, "--model", "mine", "--no-start")
        assert refused.code == 1 and wrong not in refused.err
        assert "refuses the key in A_KEY (401); put A_KEY=… into" in refused.err
        assert "nothing was created (--anyway creates it all the same)" in refused.err
        nowhere = cli("new", task, "--model", "mine", "--base-url", url, "--no-start")
        assert nowhere.code == 1 and "below /v1" in nowhere.err
        assert len(json_of(cli("ls", "--json"))) == before
        monkeypatch.setenv("A_KEY", right)
        assert cli("new", task, "--model", "mine", "--no-start").code == 0
        monkeypatch.setenv("A_KEY", wrong)
        assert cli("new", task, "--model", "mine", "--no-start", "--anyway").code == 0
        assert len(json_of(cli("ls", "--json"))) == before + 2
    script.write_text(json.dumps({"*": {"turns": [{"text": "ok", "faults": [{"status": 503}] * 9}]}}))
    with server_process(script, None) as url:
        made = cli("new", task, "--model", "openai:m", "--base-url", f"{url}/v1", "--no-start")
        assert made.code == 0 and "fails (503)" in made.err and "created all the same: it is asked again" in made.err
        assert len(json_of(cli("ls", "--json"))) == before + 3


def test_several_files_are_imported_at_once_and_one_that_cannot_be_read_is_named(cli: Cli, apollo: Apollo) -> None:
    folder = apollo.folder / "recordings"
    folder.mkdir()
    chat = [{"role": "user", "content": "Do it."}, {"role": "assistant", "content": "Done."}]
    for name in ("a", "b"):
        (folder / f"{name}.traj.json").write_text(json.dumps(chat))
    (folder / "odd.json").write_text("hello")
    said = cli("import", *(str(path) for path in sorted(folder.iterdir())))
    assert said.code == 1
    assert "imported 2 sessions" in said.out and "note (2 times): its agent acts by text" in said.out
    assert said.err == f"apollo: {said.err.removeprefix('apollo: ').rstrip()}\n" and "odd.json" in said.err
    assert " d " not in cli("ls").out
    again = cli("import", str(folder / "a.traj.json"), str(folder / "b.traj.json"))
    assert (again.code, again.out, again.err) == (0, "2 sessions known already, nothing new\n", "")


def test_where_no_host_comes_up_the_files_after_the_first_are_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def ask(_: object, params: object) -> None:
        asked.append(params)
        raise HostDown("no host came up")

    monkeypatch.setattr(imports, "ask_host", ask)
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file in files:
        file.write_text("[]")
    said = CliRunner().invoke(imports.import_, [str(file) for file in files], obj=object())
    assert isinstance(said.exception, HostDown)
    assert len(asked) == 1
