"""Formats with a row per step sample: ``steps``, and messages of which the last is the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from apollo_train.formats.rows import TINKER_FORMS, StepRows
from apollo_train.samples.chat import dumps
from apollo_train.samples.step_samples import StepSample
from apollo_train.templates.message_form import PLAIN, Form


class ToolsText:
    """The tools of the newest sample as JSON text: made once for all samples of a session, which share the list."""

    def __init__(self) -> None:
        self._tools: list[dict[str, Any]] = []
        self._text = tools_text([])

    def of(self, tools: list[dict[str, Any]]) -> bytes:
        """The text of ``tools``."""
        if self._tools is not tools:
            self._tools, self._text = tools, tools_text(tools)
        return self._text


class StepsFormat(StepRows):
    """``prompt``, ``completion`` (one assistant message), ``tools`` (JSON text), ``meta``.

    ``tools`` is text because Arrow would merge the schemas of different rows into one with empty fields.
    """

    name = "steps"
    version = 2
    about = "prompt, completion, tools: one row per trained reply (TRL and most others)"
    trainer = "TRL"

    def __init__(self) -> None:
        self._tools = ToolsText()

    def row(self, sample: StepSample) -> tuple[bytes, ...]:
        """The row in pieces, the prompt in some that are JSON already: a prompt repeats all of the one before."""
        end = b'],"completion":[%b],"tools":%b,"meta":%b}'
        return (
            b'{"prompt":[',
            *sample.prompt_json,
            end % (dumps(sample.completion), self._tools.of(sample.tools), dumps(sample.meta)),
        )


@dataclass
class LastReplyRows(StepRows):
    """``messages`` of which the last is the target; ``extra`` are columns that the trainer asks for."""

    name: str
    about: str
    extra: bytes = b""
    version: int = 2
    trainer: str = ""
    form: Form = PLAIN
    text_arguments: bool = False
    own_forms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def row(self, sample: StepSample) -> tuple[bytes, ...]:
        """The row of one step sample, in pieces."""
        tools = b'"tools":%b,' % dumps(sample.tools) if sample.tools else b""
        end = b',%b],%b%b"meta":%b}' % (dumps(sample.completion), tools, self.extra, dumps(sample.meta))
        return b'{"messages":[', *sample.prompt_json, end


LAST_REPLY: Final = (
    LastReplyRows(
        "nemo-rl",
        "step samples as messages (NeMo-RL, sft.only_unmask_final)",
        b'"task_name":"apollo",',
        trainer="NeMo-RL",
    ),
    LastReplyRows(
        "tinker-steps",
        "step samples as messages (Tinker, LAST_ASSISTANT_MESSAGE)",
        version=4,
        trainer="Tinker",
        form=Form(parts=True),
        text_arguments=True,
        own_forms=TINKER_FORMS,
    ),
)


def tools_text(tools: list[dict[str, Any]]) -> bytes:
    """The tools as JSON text, itself a JSON string; or null."""
    return dumps(dumps(tools).decode()) if tools else b"null"
