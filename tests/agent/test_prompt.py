from __future__ import annotations

from typing import Any

from session_in_memory import Story

from sessions import events as ev
from sessions.agent.resume_point import resume_point_of
from sessions.events.messages import CallPart, Message, Part, TextPart
from sessions.fold.prompt import messages_of


def text(long: ev.LongText) -> str:
    return long.text


def reply(story: Story, step: int | None, *parts: Part, **more: Any) -> int:
    story.step = step or 0
    request = story.tell(
        ev.ModelRequested(
            adapter="a", adapter_version=1, envelope={}, sha256="", purpose="summary" if step is None else "step"
        )
    )
    return story.tell(ev.ModelReplied(request=request, parts=parts, finish="stop", **more))


def told(story: Story) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages_of(story.events, text)]


def test_every_message_names_the_events_that_it_was_made_from() -> None:
    story = Story()
    said = reply(story, 1, TextPart("I look."), CallPart("c", "run", "{}"))
    result = story.act_of(1, "run", "seen")
    advice = story.tell(ev.AdviceDelivered(advice=(1,), at_step=2, text="<advice>go</advice>"))
    assert messages_of(story.events, text) == [
        Message("user", (TextPart("t"),), (1,)),
        Message("assistant", (TextPart("I look."), CallPart("c", "run", "{}")), (said,), origin="demo:x"),
        Message("tool", (TextPart("seen"),), (result,), call_id="c"),
        Message("user", (TextPart("<advice>go</advice>"),), (advice,)),
    ]


def test_what_the_model_never_saw_is_no_message() -> None:
    story = Story()
    story.tell(ev.AdviceDelivered(advice=(1,), at_step=1, text="answer", channel="tool_result"))
    story.tell(ev.AdviceDelivered(advice=(2,), at_step=1, text="replayed", without_effect=True))
    story.tell(ev.ReplyInterrupted(request=1, parts=(TextPart("cut"),)))
    story.tell(ev.NoteWritten(text="for colleagues"))
    reply(story, None, TextPart("a summary that came to nothing"))
    assert told(story) == [("user", "t")]


def test_the_shown_text_is_what_counts_where_it_differs() -> None:
    story = Story()
    reply(story, 1, CallPart("c", "run", "{}"))
    story.tell(
        ev.ActionResult(call_id="c", outcome="ok", output=ev.LongText("whole"), shown=ev.LongText("cut")), call=1
    )
    assert told(story)[-1] == ("tool", "cut")


def test_a_malformed_call_is_marked_in_its_own_reply_only() -> None:
    story = Story()
    for step in (1, 2):
        reply(story, step, CallPart("same", "run", "{"))
        why: Any = "malformed" if step == 1 else "interrupted"
        story.tell(ev.ActionRefused(call_id="same", name="run", why=why, shown="no"), call=1)
    assert [m.malformed for m in messages_of(story.events, text) if m.role == "assistant"] == [(1,), ()]


def summarised(to_step: int) -> Story:
    story = Story()
    for step in (1, 2, 3):
        reply(story, step, TextPart(f"said {step}"), CallPart("c", "run", "{}"))
        story.act_of(step, "run", f"seen {step}")
        story.tell(ev.AdviceDelivered(advice=(step,), at_step=step + 1, text=f"advice {step}"))
    story.tell(ev.SummaryWritten(number=1, from_step=1, to_step=to_step, text=ev.LongText("short"), advice="advice 1"))
    return story


def test_a_summary_joins_the_task_and_what_it_covers_is_gone() -> None:
    story = summarised(2)
    head, *rest = told(story)
    assert head[0] == "user"
    assert head[1].startswith("t\n\nYour own summary of steps 1 to 2")
    assert head[1].endswith("advice 1")
    assert rest == [("assistant", "said 3"), ("tool", "seen 3"), ("user", "advice 3")]
    assert messages_of(story.events, text)[0].sources == (1, story.events[-1].seq)


def test_a_summary_of_everything_leaves_only_what_came_after_it() -> None:
    story = summarised(3)
    story.tell(ev.AdviceDelivered(advice=(4,), at_step=4, text="advice 4"))
    assert [role for role, _ in told(story)] == ["user", "user"]
    reply(story, 4, TextPart("said 4"))
    assert told(story)[1:] == [("user", "advice 4"), ("assistant", "said 4")]


def test_a_position_knows_its_open_request_and_its_unfinished_calls() -> None:
    story = Story()
    request = story.tell(ev.ModelRequested(adapter="a", adapter_version=1, envelope={}, sha256=""))
    story.tell(ev.ModelAttemptFailed(request=request, attempt=1, reason="server"))
    point = resume_point_of(story.events)
    assert point.open_request is not None
    assert (point.open_request.seq, point.attempts, point.step) == (request, 1, 0)
    story.tell(ev.ReplyInterrupted(request=request))
    assert resume_point_of(story.events).open_request is None
    reply(story, 1, CallPart("a", "run", "{}"), CallPart("b", "run", "{}"))
    story.act_of(1, "run", "x")
    point = resume_point_of(story.events)
    assert [call.number for call in point.open_calls] == [2]
    assert point.open_request is None


def test_a_finish_is_acted_upon_once() -> None:
    story = Story()
    reply(story, 1, CallPart("a", "finish", "{}"))
    story.act_of(1, "finish", "Finished.", finish=True)
    assert resume_point_of(story.events).asks_to_finish
    story.tell(ev.StateChanged(state="paused"))
    assert resume_point_of(story.events).asks_to_finish
    story.tell(ev.StateChanged(state="running"))
    story.tell(ev.StateChanged(state="finished"))
    story.tell(ev.StateChanged(state="running"))
    assert not resume_point_of(story.events).asks_to_finish
