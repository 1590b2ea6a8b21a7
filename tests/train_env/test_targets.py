from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tiny_models import TEMPLATES, engine, renderer, tokenizer
from training_log import SESSION, kept_policy

from apollo_train.export.run import run_export
from apollo_train.formats.tokens import TokensFormat, TooLong
from apollo_train.masks.annotations import read_annotations
from apollo_train.policy import FilterPolicy, FlagRules, TargetRules
from apollo_train.runtime import NothingToExport
from apollo_train.samples.step_samples import Source, StepSample, make_step_samples
from apollo_train.samples.weights import Weigher
from apollo_train.templates.engine import HFEngine, NoTokenizer, TemplateRefused, open_engine
from apollo_train.templates.normaliser import normalise_messages
from apollo_train.templates.renderer import Renderer, StepTokens, Unfit
from apollo_train.templates.stop_tokens import UnknownTemplate, find_stop_tokens
from sessions.log.reader import LogReader

STOPS = {
    "llama3": ("<|eot_id|>", "<|eot_id|>"),
    "qwen3": ("<|im_end|>", "<|im_end|>"),
    "glm": ("<|user|>", "<|observation|>"),
    "gemma": ("<end_of_turn>", "<end_of_turn>"),
}
"""On which token a server stops after a text and after a call: written down here once more, from the models' cards."""
POLICY = kept_policy(flags=FlagRules(scope="call"), targets=TargetRules(text_only=True))


def source(reader: LogReader, policy: FilterPolicy = POLICY) -> Source:
    judged = read_annotations(reader, SESSION, reader.position())
    assert judged is not None
    return Source(reader, judged, policy, Weigher(policy))


def samples(reader: LogReader) -> dict[int, StepSample]:
    found = (s for s in make_step_samples(source(reader), lambda mask: True) if isinstance(s, StepSample))
    return {sample.mask.step: sample for sample in found}


def tokens(reader: LogReader, name: str) -> Iterator[tuple[int, StepTokens]]:
    made = renderer(name)
    for number, sample in samples(reader).items():
        step = made.step(sample)
        if isinstance(step, StepTokens):
            yield number, step


@pytest.mark.parametrize("name", ["llama3", "qwen3", "glm"])
def test_a_target_ends_with_the_token_on_which_the_server_stops_and_holds_no_other(
    reader: LogReader, name: str
) -> None:
    ids = {text: tokenizer(name).convert_tokens_to_ids(text) for text in STOPS[name]}
    found = dict(tokens(reader, name))
    # Two calls at once are in all prompts after step 5, and this Llama takes one.
    assert set(found) == ({1, 2, 3, 4} if name == "llama3" else {1, 2, 3, 4, 5, 6, 7})
    for number, step in found.items():
        wanted = STOPS[name][0] if number == 7 else STOPS[name][1]
        assert step.target[-1] == ids[wanted], number
        assert not set(step.target[:-1]) & set(ids.values())


@pytest.mark.parametrize("name", ["llama3", "qwen3", "glm"])
def test_prompt_and_target_are_the_text_that_the_template_itself_renders(reader: LogReader, name: str) -> None:
    made = renderer(name)
    for number, step in tokens(reader, name):
        sample = samples(reader)[number]
        thinking = not step.no_think
        prompt = made.engine.render(normalise_messages(sample.prompt), sample.tools, generation=True, thinking=thinking)
        chats = normalise_messages([*sample.prompt, sample.completion])
        whole = made.engine.render(chats, sample.tools, generation=False, thinking=thinking)
        assert made.engine.decode(step.prompt) == prompt
        said = made.engine.decode([*step.prompt, *step.target[:-1]])
        assert whole.startswith(said)
        assert whole[len(said) :].strip() in ("", STOPS[name][0], STOPS[name][1])


@pytest.mark.parametrize("name", ["qwen3", "glm"])
def test_what_follows_a_call_in_the_next_prompt_is_the_stop_that_was_trained(reader: LogReader, name: str) -> None:
    found = dict(tokens(reader, name))
    for number in (1, 4):
        row, later = [*found[number].prompt, *found[number].target], found[number + 1].prompt
        assert later[: len(row)] == row


@pytest.mark.parametrize(("name", "block"), [("qwen3", "<think>\n\n</think>\n\n"), ("glm", "\n<think></think>")])
def test_a_reply_without_reasoning_has_the_empty_block_in_its_prompt_masked(
    reader: LogReader, name: str, block: str
) -> None:
    step = dict(tokens(reader, name))[6]
    assert step.no_think
    assert engine(name).decode(step.prompt).endswith(block)
    assert "think" not in engine(name).decode(step.target)
    assert "<think>" in engine(name).decode(dict(tokens(reader, name))[4].target)
    left_out = renderer(name, "exclude").step(samples(reader)[6])
    assert left_out == Unfit("no_think_form")


@pytest.mark.parametrize("name", ["qwen3", "glm"])
def test_a_masked_call_has_its_own_span_and_the_others_keep_their_loss(reader: LogReader, name: str) -> None:
    step = dict(tokens(reader, name))[5]
    texts = {(p.part, p.call): engine(name).decode(step.target[p.start : p.end]) for p in step.pieces}
    assert [key for key in texts] == [("reasoning", None), ("text", None), ("call", 1), ("call", 2)]
    assert "Two." in texts["reasoning", None]
    assert "Both." in texts["text", None]
    assert "a" in texts["call", 1].split("command")[1]
    assert texts["call", 2].endswith(STOPS[name][1])
    masked = [p for p in step.pieces if p.reason]
    assert [(p.call, p.reason) for p in masked] == [(1, "flagged")]
    assert step.labels == [not masked[0].start <= at < masked[0].end for at in range(len(step.target))]


def test_scope_reasoning_takes_reasoning_and_text_along_and_scope_message_all(reader: LogReader) -> None:
    for scope, wanted in (("reasoning", ["call"]), ("message", [])):
        policy = msgspec.structs.replace(POLICY, flags=FlagRules(scope=scope))
        made = TokensFormat(renderer("qwen3"))
        rows = [row for row in made.rows(source(reader, policy)) if hasattr(row, "ids")]
        replies = [r for row in rows for r in row.replies if r.step.sample.mask.step == 5]
        trained = [piece.part for r in replies for piece in r.step.pieces if not piece.reason]
        assert trained == wanted


def test_llama_renders_one_call_at_a_time_and_says_so(reader: LogReader) -> None:
    refused = renderer("llama3").step(samples(reader)[5])
    assert isinstance(refused, Unfit)
    assert refused.reason == "template_refuses"
    assert "single tool-calls" in refused.detail


def test_parts_that_a_template_does_not_render_are_named(reader: LogReader) -> None:
    assert dict(tokens(reader, "llama3"))[1].unsaid == ("reasoning", "text")
    assert dict(tokens(reader, "qwen3"))[1].unsaid == ()


def logged(sample: StepSample, **more: Any) -> StepSample:
    body = msgspec.structs.replace(sample.mask.event.body, **more)  # type: ignore[type-var]  # a reply
    event = msgspec.structs.replace(sample.mask.event, body=body)
    return replace(sample, mask=msgspec.structs.replace(sample.mask, event=event))


def test_the_stop_that_the_server_names_is_taken_if_it_is_one(reader: LogReader) -> None:
    eom = tokenizer("llama3").convert_tokens_to_ids("<|eom_id|>")
    for said, wanted in (("<|eom_id|>", eom), (str(eom), eom), ("\n", 3), ("17", 3)):
        step = renderer("llama3").step(logged(samples(reader)[2], stop_token=said))
        assert isinstance(step, StepTokens)
        assert step.target[-1] == wanted


def test_the_servers_own_ids_are_taken_only_if_they_say_the_same(reader: LogReader) -> None:
    sample = samples(reader)[2]
    usual = renderer("qwen3").step(sample)
    assert isinstance(usual, StepTokens)
    letters = [i for c in engine("qwen3").decode(usual.target[3:-1]) for i in engine("qwen3").encode(c)[0]]
    own = [*usual.target[:3], *letters, usual.target[-1]]
    step = renderer("qwen3").step(logged(sample, token_ids=tuple(own)))
    assert isinstance(step, StepTokens)
    assert step.sampled
    assert step.target == own != usual.target
    other = renderer("qwen3").step(logged(sample, token_ids=(5, 6, 7)))
    assert isinstance(other, StepTokens)
    assert not other.sampled
    assert other.target == usual.target


def test_a_reply_that_says_a_stop_token_is_left_out(reader: LogReader) -> None:
    sample = samples(reader)[1]
    said = {**sample.completion, "content": "It ends on <|im_end|> you know."}
    assert renderer("qwen3").step(replace(sample, completion=said)) == Unfit("stop_inside")


def test_a_template_without_system_gets_the_text_in_the_first_user_turn_and_no_calls(reader: LogReader) -> None:
    made = renderer("gemma")
    assert not made.traits.system
    assert not made.traits.calls
    sample = samples(reader)[1]
    assert made.step(sample) == Unfit("template_no_calls")
    talk = replace(sample, completion={"role": "assistant", "content": "Hello."})
    step = made.step(talk)
    assert isinstance(step, StepTokens)
    assert made.engine.decode(step.prompt) == (
        "<bos><start_of_turn>user\nYou are an agent.\n\nMake it learn.<end_of_turn>\n<start_of_turn>model\n"
    )
    assert made.engine.decode(step.target) == "Hello.<end_of_turn>"
    assert made.tools_unsaid == 1


def test_an_export_that_a_template_cannot_express_says_why(reader: LogReader, tmp_path: Path) -> None:
    with pytest.raises(NothingToExport, match="template_no_calls"):
        run_export(reader, None, POLICY, TokensFormat(renderer("gemma")), tmp_path / "x.jsonl")
    assert not list(tmp_path.iterdir())


def test_an_unknown_template_wants_its_stop_named() -> None:
    made = tokenizer("qwen3").__class__(
        tokenizer_object=tokenizer("qwen3").backend_tokenizer, eos_token="<|endoftext|>"
    )
    made.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|endoftext|>{% endfor %}"
    unknown = HFEngine(made, "mine")
    with pytest.raises(UnknownTemplate, match="--stop"):
        find_stop_tokens(unknown)
    assert find_stop_tokens(unknown, ("<|endoftext|>",)).after_call == 0
    with pytest.raises(UnknownTemplate, match="no single token"):
        find_stop_tokens(unknown, ("<nothing>",))


def test_a_missing_tokenizer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NoTokenizer) as problem:
        open_engine(tmp_path / "nowhere")
    assert "\n" not in str(problem.value)
    bare = tokenizer("qwen3").__class__(tokenizer_object=tokenizer("qwen3").backend_tokenizer)
    with pytest.raises(NoTokenizer, match="--chat-template"):
        HFEngine(bare, "bare")


def test_what_is_too_long_is_an_error_until_somebody_chooses(reader: LogReader) -> None:
    longest = max(len(s.prompt) + len(s.target) for _, s in tokens(reader, "qwen3"))
    with pytest.raises(TooLong, match="keep_end"):
        list(TokensFormat(renderer("qwen3"), max_length=longest - 1).rows(source(reader)))
    left_out = TokensFormat(renderer("qwen3"), max_length=longest - 1, too_long="exclude")
    rows = [row for row in left_out.rows(source(reader)) if hasattr(row, "ids")]
    assert left_out.report.dropped["too_long"] >= 1
    assert all(len(row.ids) < longest for row in rows)
    cut = TokensFormat(renderer("qwen3"), max_length=longest - 5, too_long="keep_end")
    rows = [row for row in cut.rows(source(reader)) if hasattr(row, "ids")]
    whole = dict(tokens(reader, "qwen3"))
    for row in rows:
        for reply in row.replies:
            step = whole[reply.step.sample.mask.step]
            assert row.ids[reply.start : reply.end] == step.target
            assert row.ids[: reply.start] == step.prompt[-reply.start :]
    assert cut.report.cut_rows >= 1
    assert cut.report.cut_tokens >= 5


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_traits_are_what_each_template_is_known_for(name: str) -> None:
    traits = renderer(name).traits
    known = {"llama3": (True, False, True), "qwen3": (True, True, True), "glm": (True, True, True)}
    assert (traits.system, traits.reasoning, traits.calls) == known.get(name, (False, False, False))
    assert traits.objects
    with pytest.raises(TemplateRefused):
        engine("gemma").render([{"role": "system", "content": "x"}], [], generation=True, thinking=True)


def test_the_renderer_of_a_record_names_template_and_tokenizer(reader: LogReader) -> None:
    made: Renderer = renderer("glm")
    settings = TokensFormat(made).settings
    assert settings["family"] == "glm"
    assert len(settings["template_sha256"]) == len(settings["tokenizer_sha256"]) == 64
    assert settings["template_sha256"] != TokensFormat(renderer("qwen3")).settings["template_sha256"]
