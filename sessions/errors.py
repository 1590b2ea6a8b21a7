"""The root of all errors that a person reads: one line, what happened, to which session, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from sessions.hints import Remedy


class ApolloError(Exception):
    """Its text is shown as it is, without a traceback; the command line exits non-zero.

    ``remedies`` say what to do about it where that has another name on the command line than in the app.
    """

    def __init__(self, message: str = "", *, remedies: Sequence[Remedy] = ()) -> None:
        super().__init__(message)
        self.remedies = tuple(remedies)
