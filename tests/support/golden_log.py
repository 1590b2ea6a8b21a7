"""Golden logs: one file per schema version, and one for what a version got after its file was made, never written again
once released; and what the folds of this version make of them.

``python tests/support/golden_log.py`` makes the files of this version that are missing; ``--anew`` makes them again.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import event_bodies
import log_events as make
import msgspec

from sessions import events as ev
from sessions.events.messages import TextPart, Usage
from sessions.events.text import Blob, canonical_json, long_text
from sessions.fold.summary import FOLD_VERSION, Summary
from sessions.log.reader import LogReader
from sessions.log.schema import SCHEMA_VERSION
from sessions.log.session_heads import fold_summaries
from sessions.log.writer import LogWriter

FOLDER = Path(__file__).parents[1] / "log" / "golden"
LOG = FOLDER / f"v{SCHEMA_VERSION}.sqlite"
LATER = FOLDER / "v1-later.sqlite"
"""Kinds, fields and verbs that v1.sqlite has not: those for which fold versions 7 and 8 were made, among others."""
KEEPING = FOLDER / "v1-keeping.sqlite"
"""What a session may be used for, and what is left of one that was taken out."""
HARNESS = FOLDER / "v1-harness.sqlite"
"""What is said of a harness's conversations, and advice that is said again."""
TALKED = FOLDER / "v1-talked.sqlite"
"""A program that was talked to: what it was told, what it asked, how its turns ended."""
JOINED = FOLDER / "v1-joined.sqlite"
"""A harness whose model's server takes no two turns of the user in a row."""
COMPARED = FOLDER / "v1-compared.sqlite"
"""Two sessions of one task, and which people say is better."""
SHELL = FOLDER / "v1-shell.sqlite"
"""A person's shells in a workspace: one whose changes are told, and one that was never closed."""
NAMED = FOLDER / "v1-named.sqlite"
"""A session that got another name and other tags, one of them taken back, was archived in bulk, and came back."""
SUMMARIES = FOLDER / f"summaries-fold-{FOLD_VERSION}.json"
EVERY_KIND, REAL = make.SESSION, make.OTHER
"""The session that holds a full example of each kind, and the one whose prompts can be rebuilt."""
NEW_KINDS, RECORDED, SHORTENED, ASKED = (f"01K{number}{'0' * 22}" for number in range(1, 5))
"""Those of LATER: one with a full example of each kind that came later, an imported branch whose file says what the run
cost, one that was refused, shortened and dropped from, and one that is asked to shorten what was said."""


async def write_log(path: Path) -> None:
    """A log with every kind of this version, a long text, and requests as an adapter makes them."""
    ticks = count(1_700_000_000_000, 1_000)
    async with await LogWriter.open(path, clock=lambda: next(ticks)) as writer:
        await writer.append(
            make.session_created(EVERY_KIND, 1), make.session_created(REAL, 2, system=ev.LongText("be brief"))
        )
        for number, (kind, body) in enumerate(sorted(ev.KINDS.items())):
            session = ev.HOST_SESSION if kind.startswith("host.") else EVERY_KIND
            if kind != "session.created":
                new = ev.NewEvent(session, event_bodies.example(body), step=1, actor="human:ada", request=f"r{number}")
                await writer.append(new)
        await writer.append(make.state("running", REAL))
        parent: int | None = None
        prompt: list[dict[str, Any]] = []
        for step in (1, 2, 3):
            turn = list(_turn(step))
            prompt += turn
            request, blobs = _request(prompt, turn, parent)
            (stored,) = await writer.append(ev.NewEvent(REAL, request, step=step), blobs=blobs)
            parent = stored.seq
            text, blobs = long_text(f"Zeile {step}\n" * 1000)
            reply = msgspec.structs.replace(make.reply(step, parent, ("run", "{}"), text="grüße"), session=REAL)
            result = ev.ActionResult(call_id=f"c{step}.1", outcome="ok", output=text)
            await writer.append(reply, ev.NewEvent(REAL, result, step=step, call=1), blobs=blobs)


async def write_later_log(path: Path) -> None:
    """What came later. The kinds that only the newest version has are added here, in a file of their own once this one
    is released."""
    ticks = count(1_800_000_000_000, 1_000)

    def said(session: str, body: ev.Body, step: int | None = None, actor: str = "host") -> ev.NewEvent:
        return ev.NewEvent(session, body, step=step, actor=actor)

    def answered(session: str, step: int) -> ev.NewEvent:
        body = ev.ModelReplied(request=3, parts=(TextPart("Done."),), finish="stop", usage=Usage(100, 10))
        return said(session, body, step, "agent")

    with closing(LogReader(LOG)) as reader:
        older = {event.kind for event in reader.stream()}
    async with await LogWriter.open(path, clock=lambda: next(ticks)) as writer:
        await writer.append(make.session_created(NEW_KINDS, 1))
        for kind, body in sorted(ev.KINDS.items()):
            if kind not in older:
                await writer.append(said(NEW_KINDS, event_bodies.example(body), 1, "human:ada"))
        begins = ev.Beginning(session=NEW_KINDS, seq=2, kind="child")
        await writer.append(make.session_created(RECORDED, 2, begins=begins), make.state("running", RECORDED))
        await writer.append(
            answered(RECORDED, 1),
            said(RECORDED, ev.RecordingRead(file="run.json", usage=Usage(1000, 50, 7), cost=0.25)),
        )
        for number, session in ((3, SHORTENED), (4, ASKED)):
            await writer.append(make.session_created(session, number), make.state("running", session))
            request = ev.ModelRequested(adapter="test", adapter_version=1, envelope={}, sha256="")
            await writer.append(said(session, request, 1), answered(session, 1), answered(session, 2))
            failed = ev.ModelAttemptFailed(
                request=3, attempt=1, reason="fatal", status=400, message="no", refused="conversation"
            )
            refused = ev.StateChanged(state="needs_you", need="refused", reason="it refuses the conversation")
            asked = ev.ControlRequested(verb="shorten")
            await writer.append(said(session, failed, 3), said(session, refused), said(session, asked))
        written = ev.SummaryWritten(number=1, from_step=1, to_step=1, text=ev.LongText("I looked."), tokens_after=40)
        for body, step in (
            (ev.StateChanged(state="running"), None),
            (written, None),
            (ev.StateChanged(state="paused"), None),
            (ev.ControlRequested(verb="drop"), None),
            (ev.ReplySuperseded(old=5), 2),
            (ev.ControlRequested(verb="retry"), None),
        ):
            await writer.append(said(SHORTENED, body, step))


async def write_keeping_log(path: Path) -> None:
    """A branch whose beginning is gone, and on which terms it may be used."""
    async with await LogWriter.open(path, clock=lambda: 1_700_000_000_000) as writer:
        name, gone = "01JZZZZZZZZZZZZZZZZZZZZZZZ", "01JYYYYYYYYYYYYYYYYYYYYYYY"
        created = ev.SessionCreated(number=2, title="a branch", task="Go on.", model=ev.ModelSpec("openai", "m"))
        tombstone = ev.SessionPurged(session=gone, number=1, events=3, blobs=1, sha256="0" * 64, why="asked for")
        await writer.append(ev.NewEvent(name, created))
        await writer.append(ev.NewEvent(name, ev.TermsSet(license="CC0", consent="given"), actor="human:ada"))
        await writer.append(ev.NewEvent(ev.HOST_SESSION, tombstone, actor="human:ada"))
        await writer.append(ev.NewEvent(name, ev.BeginningPurged(session=gone, why="asked for"), actor="human:ada"))


async def write_harness_log(path: Path) -> None:
    """A summary that showed late, with the advice that went into it; a sub-agent that was taken for the main line."""
    async with await LogWriter.open(path, clock=lambda: 1_700_000_000_000) as writer:
        name = "01JXXXXXXXXXXXXXXXXXXXXXXX"
        created = ev.SessionCreated(
            number=3, title="codex", task="Go on.", model=ev.ModelSpec("openai", "m"), harness=ev.Harness(name="codex")
        )
        await writer.append(ev.NewEvent(name, created), make.state("running", name))
        for body, step in (
            (ev.AdviceQueued(advice=1, text="Be careful."), None),
            (ev.AdviceDelivered(advice=(1,), at_step=2, text="<advice>Be careful.</advice>"), 2),
            (ev.AdviceRequeued(advice=1, text="Be careful.", why="not_delivered"), None),
            (ev.AdviceStanding(advice=1, standing=True), None),
            (ev.ThreadAssigned(line="summary", requests=(7,), why="its reply begins the next"), 2),
            (ev.ReplySuperseded(old=8, why="summary"), 2),
            (ev.ThreadAssigned(line="child", requests=(9, 12)), None),
            (ev.ThreadAssigned(line="main", thread="side 93ab"), None),
        ):
            await writer.append(ev.NewEvent(name, body, step=step, actor="human:ada"))


async def write_talked_log(path: Path) -> None:
    """A program that is told its task, asks whether it may, and is told what a person said since."""
    async with await LogWriter.open(path, clock=lambda: 1_700_000_000_000) as writer:
        name = "01JWWWWWWWWWWWWWWWWWWWWWWW"
        harness = ev.Harness(name="little", command=("little", "acp"), acp=True)
        model = ev.ModelSpec("openai", "m")
        options = (ev.QuestionOption("once", "Allow once", "allow_once"), ev.QuestionOption("no", "Reject"))
        for body in (
            ev.SessionCreated(number=4, title="talked to", task="Write.", model=model, harness=harness),
            ev.StateChanged(state="running"),
            ev.HarnessOpened(job=1, conversation="talk-1", can_load=True, agent="little 1.2"),
            ev.HarnessPrompted(job=1, prompt=1, text="Write."),
            ev.QuestionAsked(question=1, text="Run ls", until=None, options=options, request="1 call-1 1"),
            ev.StateChanged(state="needs_you", need="question", reason="Run ls"),
            ev.QuestionAnswered(question=1, text="Allow once", option="once"),
            ev.StateChanged(state="running"),
            ev.HarnessRested(job=1, prompt=1, why="end_turn"),
            ev.AdviceQueued(advice=1, text="A poem."),
            ev.AdviceDelivered(advice=(1,), at_step=1, text="<advice>\nA poem.\n</advice>", as_prompt=True),
        ):
            await writer.append(ev.NewEvent(name, body))


async def write_compared_log(path: Path) -> None:
    """Two people on two sessions of one task; one of them thinks again."""
    async with await LogWriter.open(path, clock=lambda: 1_700_000_000_000) as writer:
        older, younger = (f"01JV{'V' * 21}{number}" for number in (1, 2))
        for number, name in enumerate((older, younger), 1):
            model = ev.ModelSpec("openai", "m")
            made = ev.SessionCreated(number=number, title=f"way {number}", task="Learn.", task_id="learn", model=model)
            await writer.append(ev.NewEvent(name, made))
        for by, verdict, note in (("ada", "better", "it waited"), ("ben", "equal", ""), ("ada", "worse", "")):
            word = ev.PreferenceStated(other=younger, verdict=verdict, note=note)  # type: ignore[arg-type]
            await writer.append(ev.NewEvent(older, word, actor=f"human:{by}"))


async def write_shell_log(path: Path) -> None:
    """A shell in which a file was made, changed and removed; and one whose app was killed."""
    async with await LogWriter.open(path, clock=lambda: 1_700_000_000_000) as writer:
        name = "01JVVVVVVVVVVVVVVVVVVVVVVV"
        model = ev.ModelSpec("openai", "m")
        files = (ev.TouchedFile("a.py"), ev.TouchedFile("new.py", "new"), ev.TouchedFile("old.py", "removed"))
        for body in (
            ev.SessionCreated(number=5, title="looked into", task="Write.", model=model),
            ev.ShellOpened(inside="inside bwrap, network off"),
            ev.ShellClosed(opened=2, files=files, more=7, unknown="the workspace is too large", duration_ms=5_000),
            ev.ShellOpened(inside="not contained"),
        ):
            await writer.append(ev.NewEvent(name, body, actor="human:ada"))


async def write_joined_log(path: Path) -> None:
    """A harness whose model's server takes no two turns of the user in a row."""
    async with await LogWriter.open(path, clock=lambda: 1_700_000_000_000) as writer:
        name = "01JVVVVVVVVVVVVVVVVVVVVVVV"
        harness, model = ev.Harness(name="little", command=("little",)), ev.ModelSpec("openai", "m")
        for body in (
            ev.SessionCreated(number=5, title="joined", task="Write.", model=model, harness=harness),
            ev.StateChanged(state="running"),
            ev.AdviceQueued(advice=1, text="A poem."),
            ev.AdviceDelivered(advice=(1,), at_step=1, text="<advice>\nA poem.\n</advice>"),
            ev.AdviceJoined(why="openai:m answered 400: Conversation roles must alternate user/assistant"),
        ):
            await writer.append(ev.NewEvent(name, body))


async def write_named_log(path: Path) -> None:
    """A session that is named anew, tagged, put away with others, and brought back as it had ended."""
    async with await LogWriter.open(path, clock=lambda: 1_700_000_000_000) as writer:
        name = "01JVVVVVVVVVVVVVVVVVVVVVVV"
        created = ev.SessionCreated(number=5, title="run", task="Go.", model=ev.ModelSpec("openai", "m"), tags=("a",))
        await writer.append(ev.NewEvent(name, created), make.state("running", name), make.state("finished", name))
        for body in (
            ev.SessionRenamed(title="tune-lr"),
            ev.SessionTagged(added=("keep", "lr"), removed=("a",), bulk="01B1"),
            ev.SessionTagged(removed=("keep",)),
            ev.ControlRequested(verb="archive", bulk="01B2"),
            ev.StateChanged(state="archived"),
            ev.ControlRequested(verb="unarchive", undoes=7),
            ev.StateChanged(state="finished", reason="brought back from the archive"),
        ):
            await writer.append(ev.NewEvent(name, body, actor="human:ada"))


def summaries_of(*paths: Path) -> dict[str, Summary]:
    """The summaries that this version's fold makes of the logs' events."""
    found: dict[str, Summary] = {}
    for path in paths:
        with closing(LogReader(path)) as reader:
            found |= fold_summaries(reader.stream())
    return found


def _turn(step: int) -> Iterator[dict[str, Any]]:
    if step == 1:
        yield {"role": "user", "content": "make it learn"}
    else:
        yield {"role": "assistant", "content": None, "tool_calls": [{"id": f"c{step - 1}.1"}]}
        yield {"role": "tool", "content": f"Zeile {step} \u2028 🌍", "tool_call_id": f"c{step - 1}.1"}


def _request(
    prompt: list[dict[str, Any]], turn: list[dict[str, Any]], parent: int | None
) -> tuple[ev.ModelRequested, list[Blob]]:
    envelope, tools = {"model": "m", "temperature": 0.5, "stream": True}, [{"name": "run", "parameters": {}}]
    system = "be brief"
    blobs = [Blob.of(canonical_json(value)) for value in (system, tools, *turn)]
    sent = canonical_json({**envelope, "messages": prompt, "system": system, "tools": tools})
    pairs = zip(turn, blobs[2:], strict=True)
    body = ev.ModelRequested(
        adapter="test",
        adapter_version=1,
        envelope=envelope,
        system=blobs[0].hash,
        tools=blobs[1].hash,
        parent=parent,
        append=tuple(ev.MessageRef(blob.hash, str(message["role"])) for message, blob in pairs),
        sha256=hashlib.sha256(sent).hexdigest(),
    )
    return body, blobs


def main() -> None:
    """Make what is missing."""
    FOLDER.mkdir(exist_ok=True)
    anew = "--anew" in sys.argv
    if anew or not LOG.exists():
        LOG.unlink(missing_ok=True)
        asyncio.run(write_log(LOG))
    if not LATER.exists():
        asyncio.run(write_later_log(LATER))
    if not KEEPING.exists():
        asyncio.run(write_keeping_log(KEEPING))
    if not HARNESS.exists():
        asyncio.run(write_harness_log(HARNESS))
    if not TALKED.exists():
        asyncio.run(write_talked_log(TALKED))
    if not COMPARED.exists():
        asyncio.run(write_compared_log(COMPARED))
    if not JOINED.exists():
        asyncio.run(write_joined_log(JOINED))
    if not SHELL.exists():
        asyncio.run(write_shell_log(SHELL))
    if not NAMED.exists():
        asyncio.run(write_named_log(NAMED))
    if anew or not SUMMARIES.exists():
        made = msgspec.json.encode(summaries_of(LOG, LATER), order="sorted")
        SUMMARIES.write_bytes(msgspec.json.format(made, indent=1) + b"\n")
    for neighbour in FOLDER.glob("*.sqlite-*"):
        neighbour.unlink()


if __name__ == "__main__":
    main()
