"""``apollo-train merge``: a model whole, from its base and its adapters, for servers that take no adapters."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import click

from apollo_train.cli.shared import report_errors
from apollo_train.cli.terminal_output import say
from apollo_train.offline_hub import stay_offline
from apollo_train.runtime import FileInTheWay
from apollo_train.trainers.models import NoModel, ignore_old_names, require_trainers
from sessions.terminal_text import plain_line


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder to make.")
def merge(run: Path, out: Path) -> None:
    """Write the model of RUN (the --output of a training run) whole, its adapters merged into their base."""
    with report_errors():
        require_trainers()
        stay_offline(base_of(run / "model"))
        with ignore_old_names():
            merge_adapters(run / "model", out.resolve())
    say(plain_line(str(out)))


def base_of(adapters: Path) -> str:
    """The base that the adapters name, "" where nothing says so."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((adapters / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"])
    return ""


def merge_adapters(adapters: Path, out: Path) -> None:
    """Merge and save. Raises NoModel, or FileInTheWay where ``out`` holds something already."""
    if out.exists() and any(out.iterdir()):
        raise FileInTheWay(f"{out} is there already: choose another name")
    if not adapters.exists():
        raise NoModel(f"{adapters} is not there: name the --output of a training run that has ended")
    if not (adapters / "adapter_config.json").exists():
        raise NoModel(f"{adapters} holds no adapters: a model that was trained whole (--lora 0) needs no merging")
    import peft
    import transformers

    try:
        # The base is read in its own precision: merging is the last thing that happens to these weights.
        loaded: Any = peft.AutoPeftModelForCausalLM.from_pretrained(adapters, dtype="auto")
    except (OSError, ValueError) as problem:
        problem_line = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200]
        raise NoModel(f"the base of the adapters in {adapters} cannot be read: {problem_line}") from problem
    model = loaded.merge_and_unload()
    model.generation_config = transformers.GenerationConfig.from_pretrained(adapters)
    model.save_pretrained(out)
    transformers.AutoTokenizer.from_pretrained(adapters).save_pretrained(out)
