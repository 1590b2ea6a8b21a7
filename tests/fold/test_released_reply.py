"""A step with three replies, of which one is its own: whoever asks for the reply of a step finds that one alone."""

from __future__ import annotations

from session_in_memory import Story

from sessions import events as ev
from sessions.agent.resume_point import resume_point_of
from sessions.events.messages import CallPart, TextPart
from sessions.fold.advice import AdviceBook
from sessions.fold.digest import Baseline, digest_of
from sessions.fold.prompt import messages_of
from sessions.fold.released_reply import Replies, released_reply
from sessions.fold.review import ReviewBook
from sessions.fold.trajectory import steps
from widgets.entries import EntryBook


def text(long: ev.LongText) -> str:
    return long.text


def candidates(story: Story, step: int) -> list[int]:
    """Three replies to one step; the second one is the step's."""
    story.step = step
    found = []
    for name in ("first", "second", "third"):
        request = story.tell(ev.ModelRequested(adapter="a", adapter_version=1, envelope={}, sha256=""))
        parts = (TextPart(name), CallPart(f"{name}{step}", "run", f'{{"command": "{name}"}}'))
        extra = (CallPart(f"{name}{step}b", "plan", "{}"),) if name == "third" else ()
        found.append(story.tell(ev.ModelReplied(request=request, parts=(*parts, *extra), finish="calls")))
    story.tell(ev.ReplySuperseded(old=found[0], new=found[1], why="replaced"))
    story.tell(ev.ReplySuperseded(old=found[2], new=found[1], why="replaced"))
    return found


def told(step_count: int = 2) -> tuple[Story, list[list[int]]]:
    story = Story()
    found = []
    for step in range(1, step_count + 1):
        found.append(candidates(story, step))
        story.act_of(step, "run", f"seen {step}")
    return story, found


def test_the_position_goes_on_from_the_released_reply() -> None:
    story, found = told()
    point = resume_point_of(story.events)
    assert point.reply is not None
    assert (point.reply.seq, point.step, point.reply_step) == (found[1][1], 2, 2)
    assert [call.part.id for call in point.calls] == ["second2"] and not point.open_calls


def test_the_prompt_holds_the_released_replies_and_their_results() -> None:
    story, _ = told()
    messages = messages_of(story.events, text)
    assert [(m.role, m.text, m.call_id) for m in messages] == [
        ("user", "t", None),
        ("assistant", "second", None),
        ("tool", "seen 1", "second1"),
        ("assistant", "second", None),
        ("tool", "seen 2", "second2"),
    ]


def test_the_trajectory_has_the_released_reply_and_its_calls() -> None:
    story, found = told()
    records = list(steps(story.events))
    assert [record.reply.seq for record in records if record.reply] == [found[0][1], found[1][1]]
    assert [[call.part.id for call in record.calls if call.part] for record in records] == [["second1"], ["second2"]]
    assert [record.text for record in records] == ["second", "second"]
    assert not any(record.dropped for record in records)


def test_the_digest_counts_a_step_once_at_its_released_reply() -> None:
    story, found = told()
    digest = digest_of("S", story.events, since=0, until=story.at, before=Baseline())
    (figure,) = [figure for figure in digest.figures if figure.name == "steps"]
    assert (figure.value, figure.places) == (2, (found[0][1], found[1][1]))


def test_the_review_and_verdicts_are_about_the_released_reply() -> None:
    story, found = told()
    items = ReviewBook("S", story.events).items("human:ann")
    assert [(item.target.step, item.seq) for item in items] == [(1, found[0][1]), (2, found[1][1])]
    body = released_reply(story.events, 1)
    assert body is not None and body.parts[0] == TextPart("second")


def test_views_mark_what_gave_way_and_nothing_else() -> None:
    story, found = told(1)
    book = EntryBook()
    book.add(story.events)
    notes = {seq: entry.note for seq in found[0] if (entry := book.entry(seq))}
    assert notes == dict(zip(found[0], ["left out of the context", "", "left out of the context"], strict=True))


def test_a_reply_that_is_left_out_takes_what_it_caused_along_and_no_word_of_a_person() -> None:
    story, found = told(1)
    story.step = 2
    request = story.tell(ev.ModelRequested(adapter="a", adapter_version=1, envelope={}, sha256=""))
    story.tell(ev.AdviceQueued(advice=1, text="slowly"), actor="human:ann")
    story.tell(ev.AdviceDelivered(advice=(1,), at_step=2, text="slowly"))
    reply = story.tell(ev.ModelReplied(request=request, parts=(CallPart("x", "run", "{}"),), finish="calls"))
    story.act_of(2, "run", "gone")
    story.tell(ev.NudgeSent(text="go on"))
    story.step = 3
    story.tell(ev.ModelRequested(adapter="a", adapter_version=1, envelope={}, sha256=""))
    story.step = 2
    story.tell(ev.ReplySuperseded(old=reply))
    assert [message.text for message in messages_of(story.events, text)] == ["t", "second", "seen 1", "slowly"]
    point = resume_point_of(story.events)
    assert point.reply is not None and (point.reply.seq, point.step) == (found[0][1], 2)
    assert point.user_turn, "the advice, and not the nudge"
    assert [(record.step, record.dropped) for record in steps(story.events)] == [(1, False), (2, True), (3, False)]
    (advice,) = AdviceBook(story.events).all
    assert (advice.first_reply, advice.first_action) == (None, None)
    assert Replies(story.events).dropped_steps == {2}


def test_old_logs_have_the_newest_reply_of_a_step() -> None:
    story = Story()
    story.step = 1
    first = story.tell(ev.ModelReplied(request=1, parts=(TextPart("a"),), finish="stop"))
    second = story.tell(ev.ModelReplied(request=1, parts=(TextPart("b"),), finish="stop"))
    found = Replies(story.events).of(1)
    assert found is not None and found.seq == second > first
