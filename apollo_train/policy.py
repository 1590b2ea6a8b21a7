"""The filter policy: which sessions, which actions are trained, and with what in their context.

A policy is a TOML file with ``version = 2``; whatever it leaves out has the default. A file of version 1 means what it
meant. docs/training.md explains every key, and what differs. ``digest`` names a policy by its content, so that an
export can say by which rules it was made.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints

import msgspec

from apollo_train.runtime import BadPolicy
from apollo_train.schema_errors import explain_problem
from sessions.events import AdviceKind
from sessions.events.states import State
from sessions.events.text import canonical_json

VERSION: Final = 2

SignOff = Literal["good", "partial", "discard", "invalid", "none"]
FlagSource = Literal["human", "rule", "judge"]
AdviceMode = Literal["kept", "dropped", "both"]
ADVICE_KINDS: Final = ("knowledge", "strategy", "correction", "stop", "other")
"""The keys of ``[advice]`` that have a mode."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file; unknown keys are errors, because a misspelt filter filters nothing."""


class SessionRules(_Table, frozen=True):
    """Which sessions take part. Empty lists mean any."""

    states: tuple[State, ...] = ()
    sign_off: tuple[SignOff, ...] = ("good", "partial", "none")
    min_score: float | None = None
    """The best evaluation must be at least this good (at most this, where lower is better)."""
    tasks: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """``provider:model`` or the model's name alone."""
    created_from: str = ""
    """A date, ``2026-11-22``, UTC; the session was created on it or later."""
    created_to: str = ""
    """A date; the session was created on it or earlier."""
    annotators: tuple[str, ...] = ()
    """Sessions that one of them has flagged, advised or signed off."""
    replayed: bool = False
    """Also ``replay:`` sessions, whose advice had no effect."""
    demo: bool = True
    """Also scripted demo sessions."""
    branches: bool = False
    """Also ways that an imported recording left: rewound, rolled back."""
    children: bool = False
    """Also sub-agents of imported recordings."""


class FlagRules(_Table, frozen=True):
    """Which flags count, and what they do."""

    sources: tuple[FlagSource, ...] = ("human", "rule", "judge")
    labels: tuple[str, ...] = ()
    """Only these labels mask; empty: all."""
    kept_labels: tuple[str, ...] = ()
    """Bad flags with these labels keep their loss, besides those of the environment."""
    environment_kept: bool = True
    """Errors of the environment are not the agent's fault and keep their loss."""
    min_severity: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0
    """Flags that state a lower severity do not mask; flags without one always do."""
    unsure: Literal["train", "mask"] = "train"
    conflict: Literal["mask", "exclude", "adjudicated"] = "mask"
    """Annotators disagree: any bad flag masks; the whole sample is left out as ``disputed``, and no word of the dispute
    counts elsewhere; or an adjudicator decides, and without his word it is ``disputed``."""
    adjudicators: tuple[str, ...] = ()
    propagation: Literal["this", "until_recovery", "to_end", "first_error"] = "this"
    """How far a human's bad flag reaches; flags of rules and judges never propagate."""
    scope: Literal["message", "call", "format", "reasoning"] = "message"
    """What a masked call takes with it: its whole reply in every format, or nothing (only token formats can say that).
    Version 1 has ``format`` (as little as the format can say) and ``reasoning`` (the reasoning and text beside it) too,
    and its ``message`` also lets a masked reasoning or text take the whole reply with it.
    """


class RuleMasks(_Table, frozen=True):
    """Masks that need no flag."""

    malformed: bool = True
    inner_polls: bool = False
    """Repeats of the same poll with the same answer, except the first and the last of a run."""
    poll_tools: tuple[str, ...] = ("job_output", "get_session_output", "check_session_idle", "list_sessions", "sleep")
    """Tools whose calls poll, beside those that only look or wait by the preset of a session's harness."""


class AdviceRules(_Table, frozen=True):
    """Advice in the context, by kind. ``both`` writes twins, at half the weight where they differ.

    All None: nobody has said it yet, and an export that holds advice asks. Who says it of one kind has kept the others.
    """

    knowledge: AdviceMode | None = None
    strategy: AdviceMode | None = None
    correction: AdviceMode | None = None
    stop: AdviceMode | None = None
    other: AdviceMode | None = None
    """Advice without a kind, and answers to questions."""
    here: Literal["leave_out", "keep"] = "leave_out"
    """Where advice is dropped, what becomes of the reply after a piece that holds *here* alone (it stays, and so do
    answers to questions): it is no target, or one like any other."""

    def mode(self, kind: AdviceKind | None) -> AdviceMode:
        """What happens to advice of ``kind``."""
        mode: AdviceMode | None = getattr(self, kind or "other")
        return mode or "kept"

    @property
    def modes(self) -> frozenset[AdviceMode]:
        """All modes in use."""
        return frozenset(getattr(self, kind) or "kept" for kind in ADVICE_KINDS)

    @property
    def is_open(self) -> bool:
        """Whether nobody has said what becomes of advice."""
        return all(getattr(self, kind) is None for kind in ADVICE_KINDS)

    @classmethod
    def of_all(cls, mode: AdviceMode, here: Literal["leave_out", "keep"] = "leave_out") -> AdviceRules:
        """The same for every kind."""
        return cls(knowledge=mode, strategy=mode, correction=mode, stop=mode, other=mode, here=here)


class TargetRules(_Table, frozen=True):
    """Which replies may be targets at all, besides normal steps."""

    summaries: bool = False
    text_only: bool = False
    """Replies without a call."""
    unseen: Literal["train", "mask", "signed_off"] = "train"
    """Actions that no human saw: trained, masked, or trained only in sessions that a human signed off."""
    trainable: tuple[str, ...] = ()
    """Patterns of the names of models whose replies may be targets (``glm-*``); empty: of all."""
    incomplete: Literal["mask", "train"] = "mask"
    """Replies whose model read what an import could not keep: an image, a file, a result, an instruction."""


class SplitRules(_Table, frozen=True):
    """Shares of repositories and tasks (never of steps) that go to validation and test; the rest is for training."""

    validation: Share = 0.0
    test: Share = 0.0
    seed: str = ""


class WeightRules(_Table, frozen=True):
    """The weight of a row, besides the half of a twin."""

    normalise: Literal["none", "session", "task"] = "none"
    """``session``: all rows of a session weigh 1 together; ``task``: of a task."""
    session_cap: Annotated[int, msgspec.Meta(ge=0)] = 0
    """A session with more trained replies than this weighs as much as this many; 0: no cap."""
    task_cap: Annotated[int, msgspec.Meta(ge=0)] = 0
    """The same for all sessions of a task together."""
    apply: Literal["resample", "column", "refuse"] = "resample"
    """Trainers ignore weights: rows are written more or less often, only say it in ``meta.weight``, or not at all."""


class FilterPolicy(_Table, frozen=True):
    """A whole policy."""

    version: int = VERSION
    name: str = "default"
    sessions: SessionRules = SessionRules()
    flags: FlagRules = FlagRules()
    rules: RuleMasks = RuleMasks()
    advice: AdviceRules = AdviceRules()
    targets: TargetRules = TargetRules()
    split: SplitRules = SplitRules()
    weights: WeightRules = WeightRules()

    @property
    def digest(self) -> str:
        """SHA-256 of the policy's canonical JSON, defaults included."""
        return hashlib.sha256(canonical_json(self.plain())).hexdigest()

    def plain(self) -> dict[str, object]:
        """The policy as plain values, defaults included; of version 1 what that version had."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        if self.version == 1:
            found["advice"] = {kind: found["advice"][kind] or "kept" for kind in ADVICE_KINDS}
            if not self.targets.trainable:
                del found["targets"]["trainable"]
            del found["targets"]["incomplete"]
            for key in ("branches", "children"):
                del found["sessions"][key]
        return found

    def with_advice(self, mode: AdviceMode) -> FilterPolicy:
        """The same policy with this word on advice of every kind."""
        return msgspec.structs.replace(self, advice=AdviceRules.of_all(mode, self.advice.here))

    def with_trainable(self, patterns: Sequence[str]) -> FilterPolicy:
        """The same policy with targets of these models alone."""
        return msgspec.structs.replace(self, targets=msgspec.structs.replace(self.targets, trainable=tuple(patterns)))


PRESETS: Final[dict[str, FilterPolicy]] = {
    policy.name: policy
    for policy in (
        FilterPolicy(),
        FilterPolicy(
            name="strict",
            sessions=SessionRules(sign_off=("good",)),
            flags=FlagRules(unsure="mask", conflict="exclude", propagation="until_recovery"),
            rules=RuleMasks(inner_polls=True),
            targets=TargetRules(unseen="mask"),
        ),
        FilterPolicy(name="unaided", advice=AdviceRules.of_all("dropped")),
        FilterPolicy(name="twins", advice=AdviceRules.of_all("both")),
        FilterPolicy(
            name="everything",
            sessions=SessionRules(sign_off=("good", "partial", "discard", "invalid", "none"), replayed=True),
            flags=FlagRules(sources=()),
            rules=RuleMasks(malformed=False),
            targets=TargetRules(summaries=True, text_only=True, incomplete="train"),
        ),
    )
}
"""Policies by name."""


def _in_version_1(policy: FilterPolicy) -> FilterPolicy:
    """The preset as files of version 1 begin with it."""
    advice = AdviceRules.of_all("kept") if policy.advice.is_open else policy.advice
    flags = msgspec.structs.replace(policy.flags, scope="format")
    return msgspec.structs.replace(policy, version=1, flags=flags, advice=advice)


PRESETS_OF_1: Final = {name: _in_version_1(policy) for name, policy in PRESETS.items()}
"""What the presets were in version 1."""
ABOUT: Final = {
    "default": "flagged and malformed replies are masked; asks about advice",
    "strict": "only what was seen, in sessions signed off as good; disputes left out, inner polls masked; asks as well",
    "unaided": "the default with advice dropped",
    "twins": "the default with advice in and out, each row at half the weight",
    "everything": "only what is never a target is masked: for comparison; asks as well",
}
"""What each of them does, in a line."""


_DATES: Final = ("created_from", "created_to")


def load_policy(source: str | Path | None = None) -> FilterPolicy:
    """The preset of that name, or the policy in that file (default: the preset ``default``). Raises BadPolicy."""
    if source is None:
        return PRESETS["default"]
    if isinstance(source, str) and source in PRESETS:
        return PRESETS[source]
    path = Path(source)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        names = ", ".join(PRESETS)
        why = problem.strerror if isinstance(problem, OSError) else problem
        raise BadPolicy(f"policy {source}: no preset ({names}) and no file that can be read: {why}") from problem
    return parse_policy(text, str(source))


def parse_policy(text: str, source: str = "policy") -> FilterPolicy:
    """The policy that ``text`` (TOML) says. ``preset = "strict"`` at its head starts from that preset."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BadPolicy(f"{source}: not TOML: {problem}") from problem
    except RecursionError as problem:
        raise BadPolicy(f"{source}: not TOML of a policy: nested too deeply") from problem
    version = tables.get("version")
    if version is None:
        raise BadPolicy(f"{source}: version: missing; write `version = {VERSION}`")
    if version not in (1, VERSION) or isinstance(version, bool | float):
        raise BadPolicy(f"{source}: version: {version!r} is not known here; this Apollo reads 1 and {VERSION}")
    preset = tables.pop("preset", "default")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise BadPolicy(f"{source}: preset: {preset!r} is none of {', '.join(PRESETS)}")
    base = (PRESETS if version == VERSION else PRESETS_OF_1)[preset]
    _check_version(tables, version, source)
    try:
        policy = msgspec.convert(_merge(base.plain(), tables), FilterPolicy)
    except msgspec.ValidationError as problem:
        raise BadPolicy(f"{source}: {explain_problem(problem, FilterPolicy)}") from problem
    _check(policy, source)
    if policy.advice.is_open:
        return policy
    said = {kind: getattr(policy.advice, kind) or "kept" for kind in ADVICE_KINDS}
    return msgspec.structs.replace(policy, advice=msgspec.structs.replace(policy.advice, **said))


def version_note(policy: FilterPolicy) -> str:
    """What a report says of a policy of an older version, in one line; "" for one of this version."""
    if policy.version == VERSION:
        return ""
    return (
        f"policy {policy.name!r} has version {policy.version} and means what that meant; docs/training.md says what "
        f"version {VERSION} does otherwise"
    )


def _merge(base: dict[str, object], change: dict[str, object]) -> dict[str, object]:
    """``base`` with the values of ``change``, table by table."""
    whole = dict(base)
    for key, value in change.items():
        below = whole.get(key)
        whole[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return whole


_SCOPES: Final = ("message", "call")
"""What ``flags.scope`` can be; version 1 had more words for it."""
_SINCE_2: Final = (
    ("sessions", "branches"),
    ("sessions", "children"),
    ("advice", "here"),
    ("targets", "trainable"),
    ("targets", "incomplete"),
)
"""Keys that version 1 has not."""


def _check_version(tables: Mapping[str, Any], version: int, source: str) -> None:
    """Raises BadPolicy for words and keys of another version."""
    if version == 1:
        for table, key in _SINCE_2:
            if isinstance(tables.get(table), dict) and key in tables[table]:
                raise BadPolicy(f"{source}: {table}.{key}: version 1 has no such key; write `version = {VERSION}`")
        return
    flags = tables.get("flags")
    scope = flags.get("scope") if isinstance(flags, dict) else None
    if isinstance(scope, str) and scope not in _SCOPES:
        known = scope in get_args(get_type_hints(FlagRules)["scope"])
        of_1 = f", or write `version = 1`, which has {scope!r}" if known else ""
        raise BadPolicy(f"{source}: flags.scope: there is no {scope!r}: choose one of {', '.join(_SCOPES)}{of_1}")


def _check(policy: FilterPolicy, source: str) -> None:
    """What types alone cannot say."""
    score = policy.sessions.min_score
    if score is not None and not math.isfinite(score):
        raise BadPolicy(f"{source}: sessions.min_score: {score} is no finite number")
    if policy.split.validation + policy.split.test > 1:
        raise BadPolicy(f"{source}: split: validation and test are more than the whole")
    first, last = (date_ms(getattr(policy.sessions, key), f"{source}: sessions.{key}") for key in _DATES)
    if first is not None and last is not None and first > last:
        raise BadPolicy(f"{source}: sessions.created_to: {policy.sessions.created_to} is before created_from")
    weights = policy.weights
    if (weights.normalise == "session" and (weights.session_cap or weights.task_cap)) or (
        weights.normalise == "task" and weights.task_cap
    ):
        raise BadPolicy(
            f"{source}: weights: with normalise = {weights.normalise!r} all weigh the same already: a session_cap says "
            'something with "none" and "task", a task_cap with "none" only'
        )
    if policy.flags.conflict == "adjudicated" and not policy.flags.adjudicators:
        raise BadPolicy(f"{source}: flags.adjudicators: name who decides, because flags.conflict is `adjudicated`")


def date_ms(text: str, where: str = "date") -> int | None:
    """Midnight UTC that begins the day ``text`` (``2026-11-22``), in Unix ms; None for an empty text."""
    from datetime import UTC, datetime

    if not text:
        return None
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError as problem:
        raise BadPolicy(f"{where}: {text!r} is no date like 2026-11-22") from problem


def policy_toml(policy: FilterPolicy) -> str:
    """The whole policy as TOML that ``parse_policy`` reads back to an equal policy."""
    lines = [f"version = {policy.version}", f"name = {_toml(policy.name)}"]
    for table, values in policy.plain().items():
        if isinstance(values, dict):
            lines += ["", f"[{table}]"]
            lines += [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """One value: TOML's strings, lists, numbers and booleans are JSON's."""
    return canonical_json(value).decode()
