"""``python -m benchmarks.import --clones DIR``: import the recordings of the list, and compare with our own reading."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from .compare import Difference, differences
from .faults import FAULTS
from .product import Imported, ProductLog
from .reasons import Reason, reason_of, reasons, unused
from .recordings import NotFound, Recording, recordings, take
from .speed import print_speed
from .transcript import NotRead, Transcript

READERS: Final = MappingProxyType(
    {
        "atif": "atif",
        "chat": "chat",
        "claude-code": "claude_code",
        "codex": "codex",
        "gemini-cli": "gemini_cli",
        "inspect": "inspect_log",
        "mini-swe-agent": "mini_swe_agent",
        "openhands": "openhands",
        "swe-agent": "swe_agent",
    }
)
"""Formats of the list, and the modules that read them."""


@dataclass(slots=True)
class Compared:
    """One recording: what is in it, and how the log differs."""

    recording: Recording
    expected: list[Transcript]
    found: list[Difference]
    missed: list[str] = field(default_factory=list)
    """Faults put in on purpose that made no difference of their kind."""
    tried: int = 0


def read(format: str, data: bytes) -> list[Transcript]:
    """What our own reader finds in a recording. Raises NotRead."""
    module = importlib.import_module(f"{__package__}.readers.{READERS[format]}")
    found: list[Transcript] = module.read(data)
    return found


def compare(recording: Recording, data: bytes, *, faults: bool) -> Compared:
    """Read one recording, import it, and compare the two."""
    expected = read(recording.format, data)
    with tempfile.TemporaryDirectory(prefix="apollo-import-") as name:
        file = Path(name) / recording.file_name
        file.write_bytes(data)
        folder = Path(name) / "log"
        folder.mkdir()
        with ProductLog(folder) as product:
            imported = product.import_file(file)
    compared = Compared(recording, expected, _differences(expected, imported))
    if faults and imported.sessions:
        compared.tried, compared.missed = try_faults(expected, imported.sessions)
    return compared


def _differences(expected: Sequence[Transcript], imported: Imported) -> list[Difference]:
    if imported.refused:
        replies = sum(len(session.replies) for session in expected)
        return [Difference("refused", "the file", f"{replies} replies", imported.refused)] if replies else []
    return differences(expected, imported.sessions)


def try_faults(expected: Sequence[Transcript], actual: Sequence[Transcript]) -> tuple[int, list[str]]:
    """How many faults could be put in, and the names of those that made no new difference of their kind."""
    before = set(differences(expected, actual))
    tried, missed = 0, []
    for fault, kinds in FAULTS.items():
        changed = fault(actual)
        if changed is None:
            continue
        tried += 1
        if not any(d.kind in kinds for d in differences(expected, changed) if d not in before):
            missed.append(fault.__name__)
    return tried, missed


def main(words: Sequence[str] | None = None) -> int:
    """Print the report; 1 where a difference has no reason, a fault was missed, or nothing could be compared."""
    options = _options().parse_args(words)
    if options.speed:
        with tempfile.TemporaryDirectory(prefix="apollo-import-") as name:
            return 1 if print_speed(Path(name), quick=options.quick) else 0
    chosen = [r for r in recordings() if options.only in f"{r.format} {r}"]
    known, used = reasons(), list[Reason]()
    absent: list[NotFound] = []
    done: list[Compared] = []
    for recording in chosen:
        data = take(recording, options.clones, fetch=options.fetch)
        if isinstance(data, NotFound):
            absent.append(data)
            continue
        if options.keep:
            _keep(options.keep, recording, data)
        if options.take_only:
            continue
        try:
            compared = compare(recording, data, faults=options.faults)
        except NotRead as problem:
            compared = Compared(recording, [], [Difference("not read", "our reader", "", str(problem))])
        done.append(compared)
        _print_recording(compared, known, used, show_all=options.all)
    _print_absent(chosen, absent)
    if options.take_only:
        return 0 if len(absent) < len(chosen) else 1
    return _print_result(done, known, used, faults=options.faults, whole=not options.only and not absent)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.import", description=__doc__)
    parser.add_argument(
        "--clones", type=Path, help="a folder of git repositories (OWNER/NAME or OWNER+NAME, bare or not)"
    )
    parser.add_argument("--fetch", action="store_true", help="ask GitHub for what the clones have not")
    parser.add_argument("--only", default="", metavar="WORD", help="recordings whose format, repository or path has it")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the recordings there, by format")
    parser.add_argument("--take-only", action="store_true", help="take the recordings, compare nothing")
    parser.add_argument("--faults", action="store_true", help="put faults into what was imported, and see them found")
    parser.add_argument("--all", action="store_true", help="print differences that have a reason too")
    parser.add_argument("--speed", action="store_true", help="what an import costs, of generated recordings; no other")
    parser.add_argument("--quick", action="store_true", help="with --speed: fewer runs")
    return parser


def _keep(folder: Path, recording: Recording, data: bytes) -> None:
    place = folder / recording.format
    place.mkdir(parents=True, exist_ok=True)
    (place / recording.file_name).write_bytes(data)


def _print_recording(compared: Compared, known: Sequence[Reason], used: list[Reason], *, show_all: bool) -> None:
    with_reason = Counter[str]()
    without: list[Difference] = []
    for difference in compared.found:
        reason = reason_of(known, compared.recording, difference)
        if reason is None:
            without.append(difference)
        else:
            used.append(reason)
            with_reason[f"{difference.kind}: {reason.why}"] += 1
    if not (without or compared.missed or (show_all and with_reason)):
        return
    print(f"{compared.recording.format}  {compared.recording}")
    shown = defaultdict(list)
    for difference in without:
        shown[difference.kind].append(difference)
    for kind, group in shown.items():
        print(f"  {len(group)} × {kind}, the first: {str(group[0])[:500]}")
    for text, number in with_reason.items() if show_all else ():
        print(f"  {number} × {text}")
    for name in compared.missed:
        print(f"  the fault {name} was not found")
    sys.stdout.flush()


def _print_absent(chosen: Sequence[Recording], absent: Sequence[NotFound]) -> None:
    print(f"\n{len(chosen)} recordings in the list, {len(chosen) - len(absent)} found, {len(absent)} not found")
    for why, number in Counter(each.why for each in absent).items():
        print(f"  {number}: {why}")
    for each in absent:
        print(f"  not found: {each.recording} ({each.why})")


def _print_result(
    done: Sequence[Compared], known: Sequence[Reason], used: Sequence[Reason], *, faults: bool, whole: bool
) -> int:
    print("\n| format | recordings | sessions | replies | calls | same | with a reason | without |")
    print("|---|---|---|---|---|---|---|---|")
    total = 0
    for format in sorted({each.recording.format for each in done}):
        group = [each for each in done if each.recording.format == format]
        replies = [reply for each in group for session in each.expected for reply in session.replies]
        open_ = [[d for d in each.found if reason_of(known, each.recording, d) is None] for each in group]
        count = sum(map(len, open_))
        total += count
        sessions = sum(len(each.expected) for each in group)
        calls = sum(len(reply.calls) for reply in replies)
        same = sum(not each.found for each in group)
        reasoned = sum(len(each.found) for each in group) - count
        print(f"| {format} | {len(group)} | {sessions} | {len(replies)} | {calls} | {same} | {reasoned} | {count} |")
    missed = sum(len(each.missed) for each in done)
    if faults:
        print(f"\nfaults put in: {sum(each.tried for each in done)}, not found: {missed}")
    for reason in unused(known, used) if whole else ():
        print(f"a reason that explains nothing: {reason.format}, {reason.kind}: {reason.why}")
    return 1 if total or missed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
