"""What the host does for a client, one module per family of calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from sessions.host import protocol
from sessions.host.handlers import advice, annotate, control, create, imports, limits, shell, threads
from sessions.host.handlers.context import HandlerContext

Handler = Callable[[HandlerContext, Any, str], Awaitable[object]]
"""``await handler(context, call, actor)`` commits and answers, or raises wire.RpcError."""

HANDLERS: Final[Mapping[str, Handler]] = {
    protocol.CreateSession.method: create.create_session,
    protocol.ImportFile.method: imports.import_file,
    protocol.Control.method: control.control_session,
    protocol.QueueAdvice.method: advice.queue_advice,
    protocol.EditAdvice.method: advice.edit_advice,
    protocol.WithdrawAdvice.method: advice.withdraw_advice,
    protocol.Answer.method: advice.answer_question,
    protocol.SetLimit.method: limits.set_limit,
    protocol.AssignThread.method: threads.assign_thread,
    protocol.OpenShell.method: shell.open_shell,
    protocol.CloseShell.method: shell.close_shell,
    protocol.Annotate.method: annotate.annotate,
}
"""Method to handler, of everything that writes to the log."""
