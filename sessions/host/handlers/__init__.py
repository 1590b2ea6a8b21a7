"""What the host does for a client, one module per family of calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from sessions.host import protocol
from sessions.host.handlers import advice, annotate, control, create, imports, limits
from sessions.host.handlers.context import HandlerContext

Handler = Callable[[HandlerContext, Any, str], Awaitable[object]]
"""``await handler(context, call, actor)`` commits and answers, or raises wire.RpcError."""

HANDLERS: Final[Mapping[str, Handler]] = {
    protocol.CreateSession.method: create.create,
    protocol.ImportFile.method: imports.import_file,
    protocol.Control.method: control.control,
    protocol.QueueAdvice.method: advice.queue,
    protocol.EditAdvice.method: advice.edit,
    protocol.WithdrawAdvice.method: advice.withdraw,
    protocol.Answer.method: advice.answer,
    protocol.SetLimit.method: limits.set_limit,
    protocol.Annotate.method: annotate.annotate,
}
"""Method to handler, of everything that writes to the log."""
