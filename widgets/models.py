"""What widgets are given: frozen data, already folded from the log. All times are Unix milliseconds, durations ms.

Texts in here may be foreign (a model's, a tool's, a path): builders in this package clean them, and every painter
cleans once more what it cannot know to be clean. A ``Line`` is a tuple of ``(text, role)``; roles become styles in
``widgets.paint``.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import msgspec

from sessions.events.states import State

Role = Literal[
    "text",
    "dim",
    "strong",
    "accent",
    "need",
    "flag",
    "reason",
    "call",
    "error",
    "add",
    "remove",
    "match",
    "current",
    "trained",
    "masked",
    "unseen",
    "title",
    "title-on",
    "rule",
    "heading",
    "code",
    "code-keyword",
    "code-string",
    "code-number",
    "code-comment",
    "code-name",
]
"""What a piece of text is; never a colour. ``title-on`` is the title of the pane that has the focus."""

Span = tuple[str, Role]
Line = tuple[Span, ...]

REASON_BAR: Final[Span] = ("┊ ", "dim")
"""Stands before all rows of what a model thinks: text has none."""
CODE_BAR: Final[Span] = ("│ ", "dim")
"""Stands before all rows of code within a text, and of a long argument."""
RULE: Final[Span] = ("─", "rule")
"""At the end of a line of a document it goes on to the edge."""


class TextRow(NamedTuple):
    """A row of a text as it is painted, and the piece of the text that it stands for; ``ends``: so does its line there.

    The pieces of all rows, with a line break where one ends, are the text: what is found in it has a row.
    """

    line: Line
    raw: str
    ends: bool = True


EntryKind = Literal[
    "task", "reply", "action", "advice", "summary", "state", "nudge", "eval", "question", "problem", "fold", "side"
]

Outcome = Literal[
    "", "ok", "error", "timeout", "interrupted", "unknown", "running", "background", "malformed", "skipped"
]


class FlagMark(msgspec.Struct, frozen=True):
    """One verdict on an entry. ``by`` is the actor: ``human:NAME``, ``rule:NAME``, ``judge:NAME``."""

    flag: str
    verdict: Literal["bad", "good", "unsure"]
    label: str
    by: str
    note: str = ""


class CorrectionMark(msgspec.Struct, frozen=True):
    """What somebody says should have been done instead of an entry. ``by`` is the actor."""

    by: str
    text: str


class Entry(msgspec.Struct, frozen=True):
    """One thing of a transcript. ``seq`` is the seq of its anchor event and its identity for ever.

    ``head`` is one line (no step number, no outcome); ``body`` is always shown, wrapped; ``detail`` only when
    expanded; ``tail`` is the last meaningful line of a result; ``note`` says how it stands ("delivered at step 41").
    ``quiet`` entries are routine (a reply of calls only, running → sleeping) and take no room by default.
    """

    seq: int
    kind: EntryKind
    at: int
    step: int | None = None
    call: int | None = None
    name: str = ""
    head: Line = ()
    body: tuple[Line, ...] = ()
    detail: tuple[Line, ...] = ()
    tail: str = ""
    outcome: Outcome = ""
    duration_ms: int | None = None
    since: int | None = None
    note: str = ""
    outcome_word: str = ""
    """How an ``error`` came about, where that is known: ``exit 1``."""
    preview: tuple[Line, ...] = ()
    """What it changes, in a few rows that are cropped: shown where there is room, not in live panes."""
    flags: tuple[FlagMark, ...] = ()
    corrections: tuple[CorrectionMark, ...] = ()
    quiet: bool = False
    polling: bool = False
    live: bool = False
    members: tuple[int, ...] = ()
    """The seqs that a fold stands for."""
    to_step: int | None = None
    """The last step that its row stands for, where that is a run of steps."""
    marks: tuple[str, ...] = ()
    """What the training view says of each part of it; of a fold, of every part that it stands for."""
    cost: float | None = None
    """US dollars that a side call cost, None: not known, or no side call."""
    failure: str = ""
    """What went wrong, and of which call: the same for the same failure again; "" where nothing did."""
    job: int | None = None
    """The job that it started, or is about."""

    @property
    def target(self) -> str:
        """``41.2``, ``41``, or "" where it has no step."""
        if self.step is None:
            return ""
        return f"{self.step}.{self.call}" if self.call else f"{self.step}"


class LivePart(msgspec.Struct, frozen=True):
    """One part of a reply that is still streaming; ``name`` is the tool of a call."""

    channel: Literal["reasoning", "text", "call"]
    text: str
    name: str = ""


class LiveReply(msgspec.Struct, frozen=True):
    """A partial reply; it is in no log yet. ``widgets.live.grow`` makes one from frames."""

    step: int
    attempt: int = 1
    parts: tuple[LivePart, ...] = ()


class Anchor(NamedTuple):
    """One entry of a transcript's index, before it is loaded: what ``LogReader.anchors`` returns. A long session has a
    hundred thousand, and a tuple is made six times as fast as a frozen dataclass."""

    seq: int
    step: int | None
    call: int | None
    kind: str


class SessionView(msgspec.Struct, frozen=True):
    """One session as lists, pane titles and the header show it. ``why`` is the reason it stands out, "" if none;
    ``can_wait``: it is no hurry."""

    id: str
    number: int
    title: str
    state: State
    model: str = ""
    state_words: str = ""
    step: int = 0
    active_ms: int = 0
    age_ms: int = 0
    has_times: bool = True
    """False for a recording that does not say when it was: its age and active time are not known."""
    context_tokens: int = 0
    context_limit: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    """Replies whose cost is unknown."""
    unread: int = 0
    why: str = ""
    can_wait: bool = False
    needs_you: bool = False
    last_line: str = ""
    pending: str = ""
    flags: int = 0
    activity: tuple[int, ...] = ()
    """Steps per slot of time, oldest first, for a sparkline."""
    sign_off: str = ""
    begins: str = ""
    """Of which session it is a branch or a child."""
    group: str = ""
    """What the sessions from here on have in common, at the first of them."""
    parent: str = ""
    """The id of the session that started it, where that is in the list."""
    children: int = 0
    """How many sub-agents are below it, also those of its own."""
    children_need: int = 0
    """How many of them want somebody."""
    child_address: str = ""
    """What people call a sub-agent by."""
    not_contained: bool = False
    """Its commands may run, as the host's own user with all that is his."""

    @property
    def address(self) -> str:
        """What people call it by: ``3``, ``3.a``."""
        return self.child_address or str(self.number)


class HeaderView(msgspec.Struct, frozen=True):
    """The first line of the app: who needs you first, then counts; ``trouble`` only when link or log are bad."""

    sessions: int = 0
    need_you: int = 0
    first_need: str = ""
    to_judge: int = 0
    """What waits for a verdict."""
    cost: float = 0.0
    who: str = ""
    trouble: str = ""
    place: str = ""
    """What screen this is, "" on the board."""
    can_wait: int = 0
    """Sessions with something to look at that is no hurry."""
    first_age: str = ""
    """Since when the first of them does: it stays where the reason is cut."""
    children: int = 0
    """Sub-agents of these sessions; all other counts are of both."""


class JobView(msgspec.Struct, frozen=True):
    """A job: its number, command, last line of output; ``ended`` says how, "" while it runs."""

    job: int
    command: str
    last_line: str = ""
    running_ms: int = 0
    ended: str = ""


class OutputLine(NamedTuple):
    """A line of an output as it is shown, the byte that it begins at, and how many bytes it is."""

    at: int
    text: str
    size: int
    role: Role = "text"


class OutputHead(msgspec.Struct, frozen=True):
    """What stands over an output: whose it is, the command, and how that stands in words."""

    name: str
    command: str = ""
    facts: tuple[str, ...] = ()
    state: str = ""
    role: Role = "accent"
    place: str = ""
    """Where the reader is: "" while the end is followed."""


class PlanLine(msgspec.Struct, frozen=True):
    """One line of the agent's to-do list."""

    text: str
    status: Literal["todo", "doing", "done", "dropped"] = "todo"


class FactsView(msgspec.Struct, frozen=True):
    """Session facts. ``scores`` are (step, score), oldest first; ``limits`` are (what, used, allowed) in words."""

    session: SessionView
    wall_ms: int = 0
    """From its creation to now, or to its end; 0: a recording that says no times."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    plan: tuple[PlanLine, ...] = ()
    scores: tuple[tuple[int, float], ...] = ()
    better: str = "higher"
    limits: tuple[tuple[str, str, str], ...] = ()
    jobs: tuple[JobView, ...] = ()
    files: tuple[tuple[str, int, int], ...] = ()
    """(path, lines added, lines removed)"""
    remarks: tuple[str, ...] = ()
    """Sign-offs, notes and bookmarks of all annotators, one line each."""
    recording: tuple[str, ...] = ()
    """What the import of ``recording_file`` said of it."""
    recording_file: str = ""
    """What an import could not keep of its file, one line each."""
    advice: tuple[str, ...] = ()
    """Queued advice with what it waits for, one line each."""
    extra: tuple[tuple[str, str], ...] = ()
    """More (name, value) pairs."""
    children: tuple[SessionView, ...] = ()
    """The sub-agents that it started itself."""
    together: str = ""
    """What it has used with all of them, in words; "" where it has none."""
    training: tuple[tuple[str, str], ...] = ()
    """What a policy would train, as (name, value) pairs; empty while nobody asks."""


class Hint(msgspec.Struct, frozen=True):
    """A key and the verb it does here."""

    key: str
    verb: str


class ComposerTarget(msgspec.Struct, frozen=True):
    """What a composer is bound to, from opening to leaving. ``about`` is how the selected action is named."""

    session: str
    address: str
    title: str
    verb: Literal["advise", "answer", "edit", "note", "correct"] = "advise"
    about: str = ""
    ref: int | None = None
    """The number of the advice that is edited, or of the question that is answered."""
    also: tuple[str, ...] = ()
    """How the other sessions are called that get the same advice."""
    reach: Literal["general", "here", ""] = ""
    """How far advice reaches; "": nobody said it, or it is no advice."""


class EarlierText(NamedTuple):
    """A text that was sent before. ``queued``: the number of advice that still waits, and can be edited."""

    text: str
    queued: int | None = None


class Choice(msgspec.Struct, frozen=True):
    """One row of a picker, menu or panel: a fixed one-letter key (may be ""), what it says, an explanation."""

    id: str
    text: str
    key: str = ""
    note: str = ""
    value: str = ""
    """The present value, for menus ("policy  default")."""
    group: str = ""
    disabled: str = ""
    """Why it cannot be chosen, "" if it can."""


class MenuRow(msgspec.Struct, frozen=True):
    """A row of a menu: its id, what it is called, its possible values with words for each, and the present one."""

    id: str
    text: str
    values: tuple[tuple[str, str], ...] = ()
    value: str = ""
    key: str = ""
    note: str = ""
    group: str = ""
    disabled: str = ""

    @property
    def words(self) -> str:
        """The present value in words."""
        return next((words for value, words in self.values if value == self.value), self.value)


class PairRow(msgspec.Struct, frozen=True):
    """A row of two things that are compared, or one line across both (``whole``). ``left_seq`` and ``right_seq``: the
    events that they come of, 0 for none."""

    left: Line = ()
    right: Line = ()
    left_seq: int = 0
    right_seq: int = 0
    head: int = 0
    """Cells of the first span of each side, below which its further lines are not written."""
    whole: Line = ()
