"""One entry of the log laid out for reading: what it is, its flags, arguments, changes and output, the reply it is of.

Rendered (Markdown, code, JSON and diffs in their roles, arguments that say nothing left out), or as it was written:
that is what is copied and what a pager shows. What the model did not see of an output is there, and marked as such.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from apollo_tui.backend.feed import Feed
from apollo_tui.state.action_details import EntryDetails, read_details, step_of
from sessions import events as ev
from sessions.annotators import shown_name
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.fold.result_status import result_status
from sessions.fold.tool_defaults import default_names
from sessions.fold.tool_edits import PATHS
from sessions.fold.tool_roles import COMMANDS, command_of, role_of, thought_of
from sessions.labels import Taxonomy
from sessions.log.reader import LogReader
from widgets.code_text import find_language
from widgets.content_text import Kind, text_rows
from widgets.diff_text import diff_lines
from widgets.entry_kinds import arguments_beside, changed_lines, result_mark
from widgets.glyphs import VERDICTS, duration, state_mark
from widgets.json_text import json_line, json_rows
from widgets.models import CODE_BAR, REASON_BAR, RULE, Line, Role, Span, TextRow
from widgets.sanitise import clean, clean_line
from widgets.tool_call_text import NO_TOOLS, plan_lines, told_diffs

TOLD: Final = "what the model was told with it"
TOLD_PARTLY: Final = "what stood there before is not told"
NOT_MADE: Final = "not made: the call failed"
PROSE: Final = frozenset({"summary", "question", "prompt", "text", "message", "description", "answer", "plan", "task"})
"""Arguments that are written for people."""
CODE: Final[Mapping[str, str]] = {"code": "python", "script": "bash", "sql": "sql"}
"""Arguments that are code, and its language if nothing else says it."""
KINDS: Final[Mapping[str, str]] = {
    "model.reply": "reply", "model.interrupted": "interrupted reply", "eval.scored": "eval",
    "summary.written": "summary", "session.created": "task", "advice.queued": "advice",
    "advice.delivered": "advice delivered", "session.state": "state", "nudge.sent": "nudge",
    "question.asked": "question", "question.answered": "answer", "model.attempt_failed": "failed attempt",
}  # fmt: skip
"""How entries that are no calls are called."""
SHORT: Final = 100
"""Characters of a value that stands beside its name."""
ALL: Final = 1 << 30
BRIEF: Final = 500
"""Characters of what was thought and said before a call that stand above it; more stands below its output."""

_SHOWS_FILE: Final = re.compile(r"\s*(?:cat|head|tail|sed -n|nl)\b[^|;&<>\n]*?([\w./-]+\.\w+)\s*")


class Layout(NamedTuple):
    """How an entry is shown: ``written`` as it is in the log, else rendered. ``tools``: what those of the session's
    harness are for."""

    labels: Taxonomy
    tools: Mapping[str, str] = NO_TOOLS
    written: bool = False

    def text(self, text: str, kind: Kind = "plain", language: str = "", role: Role = "text") -> list[TextRow]:
        """A text of the log as rows."""
        return list(text_rows(text, "plain" if self.written else kind, "" if self.written else language, role))

    def section(self, title: str, rows: Iterable[TextRow] = ()) -> list[TextRow]:
        """A part of the entry, set apart from what stands above it."""
        name = clean_line(title)
        if self.written:
            return [row(()), row(((name, "title"),)), *rows]
        return [row(((f"{name} ", "title"), RULE)), *rows]

    def text_section(
        self, title: str, text: str, kind: Kind = "plain", language: str = "", role: Role = "text"
    ) -> list[TextRow]:
        """A part that is a text; without one, its title alone."""
        text = text.strip("\n")
        return self.section(title, self.text(text, kind, language, role) if text else ())


def row(line: Line) -> TextRow:
    """A row that stands for what it shows."""
    return TextRow(line, "".join(text for text, _ in line))


def details_rows(
    details: EntryDetails, labels: Taxonomy, tools: Mapping[str, str] = NO_TOOLS, *, written: bool = False
) -> list[TextRow]:
    """The whole entry; ``written``: nothing rendered, nothing left out."""
    layout = Layout(labels, tools, written)
    rows = [row(_head(details, tools)), *map(row, _job(details)), *map(row, _remarks(details, layout))]
    reply = _reply(details, layout)
    first = not written and bool(details.anchor.call) and _is_brief(details.reply)
    if first:  # what it was done for is read before what was done
        rows, reply = rows + reply, []
    anchor = details.anchor.body
    if isinstance(anchor, ev.ActionStarted):
        rows += _call(details, anchor, layout)
    elif isinstance(anchor, ev.ActionRefused):
        rows += layout.text_section("what the model wrote", anchor.arguments, "output")
        wrong = anchor.problem or anchor.why.replace("_", " ")
        rows += layout.text_section("what was wrong", wrong, role="error" if anchor.malformed else "text")
        if anchor.shown == wrong and not written:
            return rows + reply + _usage(details) + _advice(details, layout)
    for change, diff in details.diffs:
        lines = diff_lines(diff, ALL)
        if not written and len(lines) > 2 and lines[0][0][0].startswith("--- "):
            lines = lines[2:]  # the row above says it
        said: Line = (("+", "add"), (str(change.added), "add"), (f" −{change.removed}", "remove"))
        rows += _changes(change.path, ((" ", "text"), *said), lines, layout)
    return rows + _output(details, layout) + reply + _usage(details) + _advice(details, layout)


def details_lines(details: EntryDetails, labels: Taxonomy, tools: Mapping[str, str] = NO_TOOLS) -> list[Line]:
    """The whole entry as it was written."""
    return [found.line for found in details_rows(details, labels, tools, written=True)]


def _head(details: EntryDetails, tools: Mapping[str, str]) -> Line:
    anchor, result = details.anchor, details.result
    name = getattr(anchor.body, "name", "") or KINDS.get(anchor.kind, anchor.kind)
    facts = [_clock(anchor.at), *_facts(anchor)]
    outcome: Line = ()
    if isinstance(anchor.body, ev.ActionRefused):
        outcome = (("✗ malformed", "error"),) if anchor.body.malformed else (("– not run", "strong"),)
    elif result is not None:
        arguments = anchor.body.arguments if isinstance(anchor.body, ev.ActionStarted) else {}
        mark = result_mark(result, role_of(name, arguments, tools))
        outcome = ((f"{mark.glyph} {mark.word or 'ok'}", mark.role),)
        took = f"took {duration(result.duration_ms)}" if result.duration_ms else "how long it took is not known"
        facts.append(took)
        facts.append("the environment's fault" if result.environment else "")
    elif isinstance(anchor.body, ev.ActionStarted):
        outcome = (("… running", "accent"),)
    target = f"{anchor.step}.{anchor.call}" if anchor.call else (f"{anchor.step}" if anchor.step else "")
    tail = "  ".join(fact for fact in facts if fact)
    return ((f"{target} ", "dim"), (clean_line(name), "strong"), ("  ", "text"), *outcome, (f"  {tail}", "dim"))


def _facts(anchor: ev.Event) -> list[str]:
    """What an entry that is no call says beside its text."""
    by = "" if anchor.actor in ("host", "agent", "import") else f"by {clean_line(shown_name(anchor.actor))}"
    match anchor.body:
        case ev.SummaryWritten() as body:
            return [f"S{body.number} of steps {body.from_step} to {body.to_step}"]
        case ev.EvalScored() as body:
            score = "✗ no score" if body.score is None else f"score {body.score:g}, {body.better} is better"
            return [score, f"{body.used} of {body.budget} used" if body.budget else ""]
        case ev.AdviceQueued() as body:
            return [f"number {body.advice}", by, body.reach or ""]
        case ev.StateChanged() as body:
            return [state_mark(body.state).text, by]
    return [by]


def _job(details: EntryDetails) -> Iterator[Line]:
    """What became of a command that went on in the background."""
    result, ended = details.result, details.ended
    if details.job is None or result is None or result_status(result) != "background":
        return
    name: Line = ((f"job {details.job} ", "dim"),)
    if ended is None:
        yield (*name, ("has not ended", "text"))
        return
    after = f" after {duration(ended.duration_ms)}" if ended.duration_ms else ""
    if ended.how != "exited":
        yield (*name, (ended.how.replace("_", " ") + after, "text"))
    elif ended.exit_code:
        yield (*name, (f"✗ exit {ended.exit_code}{after}", "error"))
    else:
        yield (*name, (f"✓ exit {ended.exit_code}{after}", "text"))


def _is_brief(reply: ev.ModelReplied | None) -> bool:
    parts = reply.parts if reply is not None else ()
    return sum(len(part.text) for part in parts if isinstance(part, ReasoningPart | TextPart)) <= BRIEF


def _remarks(details: EntryDetails, layout: Layout) -> Iterator[Line]:
    """What people and rules say of it."""
    for who, flag, at in details.flags:
        what = layout.labels.name(flag.label) if flag.verdict == "bad" else flag.verdict
        note = f": {clean_line(flag.note)}" if flag.note else ""
        by = clean_line(shown_name(who))
        mark: Role = "flag" if flag.verdict == "bad" else "strong"
        yield ((f"{VERDICTS[flag.verdict]} ", mark), (f"{clean_line(what)} by {by}, {_clock(at)}{note}", "text"))
    for one in details.corrections:
        by = clean_line(shown_name(one.by))
        yield ()
        yield (("↳ ", "flag"), ("instead", "strong"), (f", by {by}, {_clock(one.at)}", "dim"))
        for line in clean(one.text).splitlines():
            yield ((line, "text"),)


# --- what was called, and what it changed ----------------------------------------------------------------------------


def _call(details: EntryDetails, body: ev.ActionStarted, layout: Layout) -> list[TextRow]:
    told = [] if details.diffs else told_diffs(body.name, body.arguments, layout.tools)
    made = details.result is None or result_mark(details.result, "edit").role != "error"
    if layout.written:
        told = told if made else []
        beside = arguments_beside(body.arguments, told)
        rows = layout.text_section("arguments", pretty(beside)) if beside else []
    elif thought := thought_of(body.name, body.arguments):
        rows = layout.section("thought", barred(layout.text(thought, "markdown", role="reason"), REASON_BAR))
    else:
        known: Sequence[Any] = told or details.diffs
        hidden = default_names(body.name, body.arguments)
        beside = arguments_beside(body.arguments, known)
        beside = {key: value for key, value in beside.items() if key not in hidden}
        found = list(_arguments(beside, layout))
        rows = layout.section("arguments", found) if found else []
    for diff in told:
        remark = TOLD_PARTLY if made and diff.partly else "" if made else NOT_MADE
        rows += _changes(diff.path, changed_lines([diff]), diff_lines(diff.text, ALL), layout, remark)
    return rows


def _changes(path: str, said: Line, lines: Iterable[Line], layout: Layout, remark: str = "") -> list[TextRow]:
    """What changed in a file, below its name."""
    head: Line = ((clean_line(path), "strong"), *said)
    rows = [row(()), row(head)] if layout.written else [row((*head, (" ", "text"), RULE))]
    rows += [row(((remark, "dim"),))] if remark else []
    return rows + [row(line) for line in lines]


def _arguments(arguments: Mapping[str, Any], layout: Layout) -> Iterator[TextRow]:
    """What the call was told: the command first, then short values beside their names, then long ones below theirs."""
    if plan := plan_lines(arguments):
        yield from map(row, plan)
        return
    command = command_of(arguments)
    if command:
        rows = layout.text(command.strip("\n"), "command")
        yield from (TextRow((("$ ", "dim"), *only.line), only.raw) for only in rows if len(rows) == 1)
        yield from barred(rows) if len(rows) > 1 else ()
    rest = {key: value for key, value in arguments.items() if not (command and key in COMMANDS)}
    short = {key: value for key, value in rest.items() if _is_short(value)}
    widest = max((len(clean_line(key, 40)) for key in short), default=0)
    for key, value in short.items():
        shown: Line = ((clean_line(value), "text"),) if isinstance(value, str) else json_line(_as_json(value))
        name = clean_line(key, 40)
        raw = value if isinstance(value, str) else _as_json(value)
        yield TextRow(((f"{name:<{widest}}  ", "code-name"), *shown), f"{name}: {raw}")
    language = next((found for key in PATHS if (found := find_language(str(arguments.get(key, ""))))), "")
    for key, value in rest.items():
        if key not in short:
            yield row(((clean_line(key, 80), "code-name"),))
            yield from barred(_long_value(key, value, language, layout))


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return "\n" not in value and len(value) <= SHORT
    return not isinstance(value, dict | list) or len(_as_json(value)) <= SHORT


def _long_value(key: str, value: Any, language: str, layout: Layout) -> list[TextRow]:
    if not isinstance(value, str):
        text = clean(_as_json(value))
        return list(json_rows(text) or text_rows(text))
    text = value.strip("\n")
    if key in PROSE:
        return layout.text(text, "markdown")
    if key in CODE or language:
        return layout.text(text, "code", language or CODE[key])
    return layout.text(text, "output")


def barred(rows: Iterable[TextRow], bar: Span = CODE_BAR) -> list[TextRow]:
    """Rows with a bar before them."""
    return [found._replace(line=(bar, *found.line)) for found in rows]


def pretty(arguments: Mapping[str, object]) -> str:
    """Arguments as they were written: one per paragraph, long strings as they are rather than escaped."""
    found = []
    for name, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        found.append(f"{name}:\n{text}" if "\n" in text else f"{name}: {text}")
    return "\n".join(found)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


# --- what came of it -------------------------------------------------------------------------------------------------


def _output(details: EntryDetails, layout: Layout) -> list[TextRow]:
    if not details.output:
        told = layout.text_section(TOLD, details.shown, "output") if details.shown else []
        empty = [] if details.result is None else layout.section("output", [row((("(empty)", "dim"),))])
        return [*empty, *(told if empty else [])]
    named = {"advice.queued": "advice", "session.created": "task", "action.refused": "what the model was told"}
    kind = details.anchor.kind
    said = details.result is None and kind not in ("action.refused", "eval.scored")
    title = "output" if details.result is not None else named.get(kind, "text")
    kind_of, language = _kind_of_output(details, said)
    rows = layout.section(title)
    result = details.result
    unseen = split_unseen(details.output, details.shown, result.hidden_chars if result is not None else 0)
    rows += layout.text(unseen.head, kind_of, language)
    if unseen.hidden:
        rows.append(row(((f"── {unseen.characters:,} characters the model did not see ──", "need"),)))
        rows += layout.text(unseen.hidden, role="unseen")
        rows.append(row((("── from here the model saw it again ──", "need"),)))
        rows += layout.text(unseen.tail, kind_of, language)
    if unseen.overwritten:
        words = "characters that were overwritten on their line, which the model did not see"
        rows.append(row(((f"── {unseen.overwritten:,} {words} ──", "need"),)))
    if unseen.added:
        rows += layout.text_section(TOLD, unseen.added)
    if details.lost or details.file:
        place = f"; the session's folder has it: {clean_line(details.file)}" if details.file else ""
        what = f"{details.lost:,} more characters are" if details.lost else "the whole output is"
        rows.append(row(((f"── {what} not in the log{place} ──", "need"),)))
    return rows


def _kind_of_output(details: EntryDetails, said: bool) -> tuple[Kind, str]:
    """How an output is painted: what was said to or by the agent as Markdown, a file in the roles of its language."""
    if said:
        return "markdown", ""
    arguments = details.anchor.body.arguments if isinstance(details.anchor.body, ev.ActionStarted) else {}
    shown = _SHOWS_FILE.fullmatch(command_of(arguments)[:1000])
    if shown is not None and (language := find_language(shown[1])):
        return "code", language
    return "output", next((found for key in PATHS if (found := find_language(str(arguments.get(key, ""))))), "")


def _reply(details: EntryDetails, layout: Layout) -> list[TextRow]:
    if details.reply is None:
        return []
    rows: list[TextRow] = []
    for part in details.reply.parts:
        match part:
            case ReasoningPart():
                title = "reasoning before it" if details.anchor.call else "reasoning"
                thought = layout.text(part.text.strip("\n"), "markdown", role="reason") if part.text else []
                rows += layout.section(title, thought if layout.written else barred(thought, REASON_BAR))
            case TextPart():
                rows += layout.text_section("said before it" if details.anchor.call else "text", part.text, "markdown")
            case CallPart() if not details.anchor.call:
                rows += layout.section(f"call {part.name}", _written_call(part, layout))
    return rows


def _usage(details: EntryDetails) -> list[TextRow]:
    usage = details.reply.usage if details.reply is not None else None
    if not usage:
        return []
    said = f"{usage.input_tokens:,} tokens in ({usage.cached_tokens:,} cached), {usage.output_tokens:,} out"
    return [row(()), row(((said, "dim"),))]


def _written_call(part: CallPart, layout: Layout) -> list[TextRow]:
    """A call as its reply has it; what is no JSON object stands there as it is."""
    try:
        arguments = json.loads(part.arguments) if part.arguments and not layout.written else None
    except (ValueError, RecursionError):
        arguments = None
    if isinstance(arguments, dict):
        return list(_arguments(arguments, layout))
    return layout.text(part.arguments.strip("\n")) if part.arguments else []


def _advice(details: EntryDetails, layout: Layout) -> list[TextRow]:
    rows: list[TextRow] = []
    for event in details.advice:
        text = event.body.text if isinstance(event.body, ev.AdviceDelivered | ev.QuestionAnswered) else ""
        rows += layout.text_section(f"advice at step {step_of(event)}", text, "markdown")
    return rows


class UnseenOutput(NamedTuple):
    """An output as the model saw it: ``head`` and ``tail``, without what is ``hidden`` between them.

    ``characters``: so many are hidden; ``overwritten``: those that carriage returns took away; ``added``: what the
    model was told behind it.
    """

    head: str
    hidden: str = ""
    tail: str = ""
    characters: int = 0
    overwritten: int = 0
    added: str = ""


def split_unseen(output: str, shown: str | None, hidden_chars: int) -> UnseenOutput:
    """What of ``output`` the model did not see: the log says how much that is, and ``shown`` says where.

    ``shown`` is another text also where tags were escaped, and where a recording had the result in a form of its own:
    that hides nothing.
    """
    if shown is None or shown == output:
        return UnseenOutput(output)
    from sessions.agent.advice import level_tags  # the app starts without what runs agents and tools
    from sessions.jobs.output import last_state
    from sessions.tools.observations import find_cut

    # What was overwritten is not shown to a person either.
    kept = last_state(output)
    whole, told = level_tags(kept), level_tags(shown)
    overwritten = min(hidden_chars, len(output) - len(kept))
    count = hidden_chars - overwritten
    if not count:
        added = told[len(whole) :] if told.startswith(whole) else ""
        return UnseenOutput(kept, overwritten=overwritten, added=added.strip("\n"))
    cut = find_cut(whole, told)
    if cut is None:
        most = min(len(whole), len(told))
        start = _common(whole, told, most)
        cut = start, len(whole) - _common(whole[::-1], told[::-1], most - start), ""
        count = cut[1] - start
    start, end, added = cut
    return UnseenOutput(kept[:start], kept[start:end], kept[end:], count, overwritten, added.strip("\n"))


def _common(a: str, b: str, most: int) -> int:
    """Length of the common prefix, by halving: texts have megabytes."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _clock(at: int) -> str:
    return dt.datetime.fromtimestamp(at / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def plain_text(lines: Sequence[Line]) -> str:
    """Lines without their roles, for the clipboard and the pager."""
    return "\n".join("".join(text for text, _ in line) for line in lines) + "\n"


async def read_entry_text(feed: Feed, labels: Taxonomy, session: str, seq: int) -> str:
    """All of one entry as plain, harmless text; "" if it is not in the log."""

    def ask(reader: LogReader) -> tuple[EntryDetails | None, Mapping[str, str]]:
        summary = reader.summary(session)
        return read_details(reader, session, seq), summary.tools if summary is not None else NO_TOOLS

    details, tools = await feed.work(ask)
    return plain_text(details_lines(details, labels, tools)) if details else ""
