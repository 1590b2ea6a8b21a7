"""A format fitted to the chat template that its rows will meet: in the form that it needs, or refused with a reason.

What each trainer makes of each template was run, not read (docs/conformance.md); ``proof`` holds the results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from apollo_train.formats.base import Choosy, Format, Line, Shaped, Unit, Weighing
from apollo_train.formats.conformance import TOKENS, proof, refusal_of, told_of, tried
from apollo_train.policy import FilterPolicy
from apollo_train.samples.steps import Excluded, Source
from apollo_train.templates.message_form import Form

FAMILIES: Final[dict[str, dict[str, Any]]] = {
    "llama3": {"objects": True},
    "qwen3": {"objects": True, "thinks": True},
    "glm": {"objects": True, "thinks": True},
    "gemma": {"system": False, "runs": False, "tools": False},
}
"""What the form for each family of templates is, whoever renders it."""
KEEP_TEXT: Final = frozenset(
    {
        "messages",
        "openai",
        "axolotl",
        "ms-swift",
        "tinker",
        "tinker-steps",
        "verl",
        "llamafactory-v0",
        "llamafactory-v1",
    }
)
"""Formats whose trainer parses arguments itself, or whose loader would merge the objects of different rows."""
OWN: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("ms-swift", "qwen3"): {"gap": "\n"},
    ("ms-swift", "glm"): {"think": "<think>{}</think>\n"},
    ("llamafactory-v0", "gemma"): {"system": True},
    ("axolotl", "qwen3"): {"closing": True},
    ("tinker", "qwen3"): {"spelled": True, "parts": False, "objects": True},
    ("tinker-steps", "qwen3"): {"spelled": True, "parts": False, "objects": True},
}
"""Where a trainer renders with templates of its own that want something else."""


def form_for(made: Shaped, family: str) -> Form:
    """The form of a format for templates of ``family``; its own for a family that is not known."""
    form = replace(made.form, **FAMILIES.get(family, {}))
    if made.name in KEEP_TEXT:
        form = replace(form, objects=False)
    return replace(form, **OWN.get((made.name, family), {}))


@dataclass(frozen=True)
class Fitted:
    """``inner`` for templates of ``family``."""

    inner: Format
    family: str
    exact: bool = True
    """Whether the template is the very one of its family that was tried."""

    @property
    def name(self) -> str:
        """The format's own."""
        return self.inner.name

    @property
    def version(self) -> int:
        """The format's own."""
        return self.inner.version

    @property
    def unit(self) -> Unit:
        """The format's own."""
        return self.inner.unit

    @property
    def about(self) -> str:
        """The format's own."""
        return self.inner.about

    @property
    def settings(self) -> dict[str, Any]:
        """The template is one of them: rows of another would be others."""
        return {"template": self.family}

    def refusal(self, policy: FilterPolicy) -> str:
        """Why the trainer of this format cannot train these masks with this template, and what to take."""
        own = self.inner.refusal(policy) if isinstance(self.inner, Choosy) else ""
        if not own and not self.exact and isinstance(self.inner, Shaped) and self.inner.form.spelled:
            own = (
                f"{self.name} says all in the words of the {self.family} template that was tried, and yours is another "
                f"of its family: {TOKENS}"
            )
        return own or refusal_of(self.name, self.family)

    def lines(self, source: Source) -> Iterator[Line | Excluded]:
        """The format's lines, in the template's form."""
        return self.inner.lines(source)


@dataclass(frozen=True)
class FittedWeighing(Fitted):
    """The same for a format whose trainer reads weights."""

    weighs: bool = True


def note_of(made: Format) -> str:
    """One line on which templates the trainer of this format trains our masks with; "" if none was tried with it."""
    return told_of(made.name, made.family if isinstance(made, Fitted) else "")


def proof_of(made: Format) -> dict[str, Any]:
    """The same for a manifest: the trainer, its versions, and what it trained with each template."""
    found = tried(made.name)
    if not found:
        return {}
    trainer = found[0].trainer
    return {
        "trainer": trainer,
        "versions": proof().versions.get(trainer, {}),
        "templates": {r.template: r.says for r in found},
    }


def fitted(made: Format, family: str, *, exact: bool = True) -> Format:
    """The format for templates of ``family``; as it is where it holds no messages for a template, or none is named."""
    if not family or not isinstance(made, Shaped):
        return made
    inner = made.shaped(form_for(made, family))
    return (FittedWeighing if isinstance(made, Weighing) else Fitted)(inner, family, exact)
