"""On a terminal an export asks once for what nobody has said, and can remember the answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from training_log import OTHER, Teller

from apollo_train.cli.main import main
from sessions import events as ev
from sessions.config import ExportSettings, load_config
from sessions.log.writer import LogWriter


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody sits at a terminal; their config is this file."""
    monkeypatch.setattr("apollo_train.cli.questions.has_terminal", lambda: True)
    path = tmp_path / "config.toml"
    monkeypatch.setenv("APOLLO_CONFIG", str(path))
    return path


async def two_models(writer: LogWriter) -> None:
    for session, model in ((OTHER, "glm-4.6"), ("01K00000000000000000000009", "claude-opus-4")):
        spec = ev.ModelSpec("import", model)
        told = await Teller(writer, session).begin(model=spec)
        await told.act("ls", model=model)
    await told.advise("Wait.")
    await told.act("train", model=model)


def dataset(writer: LogWriter, out: Path, said: str, *more: str) -> Result:
    words = ["dataset", "--log", str(writer.path), "--out", str(out), *more]
    return CliRunner().invoke(main, words, input=said)


async def test_it_asks_about_advice_and_models_once_and_remembers_what_it_is_told_to(
    writer: LogWriter, tmp_path: Path, config: Path
) -> None:
    await two_models(writer)
    asked = dataset(writer, tmp_path / "a", "maybe\ndropped\nn\nglm-*\ny\n")
    assert asked.exit_code == 0, asked.output
    assert (
        "these sessions hold 1 piece of advice:" in asked.output and "dropped: general advice is taken" in asked.output
    )
    assert "1 reply of glm-4.6" in asked.output and "2 replies of claude-opus-4" in asked.output
    assert "advice: dropped" in asked.output and "trained by model: 1 glm-4.6" in asked.output
    assert load_config(config).export == ExportSettings(trainable=("glm-*",))
    again = dataset(writer, tmp_path / "b", "kept\ny\n")
    assert again.exit_code == 0 and "replies of" not in again.output.split("trained by")[0]
    assert load_config(config).export == ExportSettings(advice="kept", trainable=("glm-*",))
    quiet = dataset(writer, tmp_path / "c", "")
    assert quiet.exit_code == 0 and "advice: kept" in quiet.output


async def test_options_answer_first_and_who_leaves_writes_nothing(
    writer: LogWriter, tmp_path: Path, config: Path
) -> None:
    await two_models(writer)
    said = dataset(writer, tmp_path / "a", "", "--advice", "both", "--trainable", "claude-*", "--trainable", "glm-*")
    assert said.exit_code == 0 and "advice: both" in said.output
    left = dataset(writer, tmp_path / "b", "")
    assert left.exit_code == 130 and not (tmp_path / "b").exists() and not config.exists()
