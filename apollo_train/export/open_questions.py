"""What a policy may leave open and an export has to know: whether advice stays in prompts, and whose replies count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from apollo_train.formats.base import Format
from apollo_train.policy import AdviceMode, FilterPolicy
from apollo_train.runtime import TrainError
from apollo_train.samples.session_selection import SessionExclusion, position_of, select
from sessions.config import ExportSettings
from sessions.log.reader import LogReader
from sessions.terminal_text import say_count

MEANINGS: Final[dict[AdviceMode, str]] = {
    "kept": "it stays in the prompts, as the model saw it",
    "dropped": "general advice is taken out of the prompts; the reply after advice that holds here only is no target",
    "both": "twins, with it and without, at half the weight each",
}
"""What can become of advice."""


class AdviceUndecided(TrainError):
    """The sessions hold advice, and nobody said what becomes of it."""


class ModelsUndecided(TrainError):
    """Replies of several models would be trained, and nobody said whose may be."""


@dataclass(slots=True)
class AdviceHeld:
    """What people said to the agents of an export."""

    pieces: int = 0
    answers: int = 0

    def __bool__(self) -> bool:
        return bool(self.pieces or self.answers)

    def __str__(self) -> str:
        said = [say_count(self.pieces, "piece", "pieces") + " of advice"] if self.pieces else []
        said += [say_count(self.answers, "answer") + " to questions"] if self.answers else []
        return " and ".join(said)


def fill_open(policy: FilterPolicy, settings: ExportSettings) -> FilterPolicy:
    """The policy with what the config says where nobody else said it."""
    if policy.advice.is_open and settings.advice is not None:
        policy = policy.with_advice(settings.advice)
    if settings.trainable and not policy.targets.trainable:
        policy = policy.with_trainable(settings.trainable)
    return policy


def find_advice(
    reader: LogReader, sessions: Sequence[str] | None, policy: FilterPolicy, position: int | None = None
) -> AdviceHeld:
    """What the sessions that take part hold of it."""
    held = AdviceHeld()
    for judged in select(reader, sessions, policy, position_of(reader, position)):
        if not isinstance(judged, SessionExclusion):
            held.pieces += len(judged.advice.delivered)
            held.answers += len(judged.answers)
    return held


def is_asked(policy: FilterPolicy, format: Format) -> bool:
    """Whether an export in this format has to know what becomes of advice, and nobody has said it."""
    return policy.version > 1 and policy.advice.is_open and format.takes_policy and not format.tells_all


def are_models_asked(policy: FilterPolicy, format: Format) -> bool:
    """Whether an export in this format has to know whose replies may be targets, if there are several models."""
    ruled = format.takes_policy and not format.tells_all
    return policy.version > 1 and ruled and not policy.targets.trainable


def require_models(trained: Mapping[str, int], policy: FilterPolicy, format: Format) -> None:
    """Raises ModelsUndecided where replies of several models would be trained and nobody said whose may be."""
    if len(trained) > 1 and are_models_asked(policy, format):
        raise ModelsUndecided(
            f"replies of several models would be trained ({say_models(trained)}), and nobody said whose may be: say "
            "--trainable 'PATTERN' (again for more, '*' for all), or `trainable` under [export] in the config, or "
            "targets.trainable in the policy"
        )


def say_models(trained: Mapping[str, int]) -> str:
    """How many replies of which model, the most first."""
    listed = sorted(trained.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number:,} {model or '?'}" for model, number in listed)


def has_several_models(reader: LogReader, sessions: Sequence[str] | None) -> bool:
    """Whether the sessions were made with several models; one session may still hold replies of another one."""
    wanted = None if sessions is None else set(sessions)
    made = {one.model for one in reader.summaries() if wanted is None or one.session in wanted}
    return len(made) > 1


def require_answer(
    reader: LogReader, sessions: Sequence[str] | None, policy: FilterPolicy, format: Format, position: int | None
) -> None:
    """Raises AdviceUndecided where the sessions hold advice and nobody said what becomes of it."""
    if is_asked(policy, format) and (held := find_advice(reader, sessions, policy, position)):
        raise AdviceUndecided(
            f"these sessions hold {held}, and nobody said what becomes of that: say --advice kept, dropped or both, or "
            "`advice` under [export] in the config, or [advice] in the policy"
        )
