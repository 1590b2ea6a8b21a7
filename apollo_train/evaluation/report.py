"""What an evaluation found: JSON for scripts, Markdown for people, and lines for the terminal."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from apollo_train.evaluation.compare import DRAWS, LEVEL, SEED, Difference, compare
from apollo_train.evaluation.outcome import Result
from apollo_train.evaluation.plan import Plan
from sessions.private_files import write_private
from sessions.terminal_text import plain_line, say_count

JSON_NAME: Final = "evaluation.json"
MARKDOWN_NAME: Final = "evaluation.md"
NOTHING: Final = "–"


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. ``position`` is the log's newest event; ``missing`` what stood for no score, None: left out."""

    plan: Plan
    results: tuple[Result, ...]
    log: Path
    position: int
    timeout: float
    missing: float | None = None

    @property
    def differences(self) -> list[Difference]:
        """Every other model against the first one."""
        base, *others = (each.label for each in self.plan.contenders)
        return [found for other in others for found in compare(self.results, base, other, missing=self.missing)]

    @property
    def has_comparison(self) -> bool:
        """Whether any pair has both values; of one model, whether any of its sessions was played."""
        if len(self.plan.contenders) > 1:
            return any(each.pairs for each in self.differences)
        return any(each.played for each in self.results)

    def unplayed(self) -> list[str]:
        """A line for each model of which sessions met no model at all."""
        lines = []
        for contender in self.plan.contenders:
            mine = self.of(contender.label)
            lost = [each for each in mine if not each.played]
            if lost:
                reasons = Counter(each.reason for each in lost if each.reason).most_common(1)
                why = f": {reasons[0][0]}" if reasons else ""
                number = "none" if len(lost) == len(mine) else f"only {len(mine) - len(lost)}"
                of = say_count(len(mine), "session")
                lines.append(
                    f"{contender.label}: {number} of {of} could be played, for want of a server that answers{why}"
                )
        return lines

    def of(self, model: str, task: str | None = None) -> list[Result]:
        """The results of a model, in one task or in all."""
        return [each for each in self.results if each.model == model and task in (None, each.task)]

    def plain(self) -> dict[str, Any]:
        """For JSON: the record of what was played, every session, and the differences."""
        return {
            "record": {
                "tasks": [
                    {"id": task.id, "path": str(task.path), "better": task.better, "files": task.files}
                    for task in self.plan.tasks
                ],
                "models": [each.plain() for each in self.plan.contenders],
                "repeats": self.plan.repeats,
                "limits": list(self.plan.limits),
                "timeout_seconds": self.timeout,
                "missing_score": self.missing,
                "log": str(self.log),
                "log_position": self.position,
                "versions": {"apollo-tui": importlib.metadata.version("apollo-tui"),
                             "python": platform.python_version()},
                "bootstrap": {"draws": DRAWS, "seed": SEED, "level": LEVEL},
            },
            "sessions": [each.plain() for each in self.results],
            "endings": {
                each.label: dict(sorted(Counter(found.how for found in self.of(each.label)).items()))
                for each in self.plan.contenders
            },
            "differences": [each.plain() for each in self.differences],
        }  # fmt: skip

    def write(self, folder: Path) -> None:
        """Put both files in place, each whole."""
        _put(folder / JSON_NAME, json.dumps(self.plain(), indent=1, ensure_ascii=False) + "\n")
        _put(folder / MARKDOWN_NAME, self.markdown())

    def markdown(self) -> str:
        """The tables: models, tasks, differences, sessions."""
        parts = [
            "# Evaluation",
            _table(("model", *MODEL_COLUMNS), [self._model_row(c.label) for c in self.plan.contenders]),
        ]
        if self.differences:
            intro = (
                "Differences to the first model, more than 0 is better. A task weighs the same whatever its repeats; "
                f"{LEVEL:.0%} intervals by bootstrap over tasks and their repeats."
            )
            rows = [_difference_row(each) for each in self.differences]
            parts += [intro, _table(("model", "measure", "difference", "interval", "tasks", "pairs", "better",
                                    "equal", "worse", "left out"), rows)]  # fmt: skip
        labels = [each.label for each in self.plan.contenders]
        rows = [[task.id, task.better, *(_mean_best(self.of(label, task.id)) for label in labels)]
                for task in self.plan.tasks]  # fmt: skip
        parts += [_cell(line) for line in self.unplayed()]
        parts += ["Mean best score by task.", _table(("task", "better", *labels), rows)]
        parts += ["Every session.", _table(SESSION_COLUMNS, [_session_row(each) for each in self.results])]
        parts.append(f"Log position {self.position}; {JSON_NAME} has hashes, models and versions.")
        return "\n\n".join(parts) + "\n"

    def lines(self) -> list[str]:
        """A line per task, the endings of each model, and the differences."""
        labels = [each.label for each in self.plan.contenders]
        lines = []
        for task in self.plan.tasks:
            scores = "  ".join(f"{label} {_mean_best(self.of(label, task.id))}" for label in labels)
            lines.append(f"{task.id}: {scores}" + (" (lower is better)" if task.better == "lower" else ""))
        for label in labels:
            endings = Counter(each.how for each in self.of(label))
            lines.append(f"{label}: " + ", ".join(f"{count} {how}" for how, count in endings.most_common()))
        return lines + self.unplayed() + [_difference_line(each) for each in self.differences]

    def _model_row(self, label: str) -> list[str]:
        mine = self.of(label)
        costs = [each.cost for each in mine]
        known = [cost for cost in costs if cost is not None]
        tokens = sum(each.input_tokens + each.output_tokens for each in mine)
        endings = Counter(each.how for each in mine)
        return [
            label,
            ", ".join(f"{count} {how}" for how, count in endings.most_common()) or NOTHING,
            str(sum(each.steps for each in mine)),
            str(sum(each.malformed for each in mine)),
            f"{tokens:,}",
            f"${sum(known):.2f}" if known and len(known) == len(costs) else "unknown",
            f"{sum(each.active_seconds for each in mine):,.0f} s",
        ]


MODEL_COLUMNS: Final = ("sessions", "steps", "malformed", "tokens", "cost", "active")
SESSION_COLUMNS: Final = ("no", "task", "model", "repeat", "ended", "best", "last", "steps", "malformed", "tokens",
                          "cost", "active", "why")  # fmt: skip


def result_line(result: Result) -> str:
    """One session that has come to rest, for the terminal."""
    why = f": {result.reason}" if result.reason and not result.finished else ""
    cell = f"{result.task} · {result.model} · {result.repeat}"
    return f"{cell}  {result.how}{why}  best {_number(result.best)}, {result.steps} steps"


def _session_row(each: Result) -> list[str]:
    cost = "unknown" if each.cost is None else f"${each.cost:.4f}"
    return [
        str(each.number), each.task, each.model, str(each.repeat), each.how, _number(each.best), _number(each.last),
        str(each.steps), str(each.malformed), f"{each.input_tokens + each.output_tokens:,}", cost,
        f"{each.active_seconds:.1f} s", "" if each.finished else each.reason,
    ]  # fmt: skip


def _difference_row(each: Difference) -> list[str]:
    between = NOTHING if each.low is None or each.high is None else f"{each.low:+.4g} to {each.high:+.4g}"
    mean = NOTHING if each.mean is None else f"{each.mean:+.4g}"
    counts = (each.tasks, each.pairs, each.better, each.equal, each.worse, each.left_out)
    return [each.model, each.measure, mean, between, *map(str, counts)]


def _difference_line(each: Difference) -> str:
    if each.mean is None:
        return f"{each.model} against {each.base}, {each.measure}: no pair has both values"
    row = _difference_row(each)
    between = f" ({row[3]})" if each.low is not None else ""
    want = "not played" if each.measure == "finished" else "for want of a score"
    left = f", {each.left_out} left out, {want}" if each.left_out else ""
    return (
        f"{each.model} against {each.base}, {each.measure}: {row[2]}{between} over {say_count(each.pairs, 'pair')} of "
        f"{say_count(each.tasks, 'task')}; {each.better} better, {each.equal} equal, {each.worse} worse{left}"
    )


def _mean_best(results: Sequence[Result]) -> str:
    scores = [each.best for each in results if each.best is not None]
    if not scores:
        return NOTHING
    of = "" if len(scores) == len(results) else f" ({len(scores)} of {len(results)})"
    return _number(statistics.fmean(scores)) + of


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4g}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Foreign text may not end a cell or be markup."""
    clean = plain_line(text).replace("\\", "\\\\").replace("|", "\\|")
    return clean.replace("<", "&lt;").replace("`", "'").replace("[", "\\[")


def _put(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    write_private(part, text)
    part.replace(path)
