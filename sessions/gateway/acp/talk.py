"""One talk with a program in the Agent Client Protocol, for as long as its job runs. It commits nothing."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import acp
from acp import schema
from pydantic import ValidationError

from sessions.agent.wakeup import cancel
from sessions.events import QuestionOption
from sessions.gateway.acp.job_transport import JobTransport

DISTRIBUTION: Final = "apollo-tui"
OPEN_SECONDS: Final = 180.0
"""For a program to begin a conversation: some load for half a minute, one that speaks another language never does."""
MOST_LINE: Final = 500
MOST_TEXT: Final = 4000
"""Characters of what a program says to a person."""
MOST_OPTIONS: Final = 20
MOST_NAME: Final = 200
"""Characters of the id of a call or an option; a longer name of an option is cut, as some hold a command."""
NO_ID: Final = "(no id)"
"""How the log calls an option whose id is empty, which stands for no option there."""
END_SECONDS: Final = 5.0
"""For the end of a program to be known after its connection has ended."""
Work = Callable[[], Coroutine[Any, Any, None]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """How the conversation began. ``why``: why an earlier one does not go on."""

    conversation: str
    loaded: bool
    can_load: bool
    agent: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Rest:
    """How the turn on a prompt ended; ``prompt`` 0: there is no conversation."""

    prompt: int
    why: str
    message: str = ""


@dataclass(eq=False, slots=True)
class Permission:
    """The program waits to hear whether it may do something. ``request`` names it, in every host the same."""

    request: str
    call: str
    text: str
    options: tuple[QuestionOption, ...]
    decision: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def decide(self, option: str) -> None:
        """Tell it: the id of an option, "" for none, which ends its turn."""
        if not self.decision.done():
            self.decision.set_result(option)


class Talk:
    """``moved`` is called when there is something new: an opening, a rest, a permission that is asked for."""

    def __init__(self, transport: JobTransport, job: int, moved: Callable[[], None]) -> None:
        self.job = job
        self.opening: Opening | None = None
        self.rest: Rest | None = None
        """Of the newest turn that ended."""
        self.permissions: list[Permission] = []
        self.prompts = 0
        """How many it was told."""
        self.is_broken = False
        """Whether the program runs, and nothing more can be said to it or heard from it."""
        self._moved = moved
        self._transport = transport
        self._asked: Counter[str] = Counter()
        self._refused: set[str] = set()
        """Why requests were refused, each of which is logged once."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection = acp.connect_to_agent(_Client(self), transport)  # type: ignore[arg-type]  # all that we offer it

    # --- what the host says ---

    def open(self, folder: str, earlier: str) -> None:
        """Begin a conversation in ``folder``, or go on with the ``earlier`` one, "": there is none."""
        self._begin(0, partial(self._open, folder, earlier))

    def prompt(self, number: int, text: str) -> None:
        """Tell it to do something."""
        self.prompts = number
        self._begin(number, partial(self._prompt, number, text))

    async def cancel_turn(self, seconds: float) -> None:
        """Ask it to end its turn, and wait until it has."""
        for permission in list(self.permissions):
            permission.decide("")
        if self.opening is None or not self._tasks:
            return
        try:
            await self._connection.cancel(self.opening.conversation)
        except ConnectionError:
            return
        await self.settle(seconds)

    async def settle(self, seconds: float) -> None:
        """Wait until nothing is under way that it was told."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def end(self, seconds: float) -> None:
        """Its program is over: take in what it left, and close."""
        self._transport.end()
        await self.settle(seconds)
        await self.close()

    async def close(self) -> None:
        """Listen no more. The program notices nothing of it."""
        await cancel(*self._tasks)
        await self._connection.close()

    # --- what it says ---

    async def ask(self, call: schema.ToolCallUpdate, options: list[schema.PermissionOption]) -> str | None:
        """The id of the option that a person chooses, None for none. What no person can be asked is refused so."""
        if why := _find_fault(call, options):
            if why not in self._refused:
                self._refused.add(why)
                _log.warning("job %d: what it asks permission for is not shown, and cancelled: %s", self.job, why)
            return None
        self._asked[call.tool_call_id] += 1
        request = f"{self.job} {call.tool_call_id} {self._asked[call.tool_call_id]}"
        choices = tuple(
            QuestionOption(option.option_id or NO_ID, _one_line(option.name), option.kind) for option in options
        )
        permission = Permission(request, call.tool_call_id, describe_call(call), choices)
        self.permissions.append(permission)
        self._moved()
        try:
            chosen = await permission.decision
        finally:
            self.permissions.remove(permission)
        given = (option.option_id for option in options if (option.option_id or NO_ID) == chosen)
        return next(given, None)

    async def _open(self, folder: str, earlier: str) -> None:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                self.opening = await self._agree(folder, earlier)
        except TimeoutError:
            self.rest = Rest(
                0, "error", f"it has begun no conversation within {OPEN_SECONDS:.0f} s: does it speak ACP?"
            )
        except acp.RequestError as error:
            self.rest = Rest(0, "error", f"it begins no conversation: {_words_of(error)}")
        except ValidationError:
            self.rest = Rest(0, "error", "it begins no conversation: its answer is none of ACP")

    async def _agree(self, folder: str, earlier: str) -> Opening:
        agreed = await self._connection.initialize(
            protocol_version=acp.PROTOCOL_VERSION,
            client_capabilities=schema.ClientCapabilities(),  # neither files nor terminals: it has its own
            client_info=schema.Implementation(name=DISTRIBUTION, version=_release()),
        )
        can = agreed.agent_capabilities
        can_load = bool(can is not None and can.load_session)
        who = agreed.agent_info
        agent = f"{who.title or who.name} {who.version}".strip() if who is not None else ""
        why = ""
        if earlier and can_load:
            try:
                await self._connection.load_session(cwd=folder, session_id=earlier, mcp_servers=[])
            except acp.RequestError as error:
                why = f"it could not load its earlier conversation: {_words_of(error)}"
            else:
                return Opening(earlier, True, can_load, agent)
        elif earlier:
            why = "it has no way to load its earlier conversation"
        begun = await self._connection.new_session(cwd=folder, mcp_servers=[])
        return Opening(begun.session_id, False, can_load, agent, why)

    async def _prompt(self, number: int, text: str) -> None:
        assert self.opening is not None, "it is told nothing before there is a conversation"
        try:
            ended = await self._connection.prompt(session_id=self.opening.conversation, prompt=[acp.text_block(text)])
            self.rest = Rest(number, ended.stop_reason)
        except acp.RequestError as error:
            self.rest = Rest(number, "error", _words_of(error))
        except ValidationError:
            self.rest = Rest(number, "error", "it ended its turn in a way that ACP does not know")

    def _begin(self, number: int, work: Work) -> None:
        task = asyncio.create_task(self._finish(number, work))
        self._tasks.add(task)
        task.add_done_callback(self._end_task)

    async def _finish(self, number: int, work: Work) -> None:
        """Do what the prompt of this number begins, and say where it cannot be done as the connection is dead."""
        try:
            await work()
        except ConnectionError as error:
            if await self._transport.has_ended(END_SECONDS):
                return  # its job tells how
            why = self._transport.loss or _one_line(str(error))
            self.rest = Rest(number, "error", f"the host lost its connection to it ({why})")
            self.is_broken = True
            for permission in list(self.permissions):
                permission.decide("")

    def _end_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            _log.error("the talk with job %d broke", self.job, exc_info=problem)
            self.rest = Rest(self.prompts, "error", f"the host met an error of its own ({problem})")
        self._moved()


class _Client:
    """What the program may ask of us: permission, and nothing else."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    async def request_permission(
        self, session_id: str, tool_call: schema.ToolCallUpdate, options: list[schema.PermissionOption], **more: Any
    ) -> schema.RequestPermissionResponse:
        """Ask a person."""
        option = await self._talk.ask(tool_call, options)
        if option is None:
            return schema.RequestPermissionResponse(outcome=schema.DeniedOutcome(outcome="cancelled"))
        return schema.RequestPermissionResponse(outcome=schema.AllowedOutcome(outcome="selected", option_id=option))


def _find_fault(call: schema.ToolCallUpdate, options: list[schema.PermissionOption]) -> str:
    """Why a person cannot be asked, "" if they can."""
    if not options:
        return "it has no options, so that there is no answer to it"
    if len(options) > MOST_OPTIONS:
        return f"it has more than {MOST_OPTIONS} options"
    if max(len(call.tool_call_id), *(len(one.option_id) for one in options)) > MOST_NAME:
        return f"an id in it has more than {MOST_NAME} characters"
    return ""


def describe_call(call: schema.ToolCallUpdate) -> str:
    """What the program wants to do, for a person: its title, and its command where that says more."""
    title = _one_line(call.title or call.kind or "something")
    command = call.raw_input.get("command") if isinstance(call.raw_input, dict) else None
    words = " ".join(map(str, command)) if isinstance(command, list) else command
    more = words.strip() if isinstance(words, str) and words.strip() not in title else ""
    places = [place.path for place in call.locations or () if place.path not in title]
    return "\n".join(filter(None, (title, more, *places)))[:MOST_TEXT]


def _release() -> str:
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return "0"


def _words_of(error: acp.RequestError) -> str:
    """What an error says, in one line: some programs put the reason beside a message that only names its kind."""
    more = error.data
    if isinstance(more, dict):
        more = more.get("details") or more.get("message") or ""
    said = f"{error}: {more}" if isinstance(more, str) and more else str(error)
    return _one_line(said)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MOST_LINE]
