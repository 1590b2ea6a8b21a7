"""The prompts of one conversation as text, each turn rendered once.

To render a conversation costs what it is long, and each of its replies has all of it before it. But a template writes
a turn by what is near: the turns beside it, and whether it stands before or after the newest question. So what came
since the last prompt is rendered in a window (the beginning, the newest question, the turns before), and what it adds
there is what it adds to the prompt. Behind a new question templates may forget reasoning: all since the question before
it is rendered again then, once.

That a template is like this is not taken on trust: prompts and replies are compared with those of one whole rendering,
at first each, then each time that the conversation has doubled, and at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apollo_train.runtime import TrainError
from apollo_train.samples.chat import Chat, Turn
from apollo_train.templates.engine import TemplateRefused

Message = dict[str, Any]
Render = Callable[[Sequence[Message], bool], str]
"""Renders messages; True: up to where a reply begins. Raises TemplateRefused."""
Normalise = Callable[[Sequence[Chat]], list[Message]]

SURE: Final = 12
"""Up to so many turns each prompt is compared with its whole rendering."""
FILLER: Final[Message] = {"role": "assistant", "content": "."}
"""Stands between the first question and the newest in windows, for templates that want turns to alternate."""


class RendersOtherwise(TrainError):
    """The template writes turns by what is far from them, which was found after rows had been made without that."""


@dataclass(slots=True)
class PromptText:
    """A prompt as text. After ``base``, which renders as ``base_text``, a reply reads as it does after all messages."""

    text: str
    base: list[Message]
    base_text: str
    whole: list[Message] | None = None
    """All messages, where the prompt was compared with their whole rendering."""


@dataclass(slots=True)
class _Window:
    """What of a conversation is enough to render what comes next."""

    opening: list[Message]
    """The messages up to the first question."""
    head: list[Message]
    """What stands before ``round`` when it is rendered: the opening."""
    head_text: str
    round: list[Message]
    """The messages from the newest question on; in the first round those after it."""
    settled: int
    """Characters of ``plain`` before ``round``."""
    plain: str
    """The whole conversation so far, and nothing after it."""
    start: list[Message]
    """The head and the newest question."""
    start_text: str
    recent: list[Message]
    """The start, and the newest reply with what came after it."""
    recent_text: str


class GrowingPrompt:
    """The prompts of a conversation, one after the other, each with all turns of the one before.

    ``runs``: the template takes two user turns in a row. ``whole``: render each prompt whole.
    """

    def __init__(self, render: Render, normalise: Normalise, *, runs: bool = True, whole: bool = False) -> None:
        self._render, self._normalise, self._runs, self._whole = render, normalise, runs, whole
        self._turns: list[Turn] = []
        self._last: PromptText | None = None
        self._window: _Window | None = None
        self._refused: tuple[list[Turn], TemplateRefused] | None = None
        self._endings: dict[str, str] = {}
        """What stands between a conversation and a reply, by the role of the last message."""
        self._checked = self._unchecked = self._unchecked_replies = 0
        """How many turns the newest compared prompt has; prompts and replies that were handed out uncompared since."""

    def prompt(self, turns: Sequence[Turn]) -> PromptText:
        """The prompt of these turns. Raises TemplateRefused, also for all that goes on from what was refused; or
        RendersOtherwise."""
        if self._refused is not None and _begins_with(turns, self._refused[0]):
            raise self._refused[1]
        new = turns[len(self._turns) :]
        if self._last is None or not _begins_with(turns, self._turns):
            return self._begin(turns)
        if not new:
            return self._last
        try:
            found = self._extend(self._normalise([turn.chat for turn in new])) if self._fits(new) else None
        except TemplateRefused:
            found = None  # of the window; whether also of the whole is seen now
        if found is None:
            return self._begin(turns)
        self._turns += new
        self._last = found
        if len(turns) <= SURE or len(turns) >= 2 * self._checked:
            return self._check(found)
        self._unchecked += 1
        return found

    def reply(self, prompt: PromptText, completion: Chat) -> str | None:
        """What follows the prompt where this reply does; None where the prompt reads otherwise then."""
        [message] = self._normalise([completion])
        said = self._follow(prompt.base, prompt.base_text, message)
        if prompt.whole is prompt.base:
            return said
        if prompt.whole is None:
            self._unchecked_replies += 1
            return said
        wanted = self._follow(prompt.whole, prompt.text, message)
        if wanted != said:
            self._give_up(self._unchecked_replies)
            prompt.base, prompt.base_text = prompt.whole, prompt.text
        self._unchecked_replies = 0
        return wanted

    def finish(self) -> None:
        """Compare the newest prompt, if that was not done. Raises RendersOtherwise."""
        if self._last is not None and self._unchecked:
            self._check(self._last)

    def _fits(self, new: Sequence[Turn]) -> bool:
        """Whether these turns are normalised alone as they are behind the others."""
        role = new[0].chat["role"]
        return role != "system" and (self._runs or (role, self._turns[-1].chat["role"]) != ("user", "user"))

    def _begin(self, turns: Sequence[Turn]) -> PromptText:
        """The prompt, rendered whole; with it another conversation begins, or the same anew."""
        self.finish()
        messages = self._normalise([turn.chat for turn in turns])
        try:
            text = self._render(messages, True)
        except TemplateRefused as problem:
            self._refused = (list(turns), problem)
            raise
        self._turns = list(turns)
        self._checked, self._unchecked = len(turns), 0
        self._window = None if self._whole else self._open(messages, text)
        self._last = PromptText(text, messages, text, messages)
        return self._last

    def _open(self, messages: list[Message], text: str) -> _Window | None:
        """The window of a conversation that was rendered whole, if it can be made."""
        questions = [at for at, message in enumerate(messages) if message["role"] == "user"]
        plain = self._cut_ending(messages, text)
        if not questions or plain is None:
            return None
        first, newest = questions[0], questions[-1]
        opening = messages[: first + 1]
        if newest != first:
            return self._settle(opening, messages[newest:], plain)
        head_text = self._render(opening, False)
        if not plain.startswith(head_text):
            return None
        rest = messages[first + 1 :]
        window = _Window(opening, opening, head_text, rest, len(head_text), plain, opening, head_text, [], "")
        return self._narrow(window)

    def _settle(self, opening: list[Message], round: list[Message], plain: str) -> _Window | None:
        """The window after a new question, with which ``round`` begins."""
        head = opening if self._runs else [*opening, FILLER]
        start = [*head, round[0]]
        head_text, start_text = self._render(head, False), self._render(start, False)
        whole = self._render([*head, *round], False) if len(round) > 1 else start_text
        added = whole[len(head_text) :]
        if not whole.startswith(head_text) or not plain.endswith(added):
            return None
        window = _Window(opening, head, head_text, round, len(plain) - len(added), plain, start, start_text, [], "")
        return self._narrow(window)

    def _narrow(self, window: _Window) -> _Window:
        """The window with the newest reply of its round, and what came after it."""
        after = window.round[1:] if len(window.start) > len(window.head) else window.round
        newest = next((at for at in reversed(range(len(after))) if after[at]["role"] == "assistant"), 0)
        window.recent = [*window.start, *after[newest:]]
        window.recent_text = self._render(window.recent, False) if after else window.start_text
        return window

    def _extend(self, new: list[Message]) -> PromptText | None:
        """The prompt with these messages more, as far as the window shows it."""
        window = self._window
        if window is None:
            return None
        newest = next((at for at in reversed(range(len(new))) if new[at]["role"] == "user"), None)
        if newest is None:
            before, base, base_text = window.plain, window.recent, window.recent_text
        else:
            before, base, base_text = window.plain[: window.settled], [*window.head, *window.round], window.head_text
        base = [*base, *new]
        text = self._render(base, True)
        plain = self._cut_ending(base, text)
        if plain is None or not plain.startswith(base_text):
            return None
        added = plain[len(base_text) :]
        ending = text[len(plain) :]
        if newest is not None:
            self._window = self._settle(window.opening, new[newest:], before + added)
        else:
            window.round += new
            window.plain = before + added
            if new[0]["role"] == "assistant":
                window.recent, window.recent_text = [*window.start, *new], window.start_text + added
            else:
                window.recent, window.recent_text = base, plain
        if self._window is None:
            return None
        return PromptText(before + added + ending, self._window.recent, self._window.recent_text + ending)

    def _cut_ending(self, messages: list[Message], text: str) -> str | None:
        """The text of a prompt without what invites a reply; None where that is not all that differs."""
        role = messages[-1]["role"]
        ending = self._endings.get(role)
        if ending is None or not text.endswith(ending):
            plain = self._render(messages, False)
            if not text.startswith(plain):
                return None
            self._endings[role] = text[len(plain) :]
            return plain
        return text[: len(text) - len(ending)]

    def _check(self, found: PromptText) -> PromptText:
        """The prompt after a comparison with its whole rendering."""
        messages = self._normalise([turn.chat for turn in self._turns])
        text = self._render(messages, True)
        if text != found.text:
            self._give_up(self._unchecked)
            found = PromptText(text, messages, text)
        found.whole = messages
        self._checked, self._unchecked, self._last = len(self._turns), 0, found
        return found

    def _give_up(self, unchecked: int) -> None:
        """Render whole from now on. Raises RendersOtherwise where something was handed out that nobody compared."""
        self._whole, self._window = True, None
        if unchecked:
            raise RendersOtherwise(
                "this chat template writes a turn by what is far from it in the conversation, so that turns cannot be "
                "rendered one by one: say --render whole, which takes long for long sessions"
            )

    def _follow(self, base: list[Message], base_text: str, message: Message) -> str | None:
        whole = self._render([*base, message], False)
        return whole[len(base_text) :] if whole.startswith(base_text) else None


def _begins_with(turns: Sequence[Turn], first: Sequence[Turn]) -> bool:
    """Whether these turns begin with those: by identity as a rule, by what they say where they were made anew."""
    beginning = turns[: len(first)]
    return beginning == first or (
        len(beginning) == len(first)
        and all(one is other or one.chat == other.chat for one, other in zip(beginning, first, strict=True))
    )
