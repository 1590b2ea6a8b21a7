"""`hold`: nothing of the next reply happens until a person lets it go, whoever's agent it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from apollo_process import Apollo, wait_for
from wire_model import WireModel, turn

Ask = Callable[..., httpx2.Response]


def held(apollo: Apollo) -> bool:
    return apollo.session("there")["state"] == "needs_you"


def test_a_held_reply_reaches_its_harness_only_when_it_is_let_go(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    apollo.run("hold", session)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        wait_for("it is held", lambda: held(apollo))
        assert apollo.session("there")["reason"].startswith('the reply of step 1 is held: shell {"command"')
        assert not asked.done()
        assert not apollo.events(session, "action.started"), "nothing of it happens"
        again = apollo.run("hold", session, check=False)
        assert again.returncode == 1
        assert "holds a reply already" in again.stderr
        apollo.run("resume", session)
        reply = asked.result()
    assert ask(*turn(reply)).status_code == 200, "only the next one was to be held"
    assert len(model.bodies) == 2


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_held_reply_survives_a_crash_and_a_client_that_asks_again(
    apollo: Apollo, model: WireModel, session: str, ask: Ask, comes_back: bool
) -> None:
    apollo.run("hold", session)
    with pytest.raises(httpx2.HTTPError):
        ask(timeout=3)
    wait_for("it is held", lambda: held(apollo))
    if comes_back:
        pid = apollo.kill_host()
        wait_for("another host", lambda: (apollo.host_pid() or pid) != pid)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        with pytest.raises(AssertionError):
            wait_for("an answer", asked.done, seconds=2)
        apollo.run("resume", session)
        assert asked.result().status_code == 200
    assert len(model.bodies) == 1, "it was sampled once"
    assert len(apollo.events(session, "model.reply")) == 1
    assert len(apollo.events(session, "action.started")) == 1


def test_a_hold_is_taken_back(apollo: Apollo, model: WireModel, session: str, ask: Ask) -> None:
    apollo.run("hold", session)
    assert "its next reply is not held" in apollo.run("resume", session).stdout
    assert ask().status_code == 200


def test_a_held_reply_of_a_session_that_is_stopped_is_left_out(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    apollo.run("hold", session)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        wait_for("it is held", lambda: held(apollo))
        apollo.run("stop", session)
        assert asked.result().status_code == 403
    (reply,) = apollo.events(session, "model.reply")
    (gone,) = apollo.events(session, "reply.superseded")
    assert (gone["body"]["old"], gone["body"].get("new")) == (reply["seq"], None)
