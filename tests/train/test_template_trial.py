"""A template that is named tries each row once: what it refuses is no row, and is told in its own words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from training_log import SESSION, Teller, kept_policy, rows_of

from apollo_train.cli.main import main
from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.formats import format_for
from apollo_train.policy import parse_policy
from apollo_train.runtime import NothingToExport
from apollo_train.templates.engine import TemplateRefused
from apollo_train.templates.jinja_template import JinjaTemplate
from sessions.log.reader import LogReader

ONE_CALL = "This model only supports single tool-calls at once!"
TWO = (("run", '{"command": "a"}'), ("run", '{"command": "b"}'))
NAMES = """\
{%- for m in messages -%}
{%- if m.role == 'user' and 'forbidden' in m.content %}{{ raise_exception('no ' ~ 'such word') }}{% endif -%}
<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}
{% endfor -%}
{%- if add_generation_prompt %}<|assistant|>{% endif -%}
"""


async def two_calls_in_the_middle(told: Teller) -> None:
    await told.act("one", reasoning="Look.")
    await told.reply(*TWO, reasoning="Both.")
    await told.result(1)
    await told.result(2)
    await told.act("three", reasoning="Go on.")
    await told.summarise()
    await told.act("four", reasoning="After it.")


@pytest.mark.parametrize("name", ["steps", "messages", "axolotl", "nemo-rl"])
async def test_rows_that_the_template_refuses_are_none_and_its_words_are_told(
    told: Teller, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await two_calls_in_the_middle(told)
    made = format_for(name, "llama3")
    made.__dict__["refusal"] = lambda policy: ""  # what trainers do with a template is another matter
    report = run_export(reader, [SESSION], kept_policy(), made, tmp_path / "out.jsonl")
    left = {line["step"]: line for line in rows_of(report.excluded) if line["reason"] == "template_refuses"}
    assert sorted(left) == ["2", "3"] and {line["says"] for line in left.values()} == {ONE_CALL}
    assert report.counts.trained == 2 and report.counts.masked_by["template_refuses"] == 2
    assert f"the template refuses 2 replies, or what is before: {ONE_CALL}" in report.lines()
    assert json.loads(report.manifest.read_text())["counts"]["refusals"] == {ONE_CALL: 2}
    plan = plan_export(reader, [SESSION], kept_policy(), made)
    assert plan.counts.refusals == {ONE_CALL: 2} and plan.counts.trained == 2
    assert f"the template refuses 2 replies, or what is before: {ONE_CALL}" in plan.lines()
    assert "Both." not in "".join(json.dumps(row) for row in rows_of(report.path))


async def test_pairs_and_verdicts_are_tried_too(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    from sessions import events as ev

    await told.act("kill 1", reasoning="It hangs.")
    await told.flag(ev.Target(1))
    await told.tell(ev.CorrectionWritten(target=ev.Target(1), text='run {"command": "a"}\nrun {"command": "b"}'),
                    actor="human:ann")  # fmt: skip
    with pytest.raises(NothingToExport, match="single tool-calls at once"):
        run_export(reader, [SESSION], kept_policy(), format_for("dpo", "llama3"), tmp_path / "dpo.jsonl")
    good = run_export(reader, [SESSION], kept_policy(), format_for("kto", "llama3"), tmp_path / "kto.jsonl")
    assert good.counts.refusals == {} and good.counts.rows == 1


async def test_a_template_in_a_file_is_rendered_and_a_policy_of_version_1_tries_nothing(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("one")
    await told.advise("The forbidden word.")
    await told.act("two")
    file = tmp_path / "own.jinja"
    file.write_text(NAMES)
    words = ["dataset", "--log", str(told.writer.path), "--advice", "kept", "--template", str(file)]
    made = CliRunner().invoke(main, [*words, "--out", str(tmp_path / "data")])
    assert made.exit_code == 0, made.output
    assert "the template refuses 1 reply, or what is before: no such word" in made.output
    assert [row["meta"]["step"] for row in rows_of(tmp_path / "data" / "data" / "train.jsonl")] == ["1"]
    old = run_export(
        reader, [SESSION], parse_policy("version = 1"), format_for("steps", str(file)), tmp_path / "old.jsonl"
    )
    assert old.counts.trained == 2 and b"says" not in old.excluded.read_bytes()


async def test_a_template_without_calls_takes_no_reply_with_one(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    file = tmp_path / "plain.jinja"
    file.write_text(NAMES.replace("{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}", ""))
    await told.act("one")
    with pytest.raises(NothingToExport, match="it renders no calls"):
        run_export(reader, [SESSION], kept_policy(), format_for("steps", str(file)), tmp_path / "out.jsonl")


class Counted(JinjaTemplate):
    rendered = 0

    def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any], *, generation: bool) -> str:
        Counted.rendered += len(messages)
        return super().render(messages, tools, generation=generation)


async def test_each_turn_is_rendered_a_few_times_however_many_rows_repeat_it(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    steps = 120
    for number in range(steps):
        await told.act(f"c{number}")
    file = tmp_path / "own.jinja"
    file.write_text(NAMES)
    made = format_for("steps", str(file))
    trial = made.trial_for(kept_policy())
    assert trial is not None
    trial.template = Counted(NAMES)
    report = run_export(reader, [SESSION], kept_policy(), made, tmp_path / "out.jsonl")
    assert report.counts.trained == steps
    assert 0 < Counted.rendered < 20 * 2 * steps, "whole prompts would be 120 times as many"


def test_a_template_that_breaks_is_one_that_refuses() -> None:
    for text in ("{{ messages[7].x.y }}", "{{ 1 / 0 }}", "{% bad %}", "{{ messages.append(1) }}"):
        with pytest.raises(TemplateRefused):
            JinjaTemplate(text).render([{"role": "user", "content": "a"}], [], generation=False)
    told = "{% generation %}{{ bos_token }}{{ {'a': '<ü>'} | tojson }}{% endgeneration %}"
    assert JinjaTemplate(told, {"bos_token": "<s>"}).render([], [], generation=True) == '<s>{"a": "<ü>"}'
