"""Which model wrote a reply, and whether the policy lets its replies be targets."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from sessions import events as ev


def model_of(body: ev.ModelReplied | ev.ReplyInterrupted, spec: ev.ModelSpec | None) -> str:
    """The name of the model that wrote the reply: the server's word, else that of the session; scripts of the demo are
    one, and no model."""
    if spec is not None and spec.provider == "demo":
        return spec.provider
    said = body.model if isinstance(body, ev.ModelReplied) else ""
    return said or (spec.name if spec is not None else "")


def names_model(
    patterns: Iterable[str], body: ev.ModelReplied | ev.ReplyInterrupted, spec: ev.ModelSpec | None
) -> bool:
    """Whether one of the patterns names the model that wrote the reply.

    ``glm-*`` names ``glm-4.6``, ``openai:glm-4.6`` and ``zai-org/GLM-4.6``. A server's own name for the model of the
    session (``glm-4.6-0930``, ``/models/a``) does not count against it, where no other model can have answered.
    """
    names = {model_of(body, spec)}
    if spec is not None and (spec.provider != "import" or not next(iter(names))):
        names |= {spec.name, spec.id}
    return matches_model(patterns, names)


def matches_model(patterns: Iterable[str], names: Iterable[str]) -> bool:
    """Whether one of the patterns fits one of the names, or what is behind its last slash; the case does not matter."""
    lower = [name.lower() for name in names]
    known = {*lower, *(name.rsplit("/", 1)[-1] for name in lower)}
    return any(fnmatchcase(name, pattern.lower()) for name in known for pattern in patterns)
