from __future__ import annotations

import pytest

from apollo_tui.acts.annotator_time import REPORT_MS, RETURN_MS, Presence
from apollo_tui.terminal.alerts import BELL, POP_TITLE, PUSH_TITLE, Alerts, Titles, channel, notification, title_text
from sessions.attention.signals import Signal

NOW = 1_700_000_000_000


def signal(id: str = "needs_human:5", *, acute: bool = True, quiet: bool = False, session: str = "s") -> Signal:
    return Signal(id, id.split(":")[0], session, 5, 1, NOW, "needs you: no key", 0, acute, quiet, 5)


@pytest.mark.parametrize(
    ("wanted", "env", "by"),
    [
        ("auto", {"TERM": "xterm-256color"}, "bell"),
        ("auto", {"TERM": "xterm-kitty"}, "osc99"),
        ("auto", {"TERM": "foot-extra"}, "osc777"),
        ("auto", {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "osc9"),
        ("auto", {"TERM": "xterm-kitty", "TMUX": "/tmp/t,1,0"}, "bell"),
        ("osc9", {"TERM": "tmux-256color"}, "bell"),
        ("osc9", {"TERM": "xterm", "STY": "1.pts"}, "bell"),
        ("osc9", {"TERM": "xterm"}, "osc9"),
        ("off", {"TERM": "xterm-kitty"}, "off"),
    ],
)
def test_the_terminal_decides_how_it_is_told_and_multiplexers_get_the_bell_only(
    wanted: str, env: dict[str, str], by: str
) -> None:
    assert channel(wanted, env) == by  # type: ignore[arg-type]


def test_foreign_text_cannot_end_a_notification_or_begin_another_field() -> None:
    evil = "1 x: a\x07\x1b]0;owned\x07;b\x9c;c\nd"
    for by in ("osc9", "osc777", "osc99"):
        inside = notification(by, evil)[1:]  # type: ignore[arg-type]
        assert inside.count("\x1b]") == 1 and inside.count("\x07") <= 1 and "\x9c" not in inside and "\n" not in inside
    assert notification("osc777", evil).count(";") == 3
    assert notification("bell", evil) == BELL and notification("off", evil) == ""


def test_the_title_counts_and_is_written_only_when_the_count_changes() -> None:
    alerts = Alerts("auto", {"TERM": "xterm"})
    assert (alerts.begin(), alerts.end()) == (PUSH_TITLE, POP_TITLE)
    assert alerts.update({"s": []}, NOW, NOW, {}) == _title(0)
    assert alerts.update({"s": [signal()]}, NOW + 1, NOW, {}) == _title(1)
    assert "1 needs you" in title_text(1) and "2 need you" in title_text(2)
    assert alerts.update({"s": [signal()]}, NOW + 2, NOW, {}) == ""
    quiet = {"s": [signal()], "t": [signal("advice_outcome:9", acute=False, quiet=True, session="t")]}
    assert alerts.update(quiet, NOW + 3, NOW, {}) == ""


def test_the_bell_rings_once_per_cause_and_not_for_what_was_there_or_is_looked_at() -> None:
    alerts = Alerts("osc9", {"TERM": "xterm"})
    names = {"s": "1 tune-lr"}
    assert BELL + "\x1b]9" not in alerts.update({"s": [signal("needs_human:5")]}, NOW, NOW, names)
    later = NOW + 10 * 60_000
    told = alerts.update({"s": [signal("needs_human:9")]}, later, NOW, names)
    assert told == f"{BELL}\x1b]9;1 tune-lr: needs you: no key{BELL}"
    assert alerts.update({"s": [signal("needs_human:9")]}, later + 60_000, NOW, names) == ""
    assert alerts.update({"s": [signal("failed:11")]}, later, later - 5_000, names) == ""
    assert alerts.update({"s": [signal("failed:11")]}, later + 2_000, later + 1_000, names) == ""
    assert alerts.update({"s": [signal("loop:12", acute=False)]}, later + 9 * 60_000, 0, names) == ""


def test_off_writes_nothing_at_all() -> None:
    alerts = Alerts("off", {"TERM": "xterm"})
    alerts.update({"s": []}, NOW, 0, {})
    assert alerts.begin() + alerts.end() + alerts.update({"s": [signal()]}, NOW + 3_600_000, 0, {}) == ""


def test_the_host_hears_of_keys_now_and_then_and_after_a_new_link_again() -> None:
    presence = Presence(NOW)
    assert presence.due(NOW) == 0
    presence.key(NOW + 1_000)
    assert presence.due(NOW + 2_000) is None
    assert presence.due(NOW + REPORT_MS) == REPORT_MS - 1_000
    assert presence.due(NOW + 10 * REPORT_MS) is None
    presence.link_is_new()
    assert presence.due(NOW + 10 * REPORT_MS) == 10 * REPORT_MS - 1_000


def test_a_key_says_how_long_there_was_none() -> None:
    presence = Presence(NOW)
    assert presence.key(NOW + RETURN_MS - 1) == RETURN_MS - 1
    assert presence.key(NOW + RETURN_MS) == 1


def _title(need: int) -> str:
    return f"\x1b]2;{title_text(need)}\x07"


NEW_TITLE = "\x1bksh\x1b\\"
SCREEN_TITLE = "\x1bkApollo\x1b\\"


@pytest.mark.parametrize(
    ("env", "begin", "said", "end"),
    [
        ({"TERM": "xterm"}, PUSH_TITLE, _title(0), POP_TITLE),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0"}, PUSH_TITLE, _title(0), POP_TITLE),
        ({"TERM": "screen-256color", "TMUX": "/tmp/t,1,0"}, PUSH_TITLE, _title(0), POP_TITLE),
        ({"TERM": "screen.xterm-256color", "STY": "1.pts", "SHELL": "/bin/zsh"}, "", SCREEN_TITLE, "\x1bkzsh\x1b\\"),
        ({"TERM": "screen"}, PUSH_TITLE, _title(0) + SCREEN_TITLE, POP_TITLE + "\x1bksh\x1b\\"),
        (
            {"TERM": "screen", "TMUX": "t", "STY": "1"},
            PUSH_TITLE,
            _title(0) + SCREEN_TITLE,
            POP_TITLE + "\x1bksh\x1b\\",
        ),
    ],
)
def test_every_multiplexer_gets_the_title_of_ones_own_window_in_its_own_way(
    env: dict[str, str], begin: str, said: str, end: str
) -> None:
    titles = Titles(env)
    assert (titles.begin(), titles.set(title_text(0)), titles.end()) == (begin, said, end)
    assert Alerts("off", env).begin() == Alerts("off", env).end() == ""
