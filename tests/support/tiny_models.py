"""Tokenizers trained on the spot with the chat templates of real models, and a random Llama of a few thousand weights.

Only for tests/train_env: it imports transformers and torch.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import trl
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from apollo_train.templates.engine import HFEngine
from apollo_train.templates.renderer import NoThink, Renderer
from apollo_train.templates.stop_tokens import find_stop_tokens
from apollo_train.templates.template_probe import probe_template

TEMPLATES = {
    "llama3": (
        "llama3_1",
        ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>",
         "<|end_of_text|>"],
    ),
    "qwen3": ("qwen3", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
    "glm": (
        "glm4moe", ["<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"],
    ),
    "gemma": ("gemma", ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]),
}  # fmt: skip
"""For each family a template as TRL bundles it, and its special tokens; the first ends a text."""
STOP = {"llama3": "<|eot_id|>", "qwen3": "<|im_end|>", "glm": "<|endoftext|>", "gemma": "<end_of_turn>"}
"""What each tokenizer calls its end of sequence."""
OWN = ("think", "tool_call", "tool_response", "arg_key", "arg_value")
PLAIN = [f"<{end}{name}>" for name in OWN for end in ("", "/")]
"""Tokens of their own that are part of a reply's text."""
CORPUS = (Path(__file__).parents[2] / "LICENSE").read_text("utf-8").splitlines()
"""A text that never changes, so that no test depends on what a page of the documentation says today."""


def template(name: str) -> str:
    """The text of one of TRL's templates."""
    return (Path(trl.__path__[0]) / "chat_templates" / f"{TEMPLATES[name][0]}.jinja").read_text("utf-8")


@functools.cache
def tokenizer(name: str) -> Any:
    """A byte-level BPE tokenizer of 700 tokens with the template ``name``."""
    special = TEMPLATES[name][1]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(CORPUS, trainer)
    made.add_tokens([AddedToken(text, normalized=False, special=False) for text in PLAIN])
    bos = special[0] if "begin" in special[0] or "bos" in special[0] else None
    fast = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=STOP[name], pad_token=special[0], bos_token=bos)
    fast.chat_template = template(name)
    return fast


@functools.cache
def engine(name: str) -> HFEngine:
    return HFEngine(tokenizer(name), name)


def renderer(name: str, no_think: NoThink = "mask") -> Renderer:
    made = engine(name)
    return Renderer(made, find_stop_tokens(made), probe_template(made), no_think)


def tiny_llama(vocabulary: int, *, seed: int = 0, hidden: int = 48, layers: int = 2) -> Any:
    """A random Llama."""
    import torch

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=4096, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config)
