"""One run: rows are written once, the model is trained from its start or its checkpoint, and all of it is recorded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from apollo_train.folder_lock import lock_folder
from apollo_train.formats.tokens import TokensFormat
from apollo_train.policy import FilterPolicy
from apollo_train.runtime import FileInTheWay, TrainError
from apollo_train.trainers.data import Rows, read_rows, require_equal_weights
from apollo_train.trainers.metrics import callbacks
from apollo_train.trainers.models import (
    adapters,
    load_model,
    on_cpu,
    require_fit,
    require_same_ids,
    set_stops,
    use_bf16,
)
from apollo_train.trainers.preference_rows import PreferenceMethod, PreferenceTokens
from apollo_train.trainers.record import (
    NothingToResume,
    checkpoint_of,
    file_checksum,
    read_record,
    require_same_run,
    versions,
    write_record,
)
from apollo_train.trainers.settings import TrainSettings
from apollo_train.trainers.shards import engine_of, gather_on_save, require_shards, weights_in
from sessions.log.reader import LogReader
from sessions.private_files import make_private_folder
from sessions.terminal_text import say_count

Method = Literal["sft"] | PreferenceMethod
LineListener = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What to train on what."""

    method: Method
    reader: LogReader
    sessions: list[str] | None
    policy: FilterPolicy
    tokens: TokensFormat
    settings: TrainSettings
    position: int | None = None
    resume: bool = False

    @property
    def rows(self) -> Path:
        """The file of rows."""
        return self.settings.output / "data" / "rows.jsonl"


def run(job: Job, report_line: LineListener) -> dict[str, Any]:
    """Train, save and record; returns the record. Many processes may run it at once, one per device."""
    import accelerate

    state = accelerate.PartialState(cpu=on_cpu())
    if int(os.environ.get("WORLD_SIZE", "1")) != state.num_processes:
        raise TrainError("the launcher started several processes that do not find each other: each would train alone")
    if state.is_main_process and job.resume:
        read_record(job.settings.output)
    with lock_folder(job.settings.output, "run") if state.is_main_process else nullcontext():
        return _run(job, report_line, state)


def _run(job: Job, report_line: LineListener, state: Any) -> dict[str, Any]:
    if state.is_main_process:
        record = _resume_record(job) if job.resume else _start_record(job, report_line)
        write_record(job.settings.output, record)
    state.wait_for_everyone()
    record = read_record(job.settings.output)
    splits = read_rows(job.rows, job.method)
    train = splits["train"]
    require_equal_weights(train, record["policy"]["weights"]["apply"])
    trainer = _trainer(job, train, splits.get("validation"))
    require_shards(trainer)
    if state.is_main_process:
        processes = say_count(state.num_processes, "process", "processes")
        report_line(f"{say_count(len(train), 'row')}, {train.trained:,} tokens trained, {processes}")
    result = trainer.train(resume_from_checkpoint=str(checkpoint_of(job.settings.output)) if job.resume else None)
    _save(job, trainer)
    if state.is_main_process:
        record["finished"] = {
            "steps": trainer.state.global_step,
            "metrics": {key: value for key, value in result.metrics.items() if isinstance(value, int | float)},
            "processes": state.num_processes,
            "engine": engine_of(trainer),
            "seconds": round(result.metrics.get("train_runtime", 0.0), 1),
        }
        write_record(job.settings.output, record)
    state.wait_for_everyone()
    if state.num_processes > 1:
        import torch.distributed

        # Threads of the group that are left at the end of the interpreter abort it.
        torch.distributed.destroy_process_group()
    return record


def _start_record(job: Job, report_line: LineListener) -> dict[str, Any]:
    """Write the rows of a new run, and say in the record what they were made from."""
    output = job.settings.output
    if any((output / "checkpoints").glob("checkpoint-*")) or (output / "model").exists():
        raise FileInTheWay(f"{output} holds a run already: say --resume to go on with it, or choose another folder")
    if (output / "metrics.jsonl").exists():
        raise FileInTheWay(
            f"{output} holds a run that was stopped before its first checkpoint: remove it, or choose another folder"
        )
    if job.method == "kto" and job.settings.batch < 2:
        raise TrainError("KTO compares replies within a batch: it needs --batch 2 or more")
    make_private_folder(job.rows.parent)
    position = job.reader.position() if job.position is None else job.position
    policy = job.policy
    counts, checksum = _write_rows(job, policy, position, report_line)
    return {
        "apollo": "train",
        "v": 1,
        "method": job.method,
        "model": job.settings.model,
        "sessions": job.sessions,
        "position": position,
        "policy": policy.plain(),
        "policy_sha256": policy.digest,
        "tokens": job.tokens.settings,
        "tokenizer": job.tokens.renderer.engine.name,
        "settings": job.settings.plain(),
        "rows_blake3": checksum,
        "counts": counts,
        "versions": versions(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _write_rows(job: Job, policy: FilterPolicy, position: int, report_line: LineListener) -> tuple[dict[str, Any], str]:
    from apollo_train.export.run import run_export
    from apollo_train.formats.token_report import write_report

    format = job.tokens if job.method == "sft" else PreferenceTokens(job.method, job.tokens)
    report = run_export(job.reader, job.sessions, policy, format, job.rows, overwrite=True, position=position)
    if isinstance(format, TokensFormat):
        write_report(job.rows, format.report, format.settings, overwrite=True)
    for line in (*report.unused, *format.report.lines()):
        report_line(line)
    if report.counts.resampled:
        report_line(
            f"for their weight {say_count(report.counts.resampled, 'row')} of these are written more or less than once"
        )
    return format.report.counts(), report.checksum


def _resume_record(job: Job) -> dict[str, Any]:
    """The record of the run to go on with. Raises NothingToResume if it is none, or another."""
    output = job.settings.output
    record = read_record(output)
    if checkpoint_of(output) is None:
        raise NothingToResume(f"{output} has no checkpoint yet: remove it and start again")
    now = {"method": job.method, "model": job.settings.model, "policy_sha256": job.policy.digest}
    position = record["position"] if job.position is None else job.position
    require_same_run(record, {**now, "tokens": job.tokens.settings, "sessions": job.sessions, "position": position})
    if file_checksum(job.rows) != record["rows_blake3"]:
        raise NothingToResume(f"{job.rows} is not the file that the run began with")
    settings = job.settings.plain()
    again: dict[str, Any] = {"changed": _changes(record["settings"], settings)}
    if others := _changes(record["versions"], versions()):
        again["versions"] = others
    return {**record, "settings": settings, "resumed": [*record.get("resumed", []), again]}


def _changes(before: dict[str, Any], now: dict[str, Any]) -> dict[str, list[Any]]:
    """What differs, each with both values."""
    return {key: [old, now[key]] for key, old in before.items() if now[key] != old}


def _trainer(job: Job, train: Rows, evaluation: Rows | None) -> Any:
    from apollo_train.trainers.preference_trainers import dpo_trainer, kto_trainer
    from apollo_train.trainers.sft import sft_trainer

    settings = job.settings
    tokenizer: Any = getattr(job.tokens.renderer.engine, "tokenizer", None)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or next(iter(job.tokens.renderer.stops.ids))
    bf16 = use_bf16(settings.precision)
    model = load_model(settings.model, half=bf16 and settings.lora > 0)
    longest, highest = (max(most) for most in zip(*map(_extremes, [train, *filter(None, [evaluation])]), strict=True))
    require_fit(model, highest, longest)
    require_same_ids(settings.model, tokenizer)
    arguments = settings.arguments(bf16=bf16, cpu=on_cpu(), evaluate=evaluation is not None)
    parts = {
        "model": model,
        "processing_class": tokenizer,
        "callbacks": callbacks(settings.output),
        "peft_config": adapters(settings.lora),
    }
    if job.method == "sft":
        return sft_trainer(arguments, train, evaluation, **parts)
    make = dpo_trainer if job.method == "dpo" else kto_trainer
    return make(arguments, train, evaluation, beta=settings.beta, **parts)


def _extremes(rows: Rows) -> tuple[int, int]:
    """The length of the longest row, and the highest id in any."""
    ids = [values for name, values in rows.columns.items() if name.endswith("_ids")]
    tails = ids[1:] or [[[] for _ in ids[0]]]
    longest = max(len(head) + max(len(tail[at]) for tail in tails) for at, head in enumerate(ids[0]))
    return longest, max(number for column in ids for row in column for number in row)


def _save(job: Job, trainer: Any) -> None:
    folder = job.settings.output / "model"
    model = trainer.accelerator.unwrap_model(trainer.model)
    set_stops(model, job.tokens.renderer.stops.ids.values())
    gather_on_save(trainer)
    trainer.save_model(str(folder))
    if trainer.is_world_process_zero():
        weights_in(folder)
        model.generation_config.save_pretrained(str(folder))
