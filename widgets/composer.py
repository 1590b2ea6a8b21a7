"""Where a person writes to an agent. It is bound to one session from opening to leaving, and says to which.

``enter`` queues and ``ctrl+s`` or ``ctrl+t`` delivers now. ``alt+enter`` is not a twin: over a slow line, ``esc`` and
then ``enter`` arrive as the same bytes. A return that arrives within ``BURST`` of another key is text: it was pasted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.message import Message

from widgets.models import ComposerTarget, EarlierText
from widgets.sanitise import clean

if TYPE_CHECKING:
    from textual.widgets import TextArea

    from widgets.composer_area import ComposerArea, ComposerPrompt


class Composer(Vertical):
    """A prompt line that names the session, and a text area under it. Hidden until it is bound."""

    DEFAULT_CSS = """
    Composer { height: auto; display: none; }
    Composer.-bound { display: block; }
    """

    class Submitted(Message):
        """A person sends ``text``: for the next boundary, or ``now``. The app unbinds when it is on disk."""

        def __init__(self, target: ComposerTarget, text: str, now: bool) -> None:
            super().__init__()
            self.target = target
            self.text = text
            self.now = now

    class DraftChanged(Message):
        """The draft is another one: the app keeps it safe."""

        def __init__(self, target: ComposerTarget, text: str) -> None:
            super().__init__()
            self.target = target
            self.text = text

    class Recalled(Message):
        """A text that was sent before stands here now; ``queued``: the number of advice that waits, which is edited."""

        def __init__(self, target: ComposerTarget, queued: int | None) -> None:
            super().__init__()
            self.target = target
            self.queued = queued

    class FieldAsked(Message):
        """A person goes to the next field of a template (1), or the one before (-1); without one, asks for a text."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class Left(Message):
        """A person left the composer; ``text`` stays as the draft."""

        def __init__(self, target: ComposerTarget, text: str) -> None:
            super().__init__()
            self.target = target
            self.text = text

    class ReachTurned(Message):
        """The advice is general, or holds here only: the other of the two."""

    class ScrollSession(Message):
        """Scroll the session that is written to, by pages."""

        def __init__(self, session: str, pages: int) -> None:
            super().__init__()
            self.session = session
            self.pages = pages

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.target: ComposerTarget | None = None
        self._inside: tuple[ComposerPrompt, ComposerArea] | None = None
        """Made when it is first opened: until then a board has no text area to load, to style and to lay out."""

    @property
    def area(self) -> ComposerArea:
        return self._parts()[1]

    @property
    def text(self) -> str:
        return self._inside[1].text if self._inside is not None else ""

    @property
    def is_bound(self) -> bool:
        return self.target is not None

    def bind(self, target: ComposerTarget, *, draft: str = "", earlier: Sequence[EarlierText] | None = ()) -> None:
        """Open for ``target``, with its draft, and take the focus: only ever because of a person's key.

        The focus is here when this returns, so that the next key is text. ``earlier`` is what was sent to this session
        before, oldest first, for ``up``; None: ``complete`` says it.
        """
        self.target = target
        self.add_class("-bound")
        prompt, area = self._parts()
        area.begin(clean(draft), _cleaned(earlier) if earlier is not None else None)
        prompt.show_target(target, 0)
        self.screen.set_focus(area)

    def complete(self, target: ComposerTarget, earlier: Sequence[EarlierText]) -> None:
        """Say more about the target that is bound, and remember what was sent ``earlier``; the text stays."""
        self.target = target
        prompt, area = self._parts()
        prompt.show_target(target, 0)
        area.remember(_cleaned(earlier))

    def show_target(self, target: ComposerTarget, steps: int) -> None:
        """Say something else of what it is bound to; the text stays."""
        self.target = target
        self._parts()[0].show_target(target, steps)

    def put_before(self, text: str) -> None:
        """Put what belongs before the text into its place; what was typed, and the cursor in it, stay."""
        self.area.insert(clean(text), (0, 0), maintain_selection_offset=True)

    def put_after(self, text: str) -> None:
        """Put a text after what is written, on a line of its own."""
        area = self.area
        area.insert(("\n" if area.text else "") + clean(text), area.document.end)
        area.expect_rest()

    def unbind(self) -> None:
        """Close and forget the text; the app gives the focus back."""
        self.target = None
        self.remove_class("-bound")
        if self._inside is not None:
            self._inside[1].begin("", [])

    def progress(self, steps: int) -> None:
        """How many steps the session took since the composer was opened."""
        if self.target is not None:
            self._parts()[0].show_target(self.target, steps)

    def _parts(self) -> tuple[ComposerPrompt, ComposerArea]:
        if self._inside is None:
            from widgets.composer_area import ComposerArea, ComposerPrompt

            self._inside = ComposerPrompt(), ComposerArea()
            self.mount(*self._inside)
        return self._inside

    def on_composer_area_sent(self, event: ComposerArea.Sent) -> None:
        """A send from the text area, for the bound session."""
        event.stop()
        # An empty correction takes the one that stands back; of an empty edit the app asks whether that is meant.
        if self.target is not None and (self.text.strip() or self.target.verb in ("correct", "edit")):
            self.post_message(self.Submitted(self.target, self.text, event.now))

    def on_composer_area_reach_turned(self, event: ComposerArea.ReachTurned) -> None:
        """Only advice has a reach."""
        event.stop()
        if self.target is not None and self.target.reach:
            self.post_message(self.ReachTurned())

    def on_composer_area_recalled(self, event: ComposerArea.Recalled) -> None:
        """Queued advice is edited, all else is written anew."""
        event.stop()
        if self.target is not None:
            self.post_message(self.Recalled(self.target, event.queued))

    def on_composer_area_field_asked(self, event: ComposerArea.FieldAsked) -> None:
        """What fields are the app knows."""
        event.stop()
        if self.target is not None:
            self.post_message(self.FieldAsked(event.by))

    def on_composer_area_escaped(self, event: ComposerArea.Escaped) -> None:
        """Leaving keeps the draft."""
        event.stop()
        if self.target is not None:
            self.post_message(self.Left(self.target, self.text))

    def on_composer_area_paged(self, event: ComposerArea.Paged) -> None:
        """Scroll the session, not the text."""
        event.stop()
        if self.target is not None:
            self.post_message(self.ScrollSession(self.target.session, event.pages))

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Every change is a draft to keep."""
        event.stop()
        if self.target is not None:
            self.post_message(self.DraftChanged(self.target, self.text))


def _cleaned(earlier: Sequence[EarlierText]) -> list[EarlierText]:
    return [EarlierText(clean(one.text), one.queued) for one in earlier]
