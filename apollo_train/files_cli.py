"""``apollo-train diff`` and ``apollo-train dataset``."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from apollo_train.cli_shared import log_option, open_log, policy_option, template_option, tokenizer_option, told
from apollo_train.diff import diff_exports
from apollo_train.folder import write_folder
from apollo_train.formats import format_for
from apollo_train.policy import load_policy
from apollo_train.token_check import counter
from sessions.plain import plain_line


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--shown", default=20, show_default=True, help="How many changed steps to name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(a: Path, b: Path, shown: int, as_json: bool) -> None:
    """Say how export B differs from export A, and why. Exit code 1 if their rows differ."""
    with told():
        found = diff_exports(a, b, shown=shown)
    if as_json:
        click.echo(msgspec.json.encode(found.plain()).decode())
    else:
        for line in found.lines():
            click.echo(plain_line(line))
    if not found.same_bytes:
        raise SystemExit(1)


@click.command()
@log_option
@policy_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to make.")
@click.option("--format", "format_", default="steps", show_default=True, help="`apollo-train formats` lists them.")
@template_option
@tokenizer_option
@click.option("--session", "chosen", multiple=True, metavar="ID", help="Only these sessions (may be given again).")
@click.option("--position", type=int, help="Read the log only up to this event, to repeat an earlier export.")
def dataset(
    log: Path | None,
    policy: str,
    out: Path,
    format_: str,
    template: str,
    tokenizer: str,
    chosen: tuple[str, ...],
    position: int | None,
) -> None:
    """Make a folder that `datasets.load_dataset` loads: rows by split, and a dataset card."""
    with told(), open_log(log) as reader:
        sessions = [reader.find(prefix) for prefix in chosen] or None
        made = format_for(format_, template)
        rules, counting = load_policy(policy), counter(tokenizer)
        report = write_folder(reader, sessions, rules, made, out.resolve(), position=position, counter=counting)
    click.echo(plain_line(f"{out} ({format_})"))
    for line in report.lines():
        click.echo(f"  {plain_line(line)}")
