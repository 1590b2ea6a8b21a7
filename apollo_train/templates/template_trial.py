"""Each row rendered once with the template that was named: what it refuses, in its own words, is no row.

A trainer would stop at such a row, or train a reply without its calls. Prompts grow, so that each turn is rendered once
(growing_prompt.py). Of templates that are known by name the text is not here: OUTLINES refuse what they refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from apollo_train.masks.reply_masks import ReplyMask
from apollo_train.samples.chat import Chat, chat_of_reply
from apollo_train.samples.step_samples import StepSample
from apollo_train.templates.engine import TemplateRefused
from apollo_train.templates.growing_prompt import GrowingPrompt, RendersOtherwise
from apollo_train.templates.jinja_template import JinjaTemplate
from apollo_train.templates.normaliser import normalise_messages
from sessions.events import ModelReplied

REFUSED: Final = "template_refuses"
WITHOUT_CALLS: Final = "it renders no calls"
OUTLINES: Final = {
    "llama3": (
        "{% set told = messages[1:] if messages[0].role == 'system' else messages %}"
        "{% if tools and not told %}"
        '{{ raise_exception("Cannot put tools in the first user message when there\'s no first user message!") }}'
        "{% endif %}{% for message in messages %}"
        "{% if message.tool_calls is defined and message.role not in ('tool', 'ipython') %}"
        "{% if message.tool_calls | length != 1 %}"
        "{{ raise_exception('This model only supports single tool-calls at once!') }}"
        "{% endif %}{{ message.tool_calls[0].function.name }}{% else %}{{ message.content }}{% endif %}{{ '\n' }}"
        "{% endfor %}"
    ),
    "gemma": (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for message in messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
        "{% endif %}{{ message.content }}{{ '\n' }}{% endfor %}"
    ),
}
"""By the name of a family, a template that refuses what its template refuses, in the same words, and leaves out what it
leaves out; those of the others refuse nothing. A test holds them to the real ones."""


@dataclass
class TemplateTrial:
    """Renders rows with a template. ``system``, ``objects`` and ``runs``: the form of the rows (message_form.py)."""

    template: JinjaTemplate
    system: bool = True
    objects: bool = True
    runs: bool = True
    whole: bool = field(default=False, init=False)
    """Prompts are rendered whole, because the template writes turns by what is far from them."""
    _session: str = field(default="", init=False, repr=False)
    _tools: list[dict[str, Any]] = field(default_factory=list, init=False, repr=False)
    _prompts: dict[str, GrowingPrompt] = field(default_factory=dict, init=False, repr=False)
    """Of the newest session, by the suffix of twins."""
    _shapes: dict[tuple[bool, bool, int], tuple[str, str]] = field(default_factory=dict, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Other processes render from the beginning."""
        return {**self.__dict__, "_prompts": {}, "_session": ""}

    def with_form(self, *, system: bool, objects: bool, runs: bool) -> TemplateTrial:
        """The same template, for rows of this form."""
        return TemplateTrial(self.template, system, objects, runs)

    def try_sample(self, sample: StepSample) -> str:
        """Why the template refuses this prompt and reply; "" where it does not."""
        prompts = self._find_prompts(sample)
        try:
            prompt = prompts.prompt(sample.turns)
            said = prompts.reply(prompt, sample.completion)
        except TemplateRefused as problem:
            return str(problem)
        except RendersOtherwise:  # only what it refuses counts here, not how it writes
            self.whole, self._prompts = True, {}
            return self.try_messages([*sample.prompt, sample.completion], sample.tools)
        return WITHOUT_CALLS if said is not None and _lacks_calls(sample.completion, said) else ""

    def try_messages(self, messages: Sequence[Chat], tools: Sequence[dict[str, Any]]) -> str:
        """Why the template refuses this conversation; "" where it does not."""
        try:
            said = self.template.render(self._normalise(messages), tools, generation=False)
        except TemplateRefused as problem:
            return str(problem)
        return WITHOUT_CALLS if any(_lacks_calls(message, said) for message in messages) else ""

    def try_reply(self, reply: Chat) -> tuple[str, str]:
        """Why it refuses a reply of this shape right after a question, and why what comes after its results."""
        calls = reply.get("tool_calls", [])
        shape = (bool(reply.get("reasoning_content")), bool(reply["content"]), len(calls))
        if shape not in self._shapes:
            question: Chat = {"role": "user", "content": "?"}
            results = [{"role": "tool", "content": "", "tool_call_id": call["id"]} for call in calls]
            told = (self.try_messages([question, reply], []), self.try_messages([question, reply, *results], []))
            self._shapes[shape] = told
        return self._shapes[shape]

    def _find_prompts(self, sample: StepSample) -> GrowingPrompt:
        """The prompts of the sample's session so far."""
        session = sample.meta["session"]
        if self._session != session or self._tools != sample.tools:
            self._session, self._tools, self._prompts = session, sample.tools, {}
        if sample.suffix not in self._prompts:
            tools = sample.tools

            def render(messages: Sequence[dict[str, Any]], generation: bool) -> str:
                return self.template.render(messages, tools, generation=generation)

            self._prompts[sample.suffix] = GrowingPrompt(render, self._normalise, runs=self.runs, whole=self.whole)
        return self._prompts[sample.suffix]

    @property
    def _normalise(self) -> Any:
        return partial(normalise_messages, system=self.system, objects=self.objects, runs=self.runs)


class RefusalsInContext:
    """What a template refuses of the replies of a session, by their shape alone: for a plan, which reads
    no prompts. What comes after a refused reply in the same context is refused too."""

    def __init__(self, trial: TemplateTrial | None) -> None:
        self._trial = trial
        self._before = ""

    def take(self, mask: ReplyMask) -> str:
        """Why the template refuses the prompt or the reply; "" where it does not."""
        body = mask.event.body
        if self._trial is None or not isinstance(body, ModelReplied) or mask.reason == "superseded":
            return ""
        own, after = self._trial.try_reply(chat_of_reply(body.parts))
        said = self._before or own
        self._before = "" if mask.summary else self._before or own or after
        return said


def _lacks_calls(reply: Chat, said: str) -> bool:
    return any(call["function"]["name"] not in said for call in reply.get("tool_calls", ()))
