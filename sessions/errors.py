"""The root of all errors that a person reads: one line, what happened, to which session, what to do."""

from __future__ import annotations


class ApolloError(Exception):
    """Its text is shown as it is, without a traceback; the command line exits non-zero."""
