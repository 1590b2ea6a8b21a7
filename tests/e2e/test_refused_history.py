"""A server answers 400 about the history: what a person is told, and that each way out leads to a session that goes on.

The product as it is run: a host of its own, the command line in processes, the app under Pilot, a server on loopback.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apollo_process import Apollo, wait_for
from headless_app import open_app, screen_text, until
from server_cases import received_by, serve

from apollo_tui.app import ApolloApp
from apollo_tui.backend.live_feed import LiveFeed
from sessions.paths import log_paths

SAYS = "messages[2]: the content was rejected by the filter"
SECONDS = 40.0


class Refusing:
    """One log, its host, and the server that refuses."""

    def __init__(self, apollo: Apollo, url: str, requests: Path) -> None:
        self.apollo, self.url, self.requests = apollo, url, requests

    def make(self, provider: str, case: str, name: str, *more: str, until: str = "needs_you") -> str:
        """A session that stands before the 400, or wherever its case stands; its id."""
        task = self.apollo.folder / "task.md"
        task.write_text("Look once, then finish.\n")
        url = f"{self.url}/v1" if provider == "openai" else self.url
        model = ("--model", f"{provider}:{case}", "--base-url", url)
        made = self.apollo.json("new", str(task), *model, "--anyway", "--name", name, *more)
        session = str(made["id"])
        self.wait(session, until)
        return session

    def wait(self, session: str, *states: str, seqs: int = 0) -> None:
        """Until it is in one of these states, by an event behind ``seqs`` of its events."""

        def there() -> bool:
            return self.apollo.session(session)["state"] in states and len(self.apollo.events(session)) > seqs

        wait_for(f"{session} is {states}", there, seconds=SECONDS)

    def kinds(self, session: str) -> list[str]:
        return [event["kind"] for event in self.apollo.events(session)]

    def sent(self, session: str) -> list[dict[str, Any]]:
        """The bodies of its requests, in order, as the log has them."""
        return [event["body"] for event in self.apollo.events(session, "model.request")]


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Refusing]:
    folder = tmp_path_factory.mktemp("refusing")
    requests = folder / "requests.jsonl"
    apollo = Apollo(folder)
    apollo.write_config()
    with serve(requests) as url:
        try:
            yield Refusing(apollo, url, requests)
        finally:
            apollo.close()


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("act", ["drop", "shorten", "resume"])
def test_each_way_out_on_the_command_line_leads_to_a_session_that_goes_on(
    refusing: Refusing, provider: str, act: str
) -> None:
    session = refusing.make(provider, "refused-reply", f"{provider}-{act}")
    number = str(refusing.apollo.session(session)["number"])

    # The person is told, in the server's words, and offered the ways out.
    shown = refusing.apollo.run("show", number).stdout
    assert SAYS in shown
    for way in ("drop", "shorten", "retry"):
        assert f"`apollo {way} {number}`" in shown

    before = refusing.sent(session)
    said = refusing.apollo.run(act, number).stdout
    refusing.wait(session, "finished")
    assert {"drop": "goes on; step 1 is left out", "shorten": "summarises", "resume": "without its last reply"}[
        act
    ] in said
    fresh = refusing.sent(session)[len(before) :]
    assert before[-1]["sha256"] not in {one["sha256"] for one in fresh}, "what was refused is not sent again"
    kinds = refusing.kinds(session)
    assert ("reply.superseded" in kinds) == (act != "shorten")
    assert ("summary.written" in kinds) == (act == "shorten")
    left = refusing.apollo.run("show", number).stdout
    assert ("left out of the context" in left) == (act != "shorten")


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_retry_on_the_command_line_sends_the_same_until_the_server_takes_it(
    refusing: Refusing, provider: str
) -> None:
    session = refusing.make(provider, "refused-twice", f"{provider}-retry")
    seen = len(refusing.apollo.events(session))
    assert "sends the same request once more" in refusing.apollo.run("retry", session).stdout
    refusing.wait(session, "needs_you", seqs=seen + 2)  # refused a second time: it asks again, and loses nothing
    assert SAYS in refusing.apollo.run("show", session).stdout
    refusing.apollo.run("retry", session)
    refusing.wait(session, "finished")
    assert "reply.superseded" not in refusing.kinds(session)
    failed = [event["body"] for event in refusing.apollo.events(session, "model.attempt_failed")]
    assert [body["attempt"] for body in failed] == [1, 2]
    assert len({body["request"] for body in failed}) == 1
    lines = [line for line in received_by(refusing.requests) if line["case"] == f"{provider[0]}:refused-twice"]
    assert len({line["sha256"] for line in lines[-3:]}) == 1, "the same bytes each time"


def test_what_a_session_cannot_do_is_refused_with_what_it_can(refusing: Refusing) -> None:
    session = refusing.make("openai", "refused-reply", "undropped")
    refusing.apollo.run("drop", session)
    refusing.wait(session, "finished")
    for act, words in (("drop", "pause it first"), ("shorten", "pause it first"), ("retry", "no refused request")):
        done = refusing.apollo.run(act, session, check=False)
        assert done.returncode != 0
        assert words in done.stderr
        assert "apollo resume" in done.stderr


def test_a_drop_leaves_a_paused_session_paused_until_it_is_resumed(refusing: Refusing) -> None:
    session = refusing.make("openai", "plain", "at its limit", "--limit", "steps=1", until="paused")
    asked = len(refusing.sent(session))
    number = str(refusing.apollo.session(session)["number"])
    said = refusing.apollo.run("drop", number).stdout
    assert f"stays paused; step 1 is left out; `apollo resume {number}` lets it go on" in said
    # The host has looked at it by the time that it answers the next request.
    refusing.apollo.run("limit", number, "steps", "none")
    assert refusing.apollo.session(session)["state"] == "paused"
    assert len(refusing.sent(session)) == asked
    refusing.apollo.run("resume", number)
    refusing.wait(session, "finished")
    assert refusing.sent(session)[asked].get("parent") is None, "the reply is not in what it goes on from"


def receipt(app: ApolloApp) -> str:
    screen: Any = app.screen
    return str(screen._receipt.text)


def flat(app: ApolloApp) -> str:
    """The facts at the side, without where their rows break."""
    return " ".join(row.rpartition("│")[2].strip() for row in screen_text(app).splitlines())


@pytest.mark.parametrize(
    ("act", "case", "words"),
    [
        (":drop", "refused-reply", "step 1 is left out"),
        (":shorten", "refused-reply", "summarises"),
        (":retry", "refused-twice", "sends the same request once more"),
        ("p", "refused-reply", "without its last reply"),
    ],
)
async def test_each_way_out_in_the_app_leads_to_a_session_that_goes_on(
    refusing: Refusing, act: str, case: str, words: str
) -> None:
    session = refusing.make("openai", case, f"app {act}")
    feed: Any = LiveFeed(log_paths(refusing.apollo.log), "human:tester")
    async with open_app(feed, (160, 50)) as (app, pilot):
        held = app.context.state.sessions
        await until(pilot, lambda: app.context.state.writable, SECONDS)
        await pilot.press("apostrophe", *str(held[session].summary.number), "enter")
        await until(pilot, lambda: "app " + act in screen_text(app), SECONDS)
        await pilot.press("enter")
        await until(pilot, lambda: "`:retry` sends the same once more" in flat(app), SECONDS)
        assert SAYS in flat(app)
        assert "`:drop` leaves its last reply out, or `:shorten` puts a summary in the place of all" in flat(app)
        for times in range(2 if act == ":retry" else 1):
            seen = len(refusing.apollo.events(session))
            if act == "p":
                await pilot.press("p")
            else:
                await pilot.press("colon", *act[1:], "enter")
            await until(pilot, lambda: words in receipt(app), SECONDS)
            state = "needs_you" if act == ":retry" and not times else "finished"
            await until(
                pilot,
                lambda seen=seen, state=state: (
                    held[session].summary.state == state and held[session].summary.last_seq > seen + 2
                ),
                SECONDS,
            )
        await until(pilot, lambda: "finished" in screen_text(app), SECONDS)
        if act in (":drop", "p"):
            assert "left out of the context" in screen_text(app)
    assert ("reply.superseded" in refusing.kinds(session)) == (act in (":drop", "p"))
    assert ("summary.written" in refusing.kinds(session)) == (act == ":shorten")
