"""What can go wrong with a space."""

from __future__ import annotations

from sessions.errors import ApolloError


class SpaceError(ApolloError):
    """A space cannot be made or entered; one line that says why."""
