"""What a session that was imported says of its file: what could not be kept, and what had to be made up. A fold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sessions import events as ev
from sessions.events.recording import LostPart

KINDS: Final = frozenset({"recording.loss", "recording.read"})
"""The kinds that this fold takes; others change nothing."""
BARRING: Final[frozenset[LostPart]] = frozenset({"image", "audio", "video", "file", "result", "instruction", "part"})
"""What a student would have to read as the model did. What nobody but the model can read is not among it."""
_NAMES: Final[dict[LostPart, tuple[str, str]]] = {
    "image": ("image", "images"),
    "audio": ("audio part", "audio parts"),
    "video": ("video", "videos"),
    "file": ("attached file", "attached files"),
    "reasoning": ("reply with hidden reasoning", "replies with hidden reasoning"),
    "history": ("summary that is encrypted", "summaries that are encrypted"),
    "result": ("result", "results"),
    "instruction": ("instruction", "instructions"),
    "part": ("part of an unknown kind", "parts of unknown kinds"),
}
PLACES_SHOWN: Final = 6


class RecordingBook:
    """What all imports of one session said."""

    def __init__(self, events: Iterable[ev.Event] = ()) -> None:
        self.file = ""
        """The name of the newest file."""
        self.notes: tuple[str, ...] = ()
        self.losses: dict[int, frozenset[LostPart]] = {}
        """What the message made of an event lacks, by the seq of the event."""
        self._counts: dict[LostPart, int] = {}
        self._steps: dict[LostPart, list[int]] = {}
        self._of_event: dict[int, list[tuple[LostPart, int]]] = {}
        for event in events:
            self.fold(event)

    def fold(self, event: ev.Event | ev.NewEvent) -> None:
        """Take the next event."""
        match event.body:
            case ev.RecordingRead() as body:
                self.file, self.notes = body.file, body.notes
            case ev.ReplySuperseded(old=old, why="replaced"):
                for what, number in self._of_event.pop(old, ()):  # of the reply as it grew it is said anew
                    self._counts[what] -= number
            case ev.RecordingLoss(what=what) as body:
                self._of_event.setdefault(body.of, []).append((what, body.count))
                self.losses[body.of] = self.losses.get(body.of, frozenset()) | {what}
                self._counts[what] = self._counts.get(what, 0) + body.count
                steps = self._steps.setdefault(what, [])
                if not steps or steps[-1] != (event.step or 0):
                    steps.append(event.step or 0)
            case _:
                pass

    @property
    def lines(self) -> list[str]:
        """What was lost, then what was noted, a line each; none names the file."""
        return [*(self._say_loss(what) for what, number in self._counts.items() if number), *self.notes]

    @property
    def lines_of_file(self) -> list[str]:
        """The same; each names the file."""
        return [f"{self.file}: {line}" if self.file else line for line in self.lines]

    def _say_loss(self, what: LostPart) -> str:
        number, one, many = self._counts[what], *_NAMES[what]
        places = _say_places(self._steps[what], "" if what == "history" else "the task")
        said = f"{number:,} {one if number == 1 else many} could not be kept{f' ({places})' if places else ''}"
        return f"{said}; the replies that read this are not trained by default" if what in BARRING else said


def _say_places(steps: list[int], outside: str) -> str:
    """``the task, steps 4, 9 and 12 more``; ``outside``: what step 0 is called, "" if nothing."""
    numbers = [str(step) for step in steps if step]
    places = [outside] if outside and len(numbers) < len(steps) else []
    if numbers:
        more = f" and {len(numbers) - PLACES_SHOWN:,} more" if len(numbers) > PLACES_SHOWN else ""
        places.append(f"{'step' if len(numbers) == 1 else 'steps'} {', '.join(numbers[:PLACES_SHOWN])}{more}")
    return ", ".join(places)
