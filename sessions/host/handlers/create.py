"""New sessions: checked, given a workspace of their own, committed, started."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from sessions import events as ev
from sessions.agent.clean_events import Cleaner
from sessions.agent.prompts import system_prompt
from sessions.containment.choice import is_remote, settle
from sessions.containment.errors import SpaceError
from sessions.containment.session_spaces import session_space
from sessions.errors import ApolloError
from sessions.events.text import Blob, long_text
from sessions.host.api_keys import keys_path
from sessions.host.handlers.context import HandlerContext, refusal, require_person, text_of
from sessions.host.protocol import Created, CreateSession
from sessions.paths import config_path
from sessions.providers.registry import parse_model, preload
from sessions.tools.registry import NAMES
from sessions.tools.task_environment import BadEnvironment, environment_tools
from sessions.ulid import new_ulid
from sessions.workspace import keep_scorer, prepare_workspace

MAX_TITLE_CHARS: Final = 200


async def create_session(context: HandlerContext, call: CreateSession, actor: str) -> Created:
    """Make a session and, with ``start``, set it running. Copying a large workspace takes as long as it takes."""
    require_person(actor, "create a session")
    call = _check_call(call)
    session = new_ulid()
    folder = context.paths.session_folder(session)
    try:
        await asyncio.to_thread(preload, [call.model])
        await asyncio.to_thread(context.environments.keep, session, call.env)
        workspace = await asyncio.to_thread(_make_folders, folder, call)
        contained = await _contain(context, call, folder, workspace)
        await asyncio.to_thread(_try_environment, session, workspace, folder, call)
        context.keys.remember(session, call.key, call.model.key_env)
        clean = Cleaner(context.keys.redactor())
        body, blobs = _first_event(call, context.writer.next_number(), workspace, contained)
        blobs = [clean.blob(blob) for blob in blobs]
        events = [ev.NewEvent(session, clean.body(body), actor=actor, request=call.request)]
        if call.start:
            events.append(ev.NewEvent(session, ev.ControlRequested(verb="start"), actor=actor))
        answer = creation_answer(await context.writer.append(*events, blobs=blobs))
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise
    if call.start:
        context.manager.runner(session).start()
    return answer


def creation_answer(events: Sequence[ev.Event]) -> Created:
    """The answer that ``events`` stand for."""
    body = events[0].body
    assert isinstance(body, ev.SessionCreated)
    return Created(session=events[0].session, number=body.number, contained=body.contained)


def _check_call(call: CreateSession) -> CreateSession:
    title = " ".join(text_of(call.title, "the title").split())[:MAX_TITLE_CHARS]
    task = text_of(call.task, "the task", empty=call.harness is not None and not call.harness.acp)
    if call.harness is not None and call.harness.acp and not call.harness.command:
        raise refusal("a program that is talked to in ACP is started by the host, and needs a command")
    try:
        parse_model(call.model.id)
    except ApolloError as error:
        raise refusal(str(error)) from error
    unknown = [name for name in call.tools if name not in NAMES]
    if unknown:
        raise refusal(f"there is no tool {unknown[0]!r}; there are {', '.join(NAMES)}")
    if call.in_place and not call.workspace:
        raise refusal("--in-place needs a workspace: name the folder to work in")
    elsewhere = call.contained.inside if call.contained is not None and is_remote(call.contained.inside) else ""
    if elsewhere and call.harness is not None and call.harness.command:
        raise refusal(
            f"an agent program cannot be started inside {elsewhere}: its model endpoint is at 127.0.0.1 of this "
            "machine, not of the other side; choose --inside bwrap, landlock or none, or start it there yourself: "
            "--elsewhere, then what 'apollo gateway' prints, and its port forwarded (ssh -R PORT:127.0.0.1:PORT)"
        )
    there = call.in_place and elsewhere
    if call.workspace and not there and not Path(call.workspace).is_dir():
        raise refusal(f"the workspace {call.workspace} is no folder")
    if call.workspace and not Path(call.workspace).is_absolute():
        raise refusal(f"the workspace {call.workspace} is not an absolute path")
    for name in call.limits.__struct_fields__:
        value = getattr(call.limits, name)
        if value is not None and value < 0:
            raise refusal(f"a limit of {name} cannot be {value:g}")
    harness = call.harness
    if harness is not None and call.stream is not None:
        harness = msgspec.structs.replace(harness, stream=call.stream)
    terms = {name: text_of(getattr(call.terms, name), f"the {name}", empty=True) for name in ev.Terms.__struct_fields__}
    return msgspec.structs.replace(call, title=title, task=task, terms=ev.Terms(**terms), harness=harness)


def _make_folders(folder: Path, call: CreateSession) -> Path:
    if call.in_place and call.contained is not None and is_remote(call.contained.inside):
        assert call.workspace is not None
        return Path(call.workspace)
    workspace = prepare_workspace(Path(call.workspace) if call.workspace else None, folder, in_place=call.in_place)
    if call.evaluate is not None and call.evaluate.files:
        if call.evaluate_base is None:
            raise refusal("the scorer's files are relative to a folder, and none was named")
        keep_scorer(call.evaluate, Path(call.evaluate_base), folder)
    return workspace


def _try_environment(session: str, workspace: Path, folder: Path, call: CreateSession) -> None:
    """Make the task's environment once, so that a mistake in it is told to who creates the session."""
    try:
        environment_tools(call.environment, session=session, workspace=workspace, folder=folder)
    except BadEnvironment as error:
        raise refusal(str(error)) from error


async def _contain(
    context: HandlerContext, call: CreateSession, folder: Path, workspace: Path
) -> ev.Containment | None:
    """What contains the session, tried once, so that what does not work is told to who creates it."""
    if call.contained is None or call.origin == "replay":
        return None
    try:
        private = {"the file of keys": keys_path(), "the config, whose commands run outside": config_path()}
        settled = await asyncio.to_thread(
            settle, call.contained, workspace=workspace, log=context.paths.log, private=private
        )
        if is_remote(settled.inside):
            settled = msgspec.structs.replace(settled, there=call.in_place)
        space = session_space(settled, folder, workspace)
        await space.open()
        await space.close()
    except SpaceError as error:
        raise refusal(str(error)) from error
    return settled


def _first_event(
    call: CreateSession, number: int, workspace: Path, contained: ev.Containment | None
) -> tuple[ev.SessionCreated, list[Blob]]:
    body = ev.SessionCreated(
        number=number,
        title=call.title,
        task=call.task,
        model=call.model,
        origin=call.origin,
        workspace=str(workspace),
        source_workspace=call.workspace,
        in_place=call.in_place,
        tools=call.tools,
        evaluate=call.evaluate,
        environment=call.environment,
        harness=call.harness,
        limits=call.limits,
        nonce=secrets.token_hex(4),
        task_id=call.task_id,
        contained=contained,
        tags=call.tags,
        terms=call.terms,
        meta=call.meta,
    )
    if call.harness is not None:
        return body, []
    # Stored with the session, so that a newer host goes on with the prompt that the model was given.
    system, blobs = long_text(system_prompt(body))
    return msgspec.structs.replace(body, system=system), blobs
