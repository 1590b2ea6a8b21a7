"""What a run tells while it runs: a line of JSON per logged step, and TensorBoard."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from sessions.private_files import open_private, write_private


def callbacks(output: Path) -> list[Any]:
    """The callbacks that write ``metrics.jsonl`` and ``tensorboard/``, on the first process only."""
    from transformers import TrainerCallback
    from transformers.integrations import TensorBoardCallback

    class MetricsFile(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
        def __init__(self) -> None:
            self.path = output / "metrics.jsonl"

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                keep_until(self.path, state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if state.is_world_process_zero and logs:
                with open_private(self.path, "a", encoding="utf-8") as file:
                    file.write(json.dumps({"step": state.global_step, **logs}) + "\n")

    class Board(TensorBoardCallback):  # type: ignore[misc]  # transformers has no types here
        def __init__(self) -> None:
            super().__init__()
            self.logging_dir = str(output / "tensorboard")

    return [MetricsFile(), Board()]


def keep_until(path: Path, step: int) -> None:
    """Forget what was logged after the checkpoint that a run goes on from."""
    if not path.exists():
        return
    lines = [line for line in path.read_text("utf-8").splitlines() if _step(line) <= step]
    part = path.with_name(f".{path.name}.part")
    write_private(part, "".join(f"{line}\n" for line in lines if step))
    part.replace(path)


def _step(line: str) -> float:
    """The step of a line; of one that was cut off by a kill, none that is kept."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def read_metrics(output: Path) -> list[dict[str, Any]]:
    """All lines of a run's metrics."""
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text("utf-8").splitlines()]
