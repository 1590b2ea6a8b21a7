"""The one key table: bindings, footer hints, ``?`` help, what an idle key says and docs/keys.md are made from it.

A key belongs to screens, and acts there when all that it needs is there. Keys without ``typing`` never act while a text
field has the focus. To add a key: add a row here and a function to the table in ``key_functions``, then run
``python -m apollo_tui.keys > docs/keys.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec
from textual.binding import Binding

Place = Literal["board", "session", "action", "review", "output", "workspace", "compare", "export", "new", "panel"]
"""Where a key is valid. ``panel`` is any small panel over a screen: help, labels, leaving, choices."""

PLACES: Final[tuple[Place, ...]] = (
    "board",
    "session",
    "action",
    "review",
    "output",
    "workspace",
    "compare",
    "export",
    "new",
    "panel",
)
VIEWS: Final[frozenset[Place]] = frozenset({"board", "session", "action"})
REVIEW: Final[frozenset[Place]] = frozenset({"review"})
LOOKS: Final[frozenset[Place]] = VIEWS | REVIEW
"""Where an action is looked at, and can be judged."""
BOARD: Final[frozenset[Place]] = frozenset({"board"})
SESSION: Final[frozenset[Place]] = frozenset({"session"})
OUTPUT: Final[frozenset[Place]] = frozenset({"output"})
COMPARE: Final[frozenset[Place]] = frozenset({"compare"})
ACTION: Final[frozenset[Place]] = frozenset({"action"})
EXPORT: Final[frozenset[Place]] = frozenset({"export"})
NEW: Final[frozenset[Place]] = frozenset({"new"})
WORKSPACE: Final[frozenset[Place]] = frozenset({"workspace"})
EVERY: Final[frozenset[Place]] = frozenset(PLACES)
BESIDE: Final[frozenset[Place]] = frozenset({"output", "workspace", "compare", "export"})
"""Where something else than entries is looked at, in several panes."""
FOUND_IN: Final[frozenset[Place]] = frozenset({"output", "workspace", "compare"})
"""Where one searches beside these."""
PAGED: Final[frozenset[Place]] = LOOKS | {"output", "workspace", "compare", "export", "panel"}


class KeyContext(msgspec.Struct, frozen=True):
    """What a key may need: where the annotator is, and what is there."""

    place: Place
    typing: bool = False
    session: bool = False
    live: bool = False
    """The session can run, runs or is paused: it has not ended."""
    action: bool = False
    """An action is selected, or the pane follows and shows one."""
    question: bool = False
    writable: bool = True
    """A host is connected and this client may write."""
    came_from: bool = False
    marked: bool = False
    """Sessions are marked to get the same advice."""
    signal: bool = False
    """The session has a signal: something says that it wants somebody."""
    harness: bool = False
    """The session's agent is a harness, or was one."""
    relatives: bool = False
    """The session has sub-agents, or is one."""
    job: bool = False
    """A command of the session runs."""
    held: bool = False
    """A reply of the session is held until a person lets it go."""
    buffered: bool = True
    """Its replies are handed over when they are whole, so that they can be held."""


Need = Literal[
    "session",
    "live",
    "action",
    "question",
    "writable",
    "came_from",
    "marked",
    "signal",
    "harness",
    "relatives",
    "buffered",
]
"""A field of ``KeyContext`` that must be true for a key to act."""


class Key(msgspec.Struct, frozen=True):
    """One command. ``names``: its keys as Textual calls them; ``label``: a verb; ``help``: a sentence; ``footer``
    orders the hints (0: none); ``needs``: in the order in which a missing one is told."""

    id: str
    names: str
    label: str
    help: str
    group: str
    places: frozenset[Place]
    footer: int = 0
    needs: tuple[Need, ...] = ()
    typing: bool = False
    painter: bool = False
    """Bound by the widget that has the focus, under the same id; the screen does not bind it again."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Its default keys."""
        return tuple(self.names.split())


# fmt: off
KEYS: Final[tuple[Key, ...]] = (
    # moving: the first rows are bound by the painter that has the focus (widgets/paint.py)
    Key("move.down", "down j", "down", "One row down.", "move", EVERY - {"new"}, painter=True),
    Key("move.up", "up k", "up", "One row up.", "move", EVERY - {"new"}, painter=True),
    Key("move.page_down", "space pagedown", "page", "One page down.", "move", PAGED, painter=True),
    Key("move.page_up", "pageup b", "page back", "One page up.", "move", PAGED, painter=True),
    Key("move.start", "g home", "top", "To the first row.", "move", PAGED, painter=True),
    Key("move.end", "G end", "bottom", "To the last row, and follow new ones.", "move", PAGED, painter=True),
    Key("move.open", "enter", "open", "Open what is selected: the session, then the action.", "move",
        PAGED - {"action", "output"}, 8, painter=True),
    Key("next_pane", "tab", "next pane", "To the next pane, or job.", "move", LOOKS | BESIDE),
    Key("previous_pane", "shift+tab", "previous pane", "To the pane before.", "move", LOOKS | BESIDE),
    Key("number", "1 2 3 4 5 6 7 8 9", "session", "To the session with this number.", "move", LOOKS),
    Key("goto", "apostrophe", "session …", "To any session: type its number, then enter.", "move", LOOKS),
    Key("back", "escape ctrl+g", "back", "One level back. Never leaves the app.", "move", EVERY, 6, typing=True),
    Key("jump_back", "ctrl+o", "jump back", "Back to where a jump came from.", "move", VIEWS - {"action"},
        needs=("came_from",)),
    Key("follow", "t", "follow", "Follow the newest events, or stop following.", "move", VIEWS - {"action"} | OUTPUT, 9,
        needs=("session",)),
    Key("previous_action", "left_square_bracket", "previous", "The action before this one.", "move", LOOKS, 10,
        needs=("session",)),
    Key("next_action", "right_square_bracket", "next action", "The action after this one.", "move", LOOKS, 11,
        needs=("session",)),
    # where to look
    Key("next_need", "exclamation_mark", "next", "To the next session that needs you, the worst first.", "look", VIEWS,
        7),
    Key("snooze", "z", "snooze", "Not now: what wants you here comes back in 30 minutes.", "look", VIEWS, 17,
        needs=("session", "writable", "signal")),
    Key("signal_done", "d", "done", "What wants you here was seen to.", "look", LOOKS, 18,
        needs=("session", "writable", "signal")),
    Key("false_alarm", "D", "false alarm", "There was nothing to see; it counts against the rule.", "look", LOOKS,
        needs=("session", "writable", "signal")),
    Key("output", "J", "live output", "What a command prints, as it comes, below this view; again: on all the screen.",
        "look", LOOKS | OUTPUT, needs=("session",)),
    Key("by_attention", "o", "order", "Order the list by who needs you, by activity, name, number.", "look", BOARD),
    Key("group", "O", "group", "Sessions of one task together in the list, or not.", "look", BOARD),
    Key("panes", "P", "panes", "How many panes, and which sessions are always in one; it is kept.", "look", BOARD),
    Key("outline", "O", "outline", "Only plans, jobs, evals, edits, summaries, advice, flags, questions; or all.",
        "look", SESSION, needs=("session",)),
    Key("sub_agents", "A", "sub-agents", "Show or fold the sub-agents of a session; in a session, go to one, or back.",
        "look", BOARD | SESSION | EXPORT, 6, needs=("session", "relatives")),
    Key("filter_items", "w", "filter", "What is reviewed: a kind, rule, session, label or annotator, with counts.",
        "look", REVIEW),
    Key("filter", "w", "filter", "What is shown: all, flagged, errors, unread, without polls, the outline.", "look",
        SESSION, needs=("session",)),
    Key("workspace", "W", "workspace", "The files of the session's workspace: what changed, and by which step.", "look",
        LOOKS, 19, needs=("session",)),
    # the workspace
    Key("files_changed", "c", "since start", "The files that changed since the session began.", "files",
        WORKSPACE, 2),
    Key("files_since_left", "l", "since you left", "The files that changed since you left.", "files", WORKSPACE, 1),
    Key("files_all", "a", "all", "All files.", "files", WORKSPACE, 3),
    Key("files_of_step", "s", "that step", "The files that the same step changed as the one under the cursor.", "files",
        WORKSPACE, 12),
    Key("diff_beginning", "d", "diff", "What changed in the file since the beginning; again: the file.", "files",
        WORKSPACE, 4),
    Key("diff_last_look", "D", "diff to last look",
        "What changed in it since you looked at it last, or left; again: the file.", "files", WORKSPACE, 11),
    Key("copy_path", "y", "copy path", "Copy the whole path; says where the copy went.", "files", WORKSPACE, 9),
    Key("page_file", "v", "pager", "Open the file in $PAGER.", "files", WORKSPACE, 13),
    Key("go_to_author", "o", "open step", "The action that changed the file last, in its transcript.", "files",
        WORKSPACE, 14),
    Key("shell", "dollar_sign", "shell", "A shell in the workspace, inside what contains the session; the log says so.",
        "files", WORKSPACE, 10, needs=("session", "writable")),
    Key("read_again", "r", "read again", "Look again at what is there.", "files", WORKSPACE),
    # advice
    Key("advise", "i", "advise", "Write advice, about the selected action if there is one.", "advise", LOOKS | OUTPUT,
        1, needs=("session",)),
    Key("mark_session", "asterisk", "mark", "Mark this session, to act on several at once.", "control", BOARD,
        needs=("session",)),
    Key("act_on_marked", "X", "act on marked", "Pause, resume, sign off, tag, archive or export what is marked.",
        "control", BOARD, needs=("session",)),
    Key("advise_marked", "I", "advise marked", "Write the same advice to all marked sessions.", "advise", BOARD,
        needs=("writable", "marked")),
    Key("answer", "a", "answer", "Answer the question that the agent asks.", "advise", LOOKS, 2,
        needs=("session", "writable", "question")),
    # judgement
    Key("flag", "f", "flag", "Flag the action as bad; again takes your own bare flag back.", "judge", LOOKS, 3,
        needs=("session", "writable", "action")),
    Key("label", "F", "label", "Flag with a label and a note.", "judge", LOOKS, 4,
        needs=("session", "writable", "action")),
    Key("repeat_label", "full_stop", "same label", "Your last label once more.", "judge", LOOKS,
        needs=("session", "writable", "action")),
    Key("good", "plus", "good", "The action is good.", "judge", LOOKS, needs=("session", "writable", "action")),
    Key("unsure", "equals_sign", "unsure", "Nobody can tell yet: somebody should look.", "judge", LOOKS,
        needs=("session", "writable", "action")),
    Key("correct", "C", "correct", "Write what the agent should have done instead.", "judge", LOOKS,
        needs=("session", "writable", "action")),
    Key("begin_span", "V", "span", "A span begins here: go to its end or type how many steps; f, F, + and = mean all.",
        "judge", LOOKS, needs=("session", "writable", "action")),
    Key("this_loop", "l", "this loop", "The loop that the action is in, as a span: the same call, the same outcome.",
        "judge", LOOKS, needs=("session", "writable", "action")),
    Key("recovery", "R", "recovered", "From this step on the agent is on its feet again.", "judge", LOOKS,
        needs=("session", "writable", "action")),
    Key("sign_off", "S", "sign off", "A word on the whole session, or judged up to a step.", "judge", LOOKS,
        needs=("session", "writable")),
    Key("bookmark", "B", "bookmark", "Set a bookmark on the selected entry, or take it away.", "judge", LOOKS,
        needs=("session", "writable", "action")),
    Key("bookmarks", "L", "bookmarks", "All bookmarks, to jump to.", "judge", LOOKS),
    Key("skip", "s", "skip", "Not now, and not again: the next one.", "judge", REVIEW, 6, needs=("session",)),
    Key("open_there", "o", "open", "The item in its session.", "move", REVIEW, 7, needs=("session",)),
    Key("compare", "T", "compare", "This session beside another of its task, or the two that are marked.", "judge",
        BOARD | SESSION, needs=("session",)),
    Key("left_better", "less_than_sign", "left is better", "The left session is better; again: say why.", "judge",
        COMPARE, 1, needs=("writable",)),
    Key("right_better", "greater_than_sign", "right is better", "The right session is better; again: say why.", "judge",
        COMPARE, 2, needs=("writable",)),
    Key("equally_good", "equals_sign", "equal", "Neither is better; again: say why.", "judge", COMPARE, 3,
        needs=("writable",)),
    Key("undo_word", "u", "undo", "Take your last word on two sessions back.", "judge", COMPARE, 4,
        needs=("writable",)),
    Key("undo", "u", "undo", "Undo your last act on this log; it says which and where.", "judge", LOOKS, 5,
        needs=("writable",)),
    Key("redo", "U", "redo", "Do again what you undid last.", "judge", LOOKS, needs=("writable",)),
    Key("history", "H", "history", "Everything that you did on this log.", "judge", LOOKS),
    # control
    Key("pause", "p", "pause", "Pause at the next boundary, or resume.", "control", LOOKS | OUTPUT, 6,
        needs=("session", "writable", "live")),
    Key("hold", "h", "hold", "Hold the next reply before anything of it happens; again: let it go.", "control", LOOKS,
        needs=("session", "buffered", "writable", "live")),
    Key("conversations", "M", "conversations", "Which of a harness's conversations is its work: put it right.",
        "control", VIEWS, needs=("session", "writable", "harness")),
    Key("interrupt", "x", "interrupt", "Twice: cut the reply that is under way.", "control", VIEWS,
        needs=("session", "writable", "live")),
    Key("new", "c", "new session", "Create a session.", "control", BOARD, 12, needs=("writable",)),
    # finding and taking along
    Key("search", "slash", "search", "Search here; in a workspace narrow the list, or search in the file.",
        "find", (LOOKS - BOARD) | FOUND_IN, 13, needs=("session",)),
    Key("only", "slash", "find sessions", "Show only some sessions: by text, state, tag, task, model, annotator.",
        "find", BOARD, 13),
    Key("next_match", "n", "next match", "The next match; without a search, the next unread.", "find", LOOKS | FOUND_IN,
        needs=("session",)),
    Key("previous_match", "N", "match before", "The match before; without a search, the unread before.", "find",
        LOOKS | FOUND_IN, needs=("session",)),
    Key("copy", "y", "copy", "Copy the selected action; says where the copy went.", "find", LOOKS, 8,
        needs=("session", "action")),
    Key("copy_line", "y", "copy line", "Copy the line under the cursor; says where the copy went.", "find", OUTPUT),
    Key("pager", "v", "pager", "Open the selected action in $PAGER.", "find", LOOKS, needs=("session", "action")),
    Key("written", "E", "as written", "Show the text as it was written, with all arguments; again: rendered.", "find",
        ACTION | REVIEW, needs=("session", "action")),
    Key("review", "r", "review", "One queue over all sessions of what is unseen or suspicious, fifty at a time.",
        "judge", LOOKS, 13),
    Key("training", "m", "training", "Colour the transcript by what would be trained.", "find", SESSION,
        needs=("session",)),
    Key("find", "s", "find", "Search all sessions, newest first.", "find", VIEWS),
    Key("export", "e", "export", "Turn sessions into training data.", "find", VIEWS, 14, needs=("session",)),
    # the app
    Key("command", "colon ctrl+p", "command", "Every command by name.", "app",
        LOOKS | {"output", "workspace", "export"}, 15),
    Key("help", "question_mark f1", "help", "The keys that work here and now.", "app", LOOKS | BESIDE, 99),
    Key("leave", "q", "leave", "Leave this view; on the board, the app. Sessions go on.", "app", PAGED),
    # the export menu and forms
    Key("mark", "x", "choose", "Choose or drop the session under the cursor.", "export", EXPORT, 1),
    Key("mark_all", "a", "all", "Choose all sessions.", "export", EXPORT, 3),
    Key("mark_some", "slash", "by filter", "Choose the sessions that some words mean, as on the board.", "export",
        EXPORT, 5),
    Key("mark_none", "n", "none", "Drop all sessions, to choose a few.", "export", EXPORT, 4),
    Key("write", "w", "write", "Write the file.", "export", EXPORT, 2),
    Key("export_path", "p", "file", "Where to write: a file, or a folder.", "export", EXPORT, 6),
    Key("create", "ctrl+s ctrl+t", "create", "Ask its model for a token, then create the session and start it.", "form",
        NEW, 1, typing=True),
    Key("create_anyway", "ctrl+n", "create anyway", "Create it although its model did not answer, or has not yet.",
        "form", NEW, 2, typing=True),
)
# fmt: on

COMPOSER: Final[tuple[tuple[str, str, str], ...]] = (
    ("enter", "queue", "Queue for the next boundary. A pasted return is text."),
    ("ctrl+s, ctrl+t", "now", "Deliver now: ends a wait, puts a running command into the background."),
    ("ctrl+j", "new line", "A new line."),
    ("ctrl+r", "reach", "Advice is general, as it begins, or holds here only: exports without advice drop the former."),
    ("tab, shift+tab", "texts", "On an empty line: templates and earlier advice; in a template: the next field."),
    ("up, down", "earlier", "On an empty line: earlier advice to this session; queued advice can be edited."),
    ("pageup, pagedown", "scroll", "Scroll the session without leaving the composer."),
    ("escape, ctrl+g", "leave", "Back to the board; the draft stays."),
)
"""Keys inside the composer: shown in help and docs; the composer itself binds them."""

AT_A_HELD_REPLY: Final[Mapping[str, int]] = {"hold": 1, "pause": 0}
"""Footer orders while a reply is held: what lets it go comes first, by its own name."""
LET_GO: Final = "let it go"
AT_A_JOB: Final[Mapping[str, int]] = {"output": 5}
"""Where a command runs."""

HINTS: Final = 8
"""So many hints fit a footer; the last one is always the way to all the others."""

NAMES: Final[Mapping[str, str]] = {
    "apostrophe": "'", "slash": "/", "colon": ":", "question_mark": "?", "left_square_bracket": "[",
    "right_square_bracket": "]", "exclamation_mark": "!", "full_stop": ".", "plus": "+", "equals_sign": "=",
    "asterisk": "*", "dollar_sign": "$", "less_than_sign": "<", "greater_than_sign": ">", "escape": "esc",
    "pagedown": "PgDn", "pageup": "PgUp",
}  # fmt: skip

BY_ID: Final[Mapping[str, Key]] = {key.id: key for key in KEYS}


WHERE: Final[Mapping[Place, str]] = {
    "board": "on the board",
    "session": "in a session",
    "action": "on an action",
    "review": "in the review queue",
    "workspace": "in a workspace",
    "compare": "where two sessions are compared",
    "output": "in a live output",
    "export": "in the export menu",
}

OPENS: Final = ("board", "session")
"""From where to where the key that opens leads."""

IDLE: Final[Mapping[Need, str]] = {
    "session": "there is no session here",
    "writable": "{label}: nothing can be written while no host is connected",
    "live": "{label}: the session has ended; `:reopen` lets it go on",
    "action": "{label}: no action is selected here; {previous_action} selects one",
    "signal": "nothing wants you here",
    "question": "the agent asks nothing here",
    "marked": "no session is marked: {mark_session} marks one",
    "harness": "{label}: it runs our own agent, which has one",
    "came_from": "there is no jump to go back from",
    "relatives": "this session has no sub-agents, and is none",
    "buffered": "{label}: this session hands replies over as they come (stream = pass): nothing can be held",
}
"""What a key says where it needs what is not there; a name in braces is that of the key of a command."""


def unmet_need(key: Key, here: KeyContext) -> Need | None:
    """The first thing that the key needs and that is not ``here``; None: it can act, as far as that goes."""
    return next((need for need in key.needs if not getattr(here, need)), None)


def explain_never(id: str, here: KeyContext) -> str:
    """Why the session ``here`` can never have what the key with this id does; "" if it can."""
    key = BY_ID[id]
    return IDLE["buffered"].format(label=key.label) if unmet_need(key, here) == "buffered" else ""


def is_valid(key: Key, here: KeyContext) -> bool:
    """Whether the key does something here and now."""
    return here.place in key.places and (key.typing or not here.typing) and unmet_need(key, here) is None


def explain_idle(name: str, here: KeyContext, keymap: Mapping[str, str]) -> str:
    """What to say when ``name`` (a Textual key) is pressed ``here``; "" if it acts, or is nobody's key."""
    key = next((one for one in keys_at(here.place) if name in keys_of(one, keymap)), None)
    if key is None and not here.typing:
        return _explain_elsewhere(name, here, keymap)
    if key is None or here.typing or here.place not in key.places:
        return ""
    return _explain_need(key, here, keymap)


def explain_act(id: str, here: KeyContext, keymap: Mapping[str, str]) -> str:
    """What to say when what the key with this id does is asked for ``here``; "" if it can be done."""
    key = BY_ID[id]
    if here.place in key.places:
        return _explain_need(key, here, keymap)
    where = next((where for place, where in WHERE.items() if place in key.places), "")
    return f"{key.label}: works {where}"


def _explain_need(key: Key, here: KeyContext, keymap: Mapping[str, str]) -> str:
    need = unmet_need(key, here)
    if need is None:
        return ""
    names = {id: key_name(id, keymap) for id in ("previous_action", "mark_session")}
    words = IDLE[need].format(label=key.label, **names)
    return words + (f": {key_name('new', keymap)} creates one" if (need, here.place) == ("session", "board") else "")


def _explain_elsewhere(name: str, here: KeyContext, keymap: Mapping[str, str]) -> str:
    """Where a key works that does nothing on this screen; "" if it is nobody's."""
    for place, where in WHERE.items():
        key = next((one for one in keys_at(place) if name in keys_of(one, keymap)), None)
        if key is not None:
            way = key_name("move.open", keymap) if (here.place, place) == OPENS else ""
            return f"{key.label}: works {where}" + (f"; {way} opens one" if way else "")
    return ""


def display_name(key: str) -> str:
    """How a person reads a Textual key name."""
    return NAMES.get(key, key)


def key_name(id: str, keymap: Mapping[str, str] | None = None) -> str:
    """How a person reads the key of a command: the config's, else the first of the table."""
    key = BY_ID[id]
    return display_name(keys_of(key, keymap)[0])


def keys_at(place: Place) -> list[Key]:
    """All keys of a place, in the order of the table."""
    return [key for key in KEYS if place in key.places]


def keys_of(key: Key, keymap: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The keys of a command under a keymap, as Textual calls them."""
    if keymap and key.id in keymap:
        return tuple(part.strip() for part in keymap[key.id].split(","))
    return key.keys


def action_of(id: str, *words: str) -> str:
    """The Textual action that does what a command does, where it is valid on the screen on top (``app.py``)."""
    return f"app.press({', '.join(map(repr, (id, *words)))})"


def bindings(place: Place) -> list[Binding]:
    """The Textual bindings of a place; ids are what the config rebinds."""
    made = []
    for key in keys_at(place):
        if key.painter:
            continue
        if key.id == "number":
            made += [Binding(digit, action_of(key.id, digit), key.label, show=False) for digit in key.keys]
        else:
            made.append(Binding(",".join(key.keys), action_of(key.id), key.label, show=False, id=key.id))
    return made


def hints(here: KeyContext, keymap: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Footer hints (key, verb), most important first, only what works here and now."""
    # Nothing lies behind the board.
    places = {key.id: key.footer for key in keys_at(here.place)} | (dict(AT_A_HELD_REPLY) if here.held else {})
    places |= AT_A_JOB if here.job else {}
    found = (key for key in keys_at(here.place) if places[key.id] and (key.id != "back" or here.place != "board"))
    wanted = sorted((key for key in found if is_valid(key, here)), key=lambda key: places[key.id])
    if len(wanted) > HINTS:
        wanted = [*wanted[: HINTS - 1], wanted[-1]]
    labels = {"hold": LET_GO} if here.held else {}
    return [(key_name(key.id, keymap), labels.get(key.id, key.label)) for key in wanted]


def clashes(keymap: Mapping[str, str] | None = None) -> list[str]:
    """One line for every key that two commands of a place would share, and for every unknown id."""
    keymap = keymap or {}
    found = [f"no command is called {name!r}" for name in keymap if name not in BY_ID or name == "number"]
    for place in PLACES:
        owner: dict[str, str] = {}
        for key in keys_at(place):
            for name in keys_of(key, keymap):
                if name in owner:
                    found.append(f"{display_name(name)} on {place}: both {owner[name]} and {key.id}")
                owner[name] = key.id
    return found


def markdown(keys: Iterable[Key] = KEYS) -> str:
    """docs/keys.md."""
    lines = [
        "# Keys",
        "",
        "Made from `apollo_tui/keys.py` by `python -m apollo_tui.keys > docs/keys.md`. Rebind by id in the config:",
        "",
        "```toml",
        "[keys]",
        'flag = "f"',
        "```",
        "",
        "Single letters act only when no text field has the focus. `?` in the app shows what works here and now.",
        "",
        "| keys | id | what it does | where |",
        "|---|---|---|---|",
    ]
    for key in keys:
        names = " ".join(f"`{display_name(name)}`" for name in key.keys)
        where = "everywhere" if key.places == EVERY else ", ".join(place for place in PLACES if place in key.places)
        lines.append(f"| {names} | {key.id} | {key.help} | {where} |")
    lines += ["", "## In the composer", "", "| keys | what it does |", "|---|---|"]
    lines += [f"| `{names}` | {text} |" for names, _, text in COMPOSER]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")  # noqa: T201 - a generator's output
