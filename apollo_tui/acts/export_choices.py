"""What an annotator chose for the last export, kept for the next one; and the name of its file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from apollo_tui.acts.drafts import Drafts
from sessions.fold.summary import Summary
from sessions.private_files import make_private_folder, write_private
from sessions.terminal_text import say_count

NAME_CHARS: Final = 40


class ExportChoices(msgspec.Struct, frozen=True, omit_defaults=True):
    """``settings``: value by row of the menu; ``folder``: where the last file went, "" if that is not known."""

    settings: dict[str, str] = {}
    folder: str = ""


class ChoiceFile:
    """The choices of one annotator on one log, in a file of their own."""

    def __init__(self, drafts: Drafts) -> None:
        self.path = drafts.folder.parent / f"export{drafts.suffix}"

    def load(self, known: Mapping[str, Collection[str]]) -> ExportChoices:
        """The last choices, as far as this version knows their values (``known``: by row); none if the file is not
        there or cannot be read."""
        try:
            kept = msgspec.json.decode(self.path.read_bytes(), type=ExportChoices)
        except (OSError, msgspec.MsgspecError):
            return ExportChoices()
        settings = {row: value for row, value in kept.settings.items() if value in known.get(row, ())}
        return ExportChoices(settings, kept.folder if Path(kept.folder).is_dir() else "")

    def save(self, choices: ExportChoices) -> None:
        """Keep them. Raises OSError when the disk refuses."""
        make_private_folder(self.path.parent)
        write_private(self.path, msgspec.json.encode(choices).decode())


def name_contents(chosen: Sequence[Summary]) -> str:
    """What an export of these sessions is called: its title if it is one, the task of all of them, or how many.

    Sub-agents are of their session.
    """
    roots = [summary for summary in chosen if not summary.is_child] or list(chosen)
    if len(roots) == 1:
        return roots[0].title
    tasks = {summary.task_id for summary in roots}
    task = next(iter(tasks), "")
    return (
        f"{task} {say_count(len(roots), 'session')}" if len(tasks) == 1 and task else say_count(len(roots), "session")
    )


def default_path(contents: str, format: str, day: str, folder: Path) -> Path:
    """A name for a new file that says what it holds, in which format, since when, and is not there yet.

    >>> default_path("Tune LR", "steps", "2026-12-02", Path("/nowhere")).name
    'tune-lr.2026-12-02.steps.jsonl'
    """
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", contents).strip("-").lower()[:NAME_CHARS].strip("-") or "apollo"
    path = folder / f"{stem}.{day}.{format}.jsonl"
    number = 2
    while path.exists():
        path = folder / f"{stem}.{day}-{number}.{format}.jsonl"
        number += 1
    return path
