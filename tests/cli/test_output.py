from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from session_in_memory import Story

from apollo_tui.cli.output import say_endings, say_reason, say_spent, say_tokens, session_row
from apollo_tui.cli.root import apollo
from sessions import events as ev


@pytest.mark.parametrize(
    ("config", "level", "said"),
    [
        ("", "ok", "no command"),
        ('[host]\nnotify = "sh -c true"\n', "ok", "sh -c true"),
        ('[host]\nnotify = "no-such-notifier --now"\n', "bad", "no-such-notifier is not found"),
    ],
)
def test_the_doctor_says_whether_anybody_would_hear_of_a_session_in_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, level: str, said: str
) -> None:
    (tmp_path / "config.toml").write_text(config)
    monkeypatch.setenv("APOLLO_CONFIG", str(tmp_path / "config.toml"))
    out = CliRunner().invoke(apollo, ["--log", str(tmp_path / "log.db"), "doctor", "--json"]).stdout
    found = {finding["id"]: finding for finding in json.loads(out)}
    assert (found["notify"]["verdict"], said in found["notify"]["said"]) == (level, True)
    assert "title" in found["alerts"]["said"]


def test_a_row_says_that_the_model_does_not_reply_and_that_its_cost_is_unknown() -> None:
    story = Story()
    story.tell(ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256=""))
    story.tell(ev.ModelReplied(request=3, parts=(), finish="stop"))
    story.tell(ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256=""))
    story.tell(ev.ModelAttemptFailed(request=5, attempt=7, reason="connection", retry_ms=500))
    assert story.summary
    row = session_row(story.summary, story.at)
    assert row["retrying"] == {"reason": "connection", "failed": 7, "since": story.at, "next_at": story.at + 500}
    assert row["cost"] is None
    assert say_reason(story.summary) == "retrying: connection, attempt 8"


def test_ids_that_end_alike_are_shown_as_far_as_they_differ() -> None:
    ids = ["01AAAAAAAAAAAAAA12345678", "01AAAAAAAAAAABBB12345678", "01AAAAAAAAAAACBB12345678", "01A999"]
    endings = say_endings(ids)
    assert [endings[one] for one in ids] == ["A12345678", "BBB12345678", "CBB12345678", "01A999"]


def test_tokens_that_nobody_counted_are_not_none() -> None:
    story = Story()
    assert story.summary and (say_tokens(story.summary), say_spent(story.summary)) == ("", ""), "it has used nothing"
    story.step = 1
    story.tell(ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256=""))
    assert (say_tokens(story.summary), say_spent(story.summary)) == ("–", "")
    story.tell(ev.ModelReplied(request=2, parts=(), finish="stop"))
    assert say_spent(story.summary) == "–", "nobody knows what it cost"
