"""How two exports differ and why: policy, log position, and step by step from their rows and twin files.

Both are read side by side, a session at a time: exports of any size, in the memory of their largest session.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec

from apollo_train.runtime import TrainError

SHOWN: Final = 20
"""Steps that are named; all are counted."""
TRAINED: Final = "trained"
ABSENT: Final = "not there"


class NoExport(TrainError):
    """A path is no export, or not whole."""


class _Row(msgspec.Struct):
    meta: dict[str, Any] = {}


class _TwinLine(msgspec.Struct):
    session: str
    reason: str
    step: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A step that is treated otherwise: what it was (``trained``, or the reason) and what it is."""

    session: str
    step: str
    before: str
    after: str


@dataclass(slots=True)
class Difference:
    """All that differs from ``a`` to ``b``."""

    same_bytes: bool
    position: tuple[int, int]
    format: tuple[str, str]
    policy: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """Changed keys of the policy, ``flags.conflict``, with both values."""
    settings: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    sessions: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Sessions that only one of them has, with what is said of them."""
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many steps changed from what to what."""
    changes: list[Change] = field(default_factory=list)
    """The first of them."""
    rewritten: int = 0
    """Rows that both have with other content or other columns."""
    columns: Counter[str] = field(default_factory=Counter)
    """Which columns of ``meta`` differ in those, and in how many; ``content`` for all else."""

    def lines(self) -> Iterator[str]:
        """The difference for a person."""
        if self.same_bytes:
            yield "the rows are the same, byte for byte"
        else:
            yield "the rows differ"
        if self.position[0] != self.position[1]:
            yield f"log position: {self.position[0]} → {self.position[1]} (what was judged or added in between counts)"
        if self.format[0] != self.format[1]:
            yield f"format: {self.format[0]} → {self.format[1]}"
        yield from (f"policy {key}: {before!r} → {after!r}" for key, (before, after) in sorted(self.policy.items()))
        yield from (f"setting {key}: {before!r} → {after!r}" for key, (before, after) in sorted(self.settings.items()))
        yield from (f"session {name}: {a} → {b}" for name, (a, b) in sorted(self.sessions.items()))
        for (before, after), number in sorted(self.reasons.items(), key=_by_number):
            yield f"{number:,} steps: {before} → {after}"
        yield from (f"  {c.session} step {c.step}: {c.before} → {c.after}" for c in self.changes)
        left = sum(self.reasons.values()) - len(self.changes)
        if left > 0:
            yield f"  … and {left:,} more"
        if self.rewritten:
            what = ", ".join(f"{name} in {number:,}" for name, number in sorted(self.columns.items(), key=_by_number))
            yield f"{self.rewritten:,} rows are in both and differ: {what}"

    def plain(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "same_bytes": self.same_bytes,
            "position": self.position,
            "format": self.format,
            "policy": self.policy,
            "settings": self.settings,
            "sessions": self.sessions,
            "reasons": [{"before": a, "after": b, "steps": n} for (a, b), n in sorted(self.reasons.items())],
            "changes": [msgspec.to_builtins(change) for change in self.changes],
            "rewritten": self.rewritten,
            "columns": dict(sorted(self.columns.items())),
        }


@dataclass(slots=True)
class _Side:
    """One export's files."""

    data: Path
    twin: Path
    manifest: dict[str, Any]


def diff_exports(a: Path, b: Path, *, shown: int = SHOWN) -> Difference:
    """How the export ``b`` differs from ``a``; each is the path of its rows. Raises NoExport."""
    one, two = _open(a), _open(b)
    first, second = one.manifest, two.manifest
    difference = Difference(
        first["blake3"]["data"] == second["blake3"]["data"],
        (first["position"], second["position"]),
        (str(first["format"]["name"]), str(second["format"]["name"])),
        _changes(_flat(first["policy"] or {}), _flat(second["policy"] or {})),
        _changes(_flat(first["format"].get("settings", {})), _flat(second["format"].get("settings", {}))),
    )
    difference.policy.pop("name", None)
    for name in sorted({*_sessions(first), *_sessions(second)}):
        before, after = _sessions(first).get(name, ABSENT), _sessions(second).get(name, ABSENT)
        if before != after:
            difference.sessions[name] = (before, after)
    for session, was, now in _pair(_steps(one), _steps(two)):
        _compare(difference, session, was, now, shown)
    return difference


@dataclass(slots=True)
class _Group:
    """What an export says of one session."""

    fate: dict[str, str] = field(default_factory=dict)
    """By step: trained, or why not."""
    rows: dict[str, tuple[bytes, dict[str, Any]]] = field(default_factory=dict)
    """Rows by id: the hash of their content without ``meta``, and ``meta``."""


def _compare(difference: Difference, session: str, before: _Group | None, after: _Group | None, shown: int) -> None:
    if before is None or after is None:
        return  # said once, of the session
    for step in sorted({*before.fate, *after.fate}, key=_by_step):
        was, now = before.fate.get(step, ABSENT), after.fate.get(step, ABSENT)
        if was != now:
            difference.reasons[was, now] += 1
            if len(difference.changes) < shown:
                difference.changes.append(Change(session, step, was, now))
    for name, (content, meta) in before.rows.items():
        other = after.rows.get(name)
        if other is None or other == (content, meta):
            continue
        difference.rewritten += 1
        difference.columns.update(key for key in {*meta, *other[1]} if meta.get(key) != other[1].get(key))
        difference.columns["content"] += content != other[0]
    difference.columns = +difference.columns


def _by_number(item: tuple[Any, int]) -> tuple[int, Any]:
    return -item[1], item[0]


def _by_step(step: str) -> tuple[int, str]:
    head = "".join(ch for ch in step if ch.isdigit())
    return (int(head) if head else 0, step)


def _pair(
    one: Iterator[tuple[str, _Group]], two: Iterator[tuple[str, _Group]]
) -> Iterator[tuple[str, _Group | None, _Group | None]]:
    """Both in the order of their sessions, side by side."""
    left, right = next(one, None), next(two, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            yield left[0], left[1], None
            left = next(one, None)
        elif left is None or right[0] < left[0]:
            yield right[0], None, right[1]
            right = next(two, None)
        else:
            yield left[0], left[1], right[1]
            left, right = next(one, None), next(two, None)


def _steps(side: _Side) -> Iterator[tuple[str, _Group]]:
    """The sessions that take part, in order."""
    rows = groupby(_rows(side.data), key=lambda row: row[0])
    left = groupby(_twin_lines(side.twin), key=lambda line: line.session)
    row, line = next(rows, None), next(left, None)
    while row is not None or line is not None:
        name = min(one[0] for one in (row, line) if one is not None)
        group = _Group()
        if line is not None and line[0] == name:
            for excluded in line[1]:
                if excluded.step:
                    group.fate[_step_name(excluded.step, excluded.id)] = excluded.reason
            line = next(left, None)
        if row is not None and row[0] == name:
            for _, row_id, content, meta in row[1]:
                group.rows[row_id] = (content, meta)
                for step in _trained_steps(row_id, meta):
                    # What is masked for itself is masked in both twins, and named once.
                    if group.fate.get(step.removesuffix(_step_name("", row_id)), TRAINED) == TRAINED:
                        group.fate.setdefault(step, TRAINED)
            row = next(rows, None)
        if group.fate or group.rows:
            yield name, group


def _step_name(step: str, id: str) -> str:
    """A twin's step with its suffix."""
    return step + next((end for end in ("+advice", "-advice") if id.endswith(end)), "")


def _trained_steps(id: str, meta: dict[str, Any]) -> Iterator[str]:
    """The steps that a row may train: those of its range that the twin file does not name are trained."""
    suffix = _step_name("", id)
    if targets := meta.get("targets"):
        yield from (f"{target[0]}{suffix}" for target in targets)
        return
    first, _, last = str(meta.get("step", "")).partition("-")
    if first.isdigit() and last.isdigit():
        yield from (f"{step}{suffix}" for step in range(int(first), int(last) + 1))
    elif first:
        yield f"{first}{suffix}"


def _rows(path: Path) -> Iterator[tuple[str, str, bytes, dict[str, Any]]]:
    decoder = msgspec.json.Decoder(_Row)
    with path.open("rb") as lines:
        for line in lines:
            try:
                row = decoder.decode(line)
            except msgspec.MsgspecError:
                continue  # rows of raw and of traces are no samples
            if not row.meta:
                continue
            content = hashlib.sha256(line.replace(msgspec.json.encode(row.meta), b"")).digest()
            yield str(row.meta.get("session", "")), str(row.meta.get("id", "")), content, row.meta


def _twin_lines(path: Path) -> Iterator[_TwinLine]:
    decoder = msgspec.json.Decoder(_TwinLine)
    with path.open("rb") as lines:
        for line in lines:
            yield decoder.decode(line)


def _open(path: Path) -> _Side:
    data = path.with_name(path.name.removesuffix(".manifest.json"))
    twin, manifest = data.with_name(f"{data.name}.excluded.jsonl"), data.with_name(f"{data.name}.manifest.json")
    try:
        found = msgspec.json.decode(manifest.read_bytes(), type=dict[str, Any])
        for file in (data, twin):
            if not file.is_file():
                raise NoExport(f"{file} is missing: an export is its rows, their twin and their manifest")
    except (OSError, msgspec.MsgspecError) as problem:
        raise NoExport(f"{path} is no export: its manifest {manifest.name} cannot be read") from problem
    if found.get("apollo") != "export" or not {"blake3", "position", "format", "policy"} <= found.keys():
        raise NoExport(f"{manifest} is no manifest of an export")
    return _Side(data, twin, found)


def _sessions(manifest: dict[str, Any]) -> dict[str, str]:
    return dict.fromkeys(manifest.get("sessions", {}), "in") | dict(manifest.get("left_out", {}))


def _flat(tables: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[before + key] = value
    return found


def _changes(one: dict[str, Any], two: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The keys that differ, in the order of their names, with both values."""
    return {key: (one.get(key), two.get(key)) for key in sorted({*one, *two}) if one.get(key) != two.get(key)}
