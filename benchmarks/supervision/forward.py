"""The tiny Llama's forward pass in numpy, for playing: a prompt that grows by three words should cost three words.

A library made for large models takes most of its time for itself here. A prompt is worked off in pieces, each of them
up to the next call, always the same ones: what is remembered of earlier prompts saves work and changes no digit, so
that the server and the tests outside the host see the same numbers. ``tiny_model`` compares them with the library's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

REMEMBERED: Final = 1024
"""Pieces of which keys and values are kept, for each model."""
Past = tuple[tuple[Any, Any], ...]
"""Keys and values of each layer: heads, words, width of a head."""


def load(folder: Path, calls: Collection[int]) -> Callable[[Sequence[int]], Sequence[float]]:
    """The logits of the next word after a prompt, by the model in this folder; pieces begin with one of ``calls``."""
    llama = _Llama(folder)

    @lru_cache(maxsize=REMEMBERED)
    def after(ids: tuple[int, ...]) -> tuple[Past, tuple[float, ...]]:
        start = next((at for at in range(len(ids) - 1, 0, -1) if ids[at] in calls), 0)
        past = after(ids[:start])[0] if start else llama.nothing
        return llama.step(past, ids[start:])

    return lambda ids: after(tuple(ids))[1]


class _Llama:
    """The weights, and one step through them."""

    def __init__(self, folder: Path) -> None:
        import numpy as np
        from safetensors.numpy import load_file

        config = json.loads((folder / "config.json").read_text("utf-8"))
        if config["num_key_value_heads"] != config["num_attention_heads"] or config["hidden_act"] != "silu":
            raise ValueError(f"{folder}: not the Llama that this forward pass is for")
        self._np = np
        self._heads = int(config["num_attention_heads"])
        self._width = int(config["hidden_size"]) // self._heads
        self._eps = np.float32(config["rms_norm_eps"])
        found = {name: value.astype(np.float32) for name, value in load_file(folder / "model.safetensors").items()}
        self._words = found["model.embed_tokens.weight"]
        self._head = found.get("lm_head.weight", self._words)
        self._last = found["model.norm.weight"]
        self._layers = [_Layer(found, f"model.layers.{n}.") for n in range(int(config["num_hidden_layers"]))]
        steps = np.arange(0, self._width, 2, dtype=np.float32) / self._width
        turns = np.outer(np.arange(config["max_position_embeddings"], dtype=np.float32), 1.0 / _theta(config) ** steps)
        both = np.concatenate([turns, turns], axis=-1)
        self._cos, self._sin = np.cos(both).astype(np.float32), np.sin(both).astype(np.float32)
        empty = np.zeros((self._heads, 0, self._width), np.float32)
        self.nothing: Past = ((empty, empty),) * len(self._layers)

    def step(self, past: Past, ids: Sequence[int]) -> tuple[Past, tuple[float, ...]]:
        """Go on from ``past`` by these words: what is remembered then, and the logits after the last of them."""
        np = self._np
        before, count = past[0][0].shape[1], len(ids)
        cos, sin = self._cos[before : before + count], self._sin[before : before + count]
        # A word sees the past and what is up to itself.
        hidden = np.triu(np.full((count, before + count), -np.inf, np.float32), before + 1)
        x = self._words[list(ids)]
        kept = []
        for layer, (keys, values) in zip(self._layers, past, strict=True):
            query, key, value = self._split(self._norm(x, layer.first) @ layer.qkv)
            keys = np.concatenate([keys, self._turned(key, cos, sin)], axis=1)
            values = np.concatenate([values, value], axis=1)
            kept.append((keys, values))
            scores = self._turned(query, cos, sin) @ keys.transpose(0, 2, 1) / np.float32(self._width**0.5) + hidden
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            x = x + (weights @ values).transpose(1, 0, 2).reshape(count, -1) @ layer.out
            gate, up = np.split(self._norm(x, layer.second) @ layer.gate_up, 2, axis=-1)
            x = x + (gate / (1 + np.exp(-gate)) * up) @ layer.down
        return tuple(kept), tuple((self._norm(x[-1:], self._last) @ self._head.T)[0].tolist())

    def _norm(self, x: Any, weight: Any) -> Any:
        return x / self._np.sqrt((x * x).mean(axis=-1, keepdims=True) + self._eps) * weight

    def _split(self, x: Any) -> Any:
        return x.reshape(len(x), 3, self._heads, self._width).transpose(1, 2, 0, 3)

    def _turned(self, x: Any, cos: Any, sin: Any) -> Any:
        half = self._width // 2
        return x * cos + self._np.concatenate([-x[..., half:], x[..., :half]], axis=-1) * sin


class _Layer:
    """The weights of one layer, those that are used together side by side."""

    def __init__(self, found: dict[str, Any], name: str) -> None:
        import numpy as np

        def beside(*parts: str) -> Any:
            return np.ascontiguousarray(np.concatenate([found[f"{name}{part}.weight"].T for part in parts], axis=1))

        self.first, self.second = (found[f"{name}{n}_layernorm.weight"] for n in ("input", "post_attention"))
        self.qkv = beside("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
        self.out = beside("self_attn.o_proj")
        self.gate_up = beside("mlp.gate_proj", "mlp.up_proj")
        self.down = beside("mlp.down_proj")


def _theta(config: dict[str, Any]) -> float:
    """The base of the rotary embedding, where this version of the library writes it."""
    return float(config.get("rope_theta") or config["rope_parameters"]["rope_theta"])
