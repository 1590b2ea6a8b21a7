"""What can go wrong between log and training file, each in one line for a person."""

from __future__ import annotations

from sessions.errors import ApolloError


class TrainError(ApolloError):
    """Base of all errors of this package; its text is one line that says what to do."""


class BadPolicy(TrainError):
    """A policy cannot be used; the message names the key."""


class NothingToExport(TrainError):
    """No session, or no sample, is left to write."""


class FileInTheWay(TrainError):
    """A file of that name is there already and nobody said to overwrite it."""


class CannotExpress(TrainError):
    """A format cannot say what the policy asks for; the message names one that can."""
