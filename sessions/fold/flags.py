"""All judgement of one session: flags, recovery marks and sign-offs, each by whom and whether it still stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from sessions import events as ev

Verdict = Literal["bad", "good", "unsure"]
SessionVerdict = Literal["good", "partial", "discard", "invalid"]


class Flag(msgspec.Struct, frozen=True):
    """A verdict on a target. ``by`` is the actor: ``human:NAME``, ``rule:NAME`` or ``judge:NAME``. Times in Unix ms."""

    id: str
    target: ev.Target
    verdict: Verdict
    label: str
    note: str
    severity: int | None
    until_recovery: bool
    by: str
    at: int
    seq: int
    seen: ev.Seen | None
    removed_at: int | None = None
    removed_by: str = ""

    @property
    def active(self) -> bool:
        """Whether it still stands."""
        return self.removed_at is None

    @property
    def human(self) -> bool:
        """Whether a person set it."""
        return self.by.startswith("human:")


class SignOff(msgspec.Struct, frozen=True):
    """A person's word on the session: a verdict on all of it, or "judged up to step N"."""

    by: str
    verdict: SessionVerdict | None
    up_to_step: int | None
    note: str
    at: int
    seq: int


class FlagBook:
    """The fold of a session's judgement. Grows with the number of flags only."""

    def __init__(self, events: Iterable[ev.Event] = ()) -> None:
        self._flags: dict[str, Flag] = {}
        self._recoveries: dict[int, str] = {}
        self._sign_offs: dict[str, SignOff] = {}
        for event in events:
            self.fold(event)

    def fold(self, event: ev.Event) -> None:
        """Take the next event of the session; kinds that are no judgement change nothing."""
        match event.body:
            case ev.FlagSet() as body:
                self._flags[body.flag] = Flag(
                    id=body.flag,
                    target=body.target,
                    verdict=body.verdict,
                    label=body.label,
                    note=body.note,
                    severity=body.severity,
                    until_recovery=body.until_recovery,
                    by=event.actor,
                    at=event.at,
                    seq=event.seq,
                    seen=body.seen,
                )
            case ev.FlagRemoved() as body:
                flag = self._flags.get(body.flag)
                if flag is not None and flag.active:
                    self._flags[body.flag] = msgspec.structs.replace(flag, removed_at=event.at, removed_by=event.actor)
            case ev.RecoveryMarked(removed=True) as body:
                self._recoveries.pop(body.at_step, None)
            case ev.RecoveryMarked() as body:
                self._recoveries[body.at_step] = event.actor
            case ev.SignedOff(verdict=None, up_to_step=None):
                self._sign_offs.pop(event.actor, None)
            case ev.SignedOff() as body:
                self._sign_offs[event.actor] = SignOff(
                    event.actor, body.verdict, body.up_to_step, body.note, event.at, event.seq
                )
            case _:
                pass

    @property
    def active(self) -> list[Flag]:
        """The flags that stand, in the order in which they were set."""
        return [flag for flag in self._flags.values() if flag.active]

    @property
    def all(self) -> list[Flag]:
        """All flags that were ever set, also those taken back."""
        return list(self._flags.values())

    @property
    def recoveries(self) -> dict[int, str]:
        """Steps that carry a recovery mark, and who set it."""
        return dict(sorted(self._recoveries.items()))

    @property
    def sign_offs(self) -> dict[str, SignOff]:
        """The sign-offs that stand, by actor."""
        return dict(self._sign_offs)

    def get(self, flag: str) -> Flag | None:
        """The flag with this id, taken back or not."""
        return self._flags.get(flag)

    def on(self, target: ev.Target) -> list[Flag]:
        """The flags that stand on exactly this target."""
        return [flag for flag in self.active if flag.target == target]

    def find_undecided(self, actor: str) -> list[dict[str, Flag]]:
        """The last word of each person, by who said it, for each target that ``actor`` may decide: where they disagree
        or all are unsure, and this annotator has not spoken last."""
        said: dict[str, dict[str, Flag]] = {}
        for flag in self.active:
            if flag.human:
                said.setdefault(str(flag.target), {})[flag.by] = flag
        return [flags for flags in said.values() if _is_undecided(flags.values()) and _newest(flags).by != actor]

    def covers(self, step: int, call: int | None = None) -> tuple[Flag, ...]:
        """The flags that stand for all of what ``step.call`` is, or, without a call, for the whole reply of ``step``.

        A flag on a reply or a span covers each call in it; one with ``until_recovery`` also covers all that follows,
        up to and without the marked step. Flags on reasoning and text alone cover no call.
        """
        return tuple(flag for flag in self.active if self._covers(flag, step, call))

    def recovery_of(self, flag: Flag) -> int | None:
        """The step on which the agent recovered from what ``flag`` is about; None: nobody marked one."""
        last = flag.target.to_step or flag.target.step
        return min((step for step in self._recoveries if step > last), default=None)

    @property
    def without_recovery(self) -> list[Flag]:
        """Flags that should hold until recovery, which nobody has marked."""
        return [flag for flag in self.active if flag.until_recovery and self.recovery_of(flag) is None]

    def is_signed_off(self, step: int) -> bool:
        """Whether a person has signed off a part of the session that includes ``step``."""
        return any(
            (sign.verdict is not None and sign.up_to_step is None) or (sign.up_to_step or 0) >= step
            for sign in self._sign_offs.values()
        )

    def _covers(self, flag: Flag, step: int, call: int | None) -> bool:
        target = flag.target
        match target.part:
            case "reply" if target.step == step:
                return True
            case "span" if target.step <= step <= (target.to_step or target.step):
                return True
            case "call" if target.step == step and call is not None and target.call == call:
                return True
            case _:
                return self._reaches(flag, step, call)

    def _reaches(self, flag: Flag, step: int, call: int | None) -> bool:
        """Whether ``step.call`` lies between what the flag is about and the recovery from it."""
        if not flag.until_recovery or flag.target.part == "summary":
            return False
        recovered = self.recovery_of(flag)
        last = flag.target.to_step or flag.target.step
        if recovered is None or not last <= step < recovered:
            return False
        if step > last:
            return True
        return flag.target.part == "call" and call is not None and call > (flag.target.call or 0)


def _newest(flags: Mapping[str, Flag]) -> Flag:
    return max(flags.values(), key=lambda flag: flag.seq)


def _is_undecided(flags: Iterable[Flag]) -> bool:
    verdicts = {flag.verdict for flag in flags}
    return len(verdicts) > 1 or verdicts == {"unsure"}
