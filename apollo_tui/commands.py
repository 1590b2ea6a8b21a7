"""The commands of ``:`` and ctrl+p. Each is found by any beginning of its name, and answers with a receipt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, get_args

from apollo_tui import keys
from apollo_tui.acts import host_control
from apollo_tui.acts.bulk import BulkActs, rename
from apollo_tui.acts.signoffs import write_note
from apollo_tui.backend.feed import NotDone
from apollo_tui.command_completions import find_label, find_order, offer_words
from apollo_tui.context import View
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.key_acts import attention, judgement, movement, search, undo
from apollo_tui.screens.panels.prompt import Command, CommandAct, CommandPrompt
from apollo_tui.screens.session import SessionScreen
from apollo_tui.state.board_order import WORDS as ORDERS
from apollo_tui.terminal.line_speed import MODES
from sessions.annotators import shown_name
from sessions.errors import ApolloError
from sessions.events import Reach, Verb
from sessions.host.protocol import BUDGETS
from widgets.glyphs import duration
from widgets.grid import MOST_PANES
from widgets.models import Choice

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen


def _key(id: str) -> CommandAct:
    def run(screen: ApolloScreen, _: list[str]) -> None:
        screen.apollo.press(id)

    return run


def _find(screen: ApolloScreen, words: list[str]) -> None:
    if isinstance(screen, View) and words:
        search.find_everywhere(screen, " ".join(words))
    elif isinstance(screen, View):
        search.find(screen)


def _label(screen: ApolloScreen, words: list[str]) -> None:
    if not words:
        screen.apollo.press("label")
        return
    why = keys.explain_act("label", screen.key_context(), screen.context.config.keys)
    label = find_label(screen.context, words[0])
    if why or label is None:
        raise NotDone(why or f"{words[0]} is no label, or not one alone: `:label` shows them")
    if isinstance(screen, View):
        judgement.set_label(screen, label, " ".join(words[1:]))


def _only(screen: ApolloScreen, words: list[str]) -> None:
    if not isinstance(screen, BoardScreen):
        raise NotDone("only: works on the board")
    if words:
        screen.say(screen.show_only(" ".join(words)))
    else:
        screen.apollo.press("only")


def _order(screen: ApolloScreen, words: list[str]) -> None:
    order = find_order(words[0]) if words else None
    if words and order is None:
        raise NotDone(f":order {' | '.join(ORDERS)}")
    if not isinstance(screen, BoardScreen):
        raise NotDone("order: works on the board")
    screen.turn_order(order)


def _tag(screen: ApolloScreen, words: list[str]) -> None:
    if screen.session:
        screen.act(BulkActs(screen.context.feed, screen.context.state).tag([screen.session], words))


def _rename(screen: ApolloScreen, words: list[str]) -> None:
    if screen.session:
        screen.act(rename(screen.context.feed, screen.context.state, screen.session, " ".join(words)))


def _archive(deed: Literal["archive", "unarchive"]) -> CommandAct:
    def run(screen: ApolloScreen, _: list[str]) -> None:
        if screen.session:
            screen.act(BulkActs(screen.context.feed, screen.context.state).control(deed, [screen.session]))

    return run


def _note(screen: ApolloScreen, words: list[str]) -> None:
    if not isinstance(screen, View) or not screen.session:
        return
    if words:
        screen.act(write_note(screen.context.feed, screen.context.state, screen.session, " ".join(words)))
    else:
        judgement.ask_note(screen, screen.session)


def _reach(screen: ApolloScreen, words: list[str]) -> None:
    reach = next((word for word in get_args(Reach) if words == [word]), None)
    if reach is None:
        raise NotDone(f":reach {' | '.join(get_args(Reach))}")
    session, number = _selected_advice(screen, "its reach is meant")
    screen.act(screen.context.control.say_reach(session, number, reach))


def _standing(screen: ApolloScreen, words: list[str]) -> None:
    if words not in ([], ["done"]):
        raise NotDone(":standing: it holds as long as the work goes on · :standing done: no more")
    session, number = _selected_advice(screen, "it is to stand")
    screen.act(screen.context.control.say_standing(session, number, standing=not words))


def _selected_advice(screen: ApolloScreen, what: str) -> tuple[str, int]:
    """Session and number of the advice that is selected. Raises NotDone."""
    found = screen.subject() if isinstance(screen, View) else None
    number = screen.context.state.sessions[found[0]].advice.get(found[1].seq) if found is not None else None
    if found is None or number is None:
        raise NotDone(f"select a piece of advice first: {what}")
    return found[0], number


def _train(screen: ApolloScreen, words: list[str]) -> None:
    if not isinstance(screen, SessionScreen):
        raise NotDone("open a session first: the training view colours a transcript")
    try:
        screen.training.show_policy(words[0] if words else "default")
    except ApolloError as problem:
        raise NotDone(str(problem)) from problem


def _who(screen: ApolloScreen, _: list[str]) -> None:
    context = screen.context
    now = context.clock()
    apps = [client for client in context.state.clients if client.client == "app"]
    if not apps:
        raise NotDone("nobody is attached: no host is connected")
    said = [
        f"{shown_name(client.actor)}{' (you)' if client.actor == context.feed.actor else ''}"
        f" for {duration(max(0, now - client.since))}"
        for client in apps
    ]
    screen.say("here: " + ", ".join(said))


def _effort(screen: ApolloScreen, _: list[str]) -> None:
    from apollo_tui.screens.panels.effort import show_effort

    show_effort(screen)


def _unskip(screen: ApolloScreen, _: list[str]) -> None:
    count = screen.context.review.unskip_all()
    screen.say(f"{count} skipped items are in the queue again")
    screen.on_screen_resume()


def _let_go(screen: ApolloScreen, words: list[str]) -> None:
    context = screen.context
    if words not in ([], ["all"], ["none"]):
        raise NotDone("letgo: this session; letgo all: every one; letgo none: what nobody looked at is unread again")
    sessions = context.state.order() if words == ["all"] else [screen.session] if screen.session else []
    if words == ["none"]:
        screen.act(_take_up(screen, sessions))
    else:
        screen.act(_let_go_of(screen, sessions))


async def _let_go_of(screen: ApolloScreen, sessions: list[str]) -> str:
    context = screen.context
    await context.seeds.read_unread(sessions)
    count = sum(context.state.unread(session) for session in sessions)
    for session in sessions:
        context.state.read_marks.let_go(session, context.state.sessions[session].summary.last_seq, context.clock())
    screen.on_screen_resume()
    return f"{count:,} entries count as unread no more; for training they stay unseen · `:letgo none` brings them back"


async def _take_up(screen: ApolloScreen, sessions: list[str]) -> str:
    from apollo_tui.state.transcript_pages import read_unread

    context = screen.context
    count = 0
    for session in sessions:
        context.state.read_marks.let_go(session, 0, context.clock())
        read = context.state.read_marks.book(session)
        unread = await context.feed.read(partial(read_unread, session=session, read=read))
        now = context.state.sessions[session]
        now.unread, now.unread_known = unread, True
        count += len(unread)
    screen.on_screen_resume()
    return f"{count:,} entries are unread again"


def _edit(screen: ApolloScreen, _: list[str]) -> None:
    if isinstance(screen, View):
        search.open_editor(screen)


JUDGING: Final[tuple[Command, ...]] = (
    Command("label", "[LABEL] [NOTE]", "Flag with a label and a note.", _label, True, True, key="label"),
    Command("find", "WORDS", 'Search all sessions: `find tool:run label:impatience "loss is nan"`.', _find, key="find"),
    Command("review", "", "One queue of what is unseen or suspicious.", _key("review"), key="review"),
    Command("unskip", "", "Put what you skipped back into the review.", _unskip),
    Command("letgo", "all|none", "What is unread here counts as unread no more, and as seen by nobody.", _let_go),
    Command("signoff", "", "A word on the whole session.", _key("sign_off"), True, True, key="sign_off"),
    Command("reach", "general|here", "How far the selected advice reaches.", _reach, True, True, 1),
    Command("standing", "done", "Say the selected advice again where a harness has lost it.", _standing, True, True),
    Command("note", "TEXT", "Your note: colleagues see it, the agent does not.", _note, True, True),
    Command("bookmarks", "", "All bookmarks, to jump to.", _key("bookmarks"), key="bookmarks"),
    Command("history", "", "Everything that you did on this log.", _key("history"), key="history"),
    Command("train", "POLICY", "Training view by a preset or a file.", _train, True),
    Command("effort", "", "What supervision cost, per session and label.", _effort),
    Command("who", "", "Who else is here.", _who),
    Command("edit", "", "Open the selected entry in $EDITOR, to read or copy from.", _edit, True),
)


def _control(verb: Verb) -> CommandAct:
    def run(screen: ApolloScreen, _: list[str]) -> None:
        if screen.session:
            screen.act(screen.context.control.control(screen.session, verb))

    return run


def _limit(screen: ApolloScreen, words: list[str]) -> None:
    if len(words) != 2:
        raise NotDone(f":limit NAME VALUE; {LIMIT_HINT}")
    if screen.session:
        screen.act(screen.context.control.limit(screen.session, *words))


def _host(screen: ApolloScreen, words: list[str]) -> None:
    verb = words[0] if words else "status"
    if verb not in host_control.VERBS:
        raise NotDone(f":host {'|'.join(host_control.VERBS)}")
    screen.act(host_control.control_host(screen.context.feed, screen.context.state, screen.context.feed.actor, verb))


def _theme(screen: ApolloScreen, words: list[str]) -> None:
    known = sorted(screen.app.available_themes)
    if not words or words[0] not in known:
        raise NotDone(f":theme {' | '.join(known)}")
    screen.app.theme = words[0]
    screen.say(f'theme {words[0]} until you leave; `theme = "{words[0]}"` under [ui] in the config keeps it')


def _panes(screen: ApolloScreen, words: list[str]) -> None:
    if not isinstance(screen, BoardScreen):
        raise NotDone("panes are on the board")
    if not words:
        screen.ask_panes()
        return
    if words[0] != "auto" and not (words[0].isdigit() and 1 <= int(words[0]) <= MOST_PANES):
        raise NotDone(f":panes 1 to {MOST_PANES}, or auto")
    screen.set_panes(None if words[0] == "auto" else int(words[0]))


def _slow(screen: ApolloScreen, words: list[str]) -> None:
    mode = next((mode for mode in MODES if words[:1] == [mode]), None)
    if words and mode is None:
        raise NotDone(f":slow {' | '.join(MODES)}")
    line = screen.apollo.line_speed
    line.set(mode or ("off" if line.slow else "on"))
    screen.on_screen_resume()
    screen.say(line.report(screen.context.clock())[-1])


def _link(screen: ApolloScreen, _: list[str]) -> None:
    from apollo_tui.screens.panels.base import ChoicePanel

    def take(mode: str | None) -> None:
        if mode:
            _slow(screen, [mode])

    said = screen.apollo.line_speed.report(screen.context.clock())
    choices = [Choice(mode, f"slow-link mode {mode}", key=mode[1], note=note) for mode, note in SLOW_NOTES.items()]
    screen.app.push_screen(
        ChoicePanel("the line to this terminal", choices, "a letter or enter sets it · esc closes", said), take
    )


def _toggle_archived(screen: ApolloScreen, _: list[str]) -> None:
    state = screen.context.state
    state.show_archived = not state.show_archived
    screen.say("archived sessions are shown" if state.show_archived else "archived sessions are hidden")
    screen.on_screen_resume()


def _goto(screen: ApolloScreen, words: list[str]) -> None:
    if isinstance(screen, View) and words:
        movement.go_to_number(screen, words[0])


def _import(screen: ApolloScreen, words: list[str]) -> None:
    from apollo_tui.screens.key_acts.imports import import_named

    import_named(screen, words)


def _leave(screen: ApolloScreen, _: list[str]) -> None:
    from apollo_tui.screens.panels.leave import check_leave

    board = next((one for one in screen.app.screen_stack if isinstance(one, BoardScreen)), None)
    if board is not None:
        check_leave(board, always=True)


def _facts(screen: ApolloScreen, _: list[str]) -> None:
    from apollo_tui.screens.panels.facts import show_facts

    show_facts(screen)


def _jobs(screen: ApolloScreen, _: list[str]) -> None:
    from apollo_tui.screens.panels.living_jobs import show_living_jobs

    screen.act(show_living_jobs(screen), opens=True)


def _since(screen: ApolloScreen, _: list[str]) -> None:
    from apollo_tui.screens.panels.since_you_left import come_back

    async def show() -> str:
        await come_back(screen.apollo, None, asked=True)
        return ""

    screen.act(show(), opens=True)


def _snooze(screen: ApolloScreen, words: list[str]) -> None:
    if isinstance(screen, View):
        attention.snooze_for(screen, words[0] if words else "30m")


def _withdraw(screen: ApolloScreen, words: list[str]) -> None:
    if not isinstance(screen, View) or not screen.session:
        return
    if not words:
        undo.list_queued(screen)
    elif words[0].isdigit():
        undo.take_back(screen, screen.session, int(words[0]))
    else:
        raise NotDone(":withdraw NUMBER; without one, it shows the advice that waits")


def _outcome(screen: ApolloScreen, _: list[str]) -> None:
    if isinstance(screen, View):
        attention.ask_outcome(screen)


def _copy_file(screen: ApolloScreen, _: list[str]) -> None:
    if isinstance(screen, View):
        search.copy_selected_to_file(screen)


def _guide(screen: ApolloScreen, _: list[str]) -> None:
    from apollo_tui.screens.panels.guide import show_guide

    show_guide(screen)


def _quit(screen: ApolloScreen, _: list[str]) -> None:
    screen.apollo.leave()


LIMIT_HINT: Final = f"NAME is one of {', '.join(BUDGETS)}; VALUE is 200, +200 or none"

SLOW_NOTES: Final[dict[str, str]] = {
    "auto": "where the terminal does not keep up",
    "on": "one line per session, every two seconds",
    "off": "panes, whatever the line takes",
}

COMMANDS: Final[tuple[Command, ...]] = (
    Command("pause", "", "Pause at the next boundary.", _control("pause"), True, True, key="pause"),
    Command("resume", "", "Go on.", _control("resume"), True, True, key="pause"),
    Command("start", "", "Start a session that was only created.", _control("start"), True, True),
    Command("next", "", "Go on to the next boundary, then pause.", _control("next"), True, True),
    Command("hold", "", "Hold the next reply until you let it go.", _control("hold"), True, True, key="hold"),
    Command("stop", "", "End the reply, the action and the jobs now; `:reopen` goes on.", _control("stop"), True, True),
    Command("interrupt", "", "Cut the reply under way.", _control("interrupt"), True, True, key="interrupt"),
    Command("reopen", "", "Let an ended session go on.", _control("reopen"), True, True),
    Command("archive", "", "Out of sight; nothing is deleted.", _archive("archive"), True, True),
    Command("unarchive", "", "Back from the archive, as it was.", _archive("unarchive"), True, True),
    Command("rename", "TITLE", "Call it by another name; its number stays.", _rename, True, True, 1, "the new name"),
    Command(
        "tag", "TAG -TAG", "Give it tags, or take some away.", _tag, True, True, 1, "words, and -word to take away"
    ),
    Command("drop", "", "Leave the last reply out of the context, and go on.", _control("drop"), True, True),
    Command("shorten", "", "Put a summary in the place of what was said.", _control("shorten"), True, True),
    Command("retry", "", "Send a refused request once more as it is.", _control("retry"), True, True),
    Command("limit", "NAME VALUE", "Set or raise a budget: `limit steps +200`.", _limit, True, True, 2, LIMIT_HINT),
    Command(
        "conversations",
        "",
        "Which of a harness's conversations is its work.",
        _key("conversations"),
        True,
        True,
        key="conversations",
    ),
    Command("new", "", "Create a session.", _key("new"), write=True, key="new"),
    Command("export", "", "Turn sessions into training data.", _key("export"), key="export"),
    Command(
        "import",
        "[--dry-run] FILES",
        "Recordings from elsewhere: files, folders, patterns.",
        _import,
        write=True,
        needs=1,
        hint="files, folders or patterns; also --copy, --format NAME",
    ),
    Command("goto", "NUMBER", "To a session.", _goto, needs=1, hint="the number of a session", key="goto"),
    Command(
        "workspace",
        "",
        "The files of its workspace: what changed, by which step.",
        _key("workspace"),
        True,
        key="workspace",
    ),
    Command("only", "WORDS", "Show only some sessions: text, state:, tag:, task:, model: …", _only, key="only"),
    Command("order", "BY", "Order the list: need, activity, name, number.", _order, key="by_attention"),
    Command("archived", "", "Show or hide archived sessions.", _toggle_archived),
    Command("panes", "1…16 | auto", "How many panes the board shows; it is kept.", _panes, key="panes"),
    Command("slow", "on | off | auto", "Over a slow line: one line per session instead of panes.", _slow),
    Command("link", "", "How much goes over the line to this terminal, and whether it keeps up.", _link),
    Command("copy-file", "", "Copy the selected action to a file.", _copy_file, True),
    Command("host", "start|stop|restart|status", "The background process.", _host),
    Command("theme", "NAME", "Another look, until you leave.", _theme),
    Command("guide", "", "A day with it, to read: docs/annotator.md.", _guide),
    Command("help", "", "The keys that work here.", _key("help"), key="help"),
    Command("jobs", "", "The jobs of this log that still run; one can be ended.", _jobs, write=True),
    Command("since", "", "What happened since you left, per session.", _since),
    Command("snooze", "30m | 2h | 1d", "What wants you here comes back then.", _snooze, True, True, key="snooze"),
    Command("withdraw", "[NUMBER]", "Advice that still waits: take it back, or edit it.", _withdraw, True, True),
    Command("facts", "", "Plan, budgets, scores, jobs and files of this session.", _facts, True),
    Command("outcome", "", "What became of advice here, beside what followed it.", _outcome, True, True),
    *JUDGING,
    Command("leave", "", "What will stop before morning; then leave.", _leave),
    Command("quit", "", "Leave at once; sessions go on.", _quit),
)

assert {command.name for command in COMMANDS} >= set(get_args(Verb))

NOT_OF_HARNESSES: Final = frozenset({"drop", "shorten", "retry"})
"""What cannot be asked of a harness: it keeps its history itself."""
OTHER_NAMES: Final = {"leave": "leave-view", "move.start": "top", "move.end": "bottom"}
"""Acts of keys whose name is that of another command."""
NO_ACTS: Final = frozenset({"command", "number", "create", "create_anyway"})
"""Keys that are no act of their own here: the command line itself, a number that ``goto`` takes, keys of a form."""


def _commands_of_keys() -> tuple[Command, ...]:
    """What only keys do, by name."""
    known = {command.key for command in COMMANDS} | NO_ACTS
    names = {key.id: OTHER_NAMES.get(key.id, key.id.removeprefix("move.").replace("_", "-")) for key in keys.KEYS}
    acts = (key for key in keys.KEYS if key.id not in known)
    return tuple(Command(names[key.id], "", key.help, _key(key.id), key=key.id) for key in acts)


ACTS: Final = _commands_of_keys()
OF_KEYS: Final = frozenset(command.name for command in ACTS)


def commands_for(screen: ApolloScreen) -> list[Command]:
    """Every command and every act of a key; first those that can do something on this screen now.

    One that cannot says why; what this session can never have says so in place of its help.
    """
    held = screen.context.state.sessions.get(screen.session or "")
    hidden = NOT_OF_HARNESSES if held is not None and held.summary.harness else frozenset[str]()
    here, why = screen.key_context(), explain_commands(screen)
    never = {command.name: keys.explain_never(command.key, here) for command in COMMANDS if command.key}
    found = [command for command in (*COMMANDS, *ACTS) if command.name not in hidden]
    found = [replace(one, help=never[one.name]) if never.get(one.name) else one for one in found]
    return sorted(found, key=lambda command: bool(why(command)))


def explain_commands(screen: ApolloScreen) -> Callable[[Command], str]:
    """Says why a command does nothing on this screen now, in one line; "" if it does."""
    here, keymap = screen.key_context(), screen.context.config.keys

    def explain(command: Command) -> str:
        if command.name in OF_KEYS:
            return keys.explain_act(command.key, here, keymap)
        if command.session and not here.session:
            return keys.IDLE["session"]
        if command.write and not here.writable:
            return keys.IDLE["writable"].format(label=command.name)
        return keys.explain_never(command.key, here) if command.key else ""

    return explain


def run_command(screen: ApolloScreen, text: str) -> None:
    """Run a command line; what is wrong with it is said in one line."""
    name, *words = text.split()
    command = next((command for command in (*COMMANDS, *ACTS) if command.name == name), None)
    if command is None:
        from difflib import get_close_matches

        near = get_close_matches(name, [command.name for command in (*COMMANDS, *ACTS)])
        meant = f"; near it: {', '.join(near)}" if near else ""
        screen.say(f"no command is called {name}{meant}: `:` alone lists them", "error")
        return
    if why := explain_commands(screen)(command):
        screen.say(why, "warning")
        return
    screen.context.recent_commands.note(text)
    try:
        command.run(screen, words)
    except NotDone as problem:
        screen.say(screen.apollo.explain(problem), "error")


def ask_command(screen: ApolloScreen) -> None:
    """Open the command line over ``screen`` and run what is chosen there."""

    def take(text: str | None) -> None:
        if text:
            run_command(screen, text)

    prompt = CommandPrompt(
        commands_for(screen),
        screen.context.config.keys,
        why_not=explain_commands(screen),
        recent=screen.context.recent_commands.lines(),
        offers=lambda command, before, last: offer_words(screen, command.name, command.arguments, before, last),
    )
    screen.app.push_screen(prompt, take)
