"""License, source and consent: said of a session, carried into rows, manifest and card, and required where wanted."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from host_in_process import new_session, open_host
from training_log import Teller, kept_policy, rows_of

from apollo_train.cli.main import main
from apollo_train.export.run import run_export
from apollo_train.export.terms import TermsMissing, describe_terms, require_terms
from apollo_train.formats import format_for
from apollo_tui.cli.root import apollo
from sessions import events as ev
from sessions.host import protocol
from sessions.host.client import RequestRefused
from sessions.log.reader import LogReader
from sessions.taskfile import TaskFileError, parse_task


def export(told: Teller, out: Path, format: str) -> None:
    with LogReader(told.writer.path) as reader:
        run_export(reader, None, kept_policy(), format_for(format), out)


def test_a_task_file_says_them(tmp_path: Path) -> None:
    text = "---\nlicense: CC-BY 4.0\nsource: our own issues\nconsent: all of the team, 2026\n---\nDo it.\n"
    assert parse_task(text, tmp_path / "t.md").terms == ev.Terms("CC-BY 4.0", "our own issues", "all of the team, 2026")
    assert parse_task("Do it.\n", tmp_path / "t.md").terms == ev.Terms()
    with pytest.raises(TaskFileError, match="license: expected a text"):
        parse_task("---\nlicense: [a, b]\n---\nDo it.\n", tmp_path / "t.md")


async def test_what_is_said_later_goes_before_and_nothing_is_said_by_silence(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    await told.tell(ev.TermsSet(license="MIT", source="a wiki"), actor="human:ada")
    await told.tell(ev.TermsSet(license="CC0"), actor="human:ben")
    await told.tell(ev.TermsSet(source=""), actor="human:ben")
    for format in ("steps", "openai"):
        export(told, tmp_path / format, format)
        [row] = rows_of(tmp_path / format)
        assert row["meta"]["license"] == "CC0"
        assert not {"source", "consent"} & set(row["meta"])
        manifest = json.loads((tmp_path / f"{format}.manifest.json").read_text())
        assert manifest["terms"] == {told.session: {"license": "CC0"}}


async def test_rows_of_sessions_that_say_nothing_are_as_before(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    export(told, tmp_path / "rows", "steps")
    assert not set(ev.Terms.__struct_fields__) & set(rows_of(tmp_path / "rows")[0]["meta"])
    assert "terms" not in json.loads((tmp_path / "rows.manifest.json").read_text())


async def test_the_card_counts_them(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    await told.tell(ev.TermsSet(license="CC0\n# no heading"), actor="human:ada")
    done = CliRunner().invoke(main, ["dataset", "--log", str(told.writer.path), "--out", str(tmp_path / "set")])
    assert done.exit_code == 0, done.output
    card = (tmp_path / "set" / "README.md").read_text()
    assert "- license: CC0 # no heading (1 of 1 sessions)" in card
    assert "- consent: not said (1 of 1 sessions)" in card


def test_a_card_says_each_word_once() -> None:
    terms = {"a": {"license": "MIT"}, "b": {"license": "MIT", "source": "wiki"}, "c": {"license": "CC0"}}
    assert describe_terms(terms, 4)[:3] == [
        "license: CC0 (1 of 4 sessions)", "license: MIT (2 of 4 sessions)", "license: not said (1 of 4 sessions)",
    ]  # fmt: skip


async def test_a_line_of_the_config_requires_them(
    told: Teller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told.act("a")
    config = tmp_path / "config.toml"
    config.write_text('[export]\nadvice = "kept"\nrequire = ["license", "consent"]\n')
    monkeypatch.setenv("APOLLO_CONFIG", str(config))
    with LogReader(told.writer.path) as reader:
        with pytest.raises(TermsMissing, match=r"session 1 says no license; session 1 says no consent; 'apollo terms"):
            require_terms(reader, None, kept_policy(), ("license", "consent"))
        require_terms(reader, None, kept_policy(), ())
    shell = ["--log", str(told.writer.path), "--as", "ada", "export", "--out", str(tmp_path / "rows")]
    refused = CliRunner().invoke(apollo, shell)
    assert isinstance(refused.exception, TermsMissing)
    assert not (tmp_path / "rows").exists()
    assert isinstance(CliRunner().invoke(apollo, [*shell, "--format", "raw"]).exception, TermsMissing)
    await told.tell(ev.TermsSet(license="CC0", consent="given"), actor="human:ada")
    assert CliRunner().invoke(apollo, shell).exit_code == 0
    config.write_text('[export]\nrequire = ["licence"]\n')
    assert "licence" in str(CliRunner().invoke(apollo, [*shell, "--overwrite"]).exception)


async def test_they_are_said_at_creation_and_by_a_command(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1", start=False, terms=ev.Terms(license="MIT")))
        body = msgspec.to_builtins(ev.TermsSet(consent="given by all"))
        call = protocol.Annotate(request="r2", session=made.session, kind="terms.set", body=body)
        await client.call(call)
        empty = protocol.Annotate(request="r3", session=made.session, kind="terms.set", body={})
        with pytest.raises(RequestRefused, match="nothing is said of session 1: give license, source, consent"):
            await client.call(empty)
        shell = ["--log", str(host.paths.log), "--as", "ada"]
        said = CliRunner().invoke(apollo, [*shell, "terms", "1"]).output
        assert said == "license  MIT\nsource   –\nconsent  given by all\n"
        found = json.loads(CliRunner().invoke(apollo, [*shell, "terms", "1", "--json"]).output)
        assert found == {"id": made.session, "license": "MIT", "source": "", "consent": "given by all"}
