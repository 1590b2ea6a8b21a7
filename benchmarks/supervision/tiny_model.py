"""The tiny model: a Llama of some 100,000 parameters, and the sloppy habits that it is born with. Needs torch."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from benchmarks.supervision.chain import OVER, SUBMIT, WAIT, Chain, State, World
from benchmarks.supervision.forward import load
from benchmarks.supervision.knobs import Base
from benchmarks.supervision.vocabulary import END, Words, call_word

IGNORED = -100
NEAR = 1e-3
"""How far the logits of the library and of the fast forward pass may lie apart."""


class Habits:
    """How the base behaves: mostly right where it is good, and wrong in the same way where it is systematically so."""

    def __init__(self, world: World, base: Base) -> None:
        self.world, self.base = world, base
        pairs = [(key, clue) for key in range(world.shape.keys) for clue in range(world.shape.clues)]
        draw = random.Random(f"habits {world.seed}")
        draw.shuffle(pairs)
        held_out = [(key, clue) for key, clue in pairs if clue == world.held_out(key)]
        known = [pair for pair in pairs if pair not in held_out]
        # The same share of both, so that right actions at both can be compared.
        wrong = [pair for kind in (known, held_out) for pair in kind[: round(base.systematic_share * len(kind))]]
        self.wrong = {pair: draw.choice(self._others(*pair)) for pair in wrong}

    def act(self, chain: Chain, state: State, draw: random.Random) -> str:
        """The next action."""
        base, right = self.base, chain.right(state)
        chance = {"clue": base.right, "error": base.repairs, "busy": base.waits, "ready": base.submits}[state.phase]
        habit = self.wrong.get((state.key, state.at)) if state.phase == "clue" else None
        if habit is not None:
            chance = base.right_where_wrong
        luck = draw.random()
        if luck < chance:
            return right
        if habit is not None and luck < chance + base.stubborn:
            return habit
        if state.phase == "error":
            return draw.choice([act for act in self.world.shape.acts if act.startswith("FIX")])
        return draw.choice([act for act in self.world.shape.acts if act not in (WAIT, SUBMIT)])

    def _others(self, key: int, clue: int) -> list[str]:
        right = self.world.right(key, clue)
        return [act for act in self.world.shape.acts if act.startswith("A") and act != right]


def episode(habits: Habits, words: Words, number: int) -> tuple[list[int], list[int]]:
    """One episode of the base's past as ids and labels: advice comes now and then, and is mostly followed."""
    base, draw = habits.base, random.Random(f"past {habits.world.seed} {number}")
    chain = Chain(habits.world, -number - 1, "all")
    state = chain.start()
    ids = words.ids_of(f"K{state.key} {state.sight}")
    labels = [IGNORED] * len(ids)
    while state.phase not in OVER:
        action = habits.act(chain, state, draw)
        if draw.random() < base.advised:
            advice = draw.choice(habits.world.shape.acts) if draw.random() < 0.5 else chain.right(state)
            ids += words.ids_of(advice)
            labels.append(IGNORED)
            if draw.random() < base.obeys:
                action = advice
        said = [words.ids[call_word(action)], words.ids[END]]
        state = chain.act(state, action)
        seen = words.ids_of(state.sight)
        ids += said + seen
        labels += said + [IGNORED] * len(seen)
    return ids, labels


def make_base(world: World, base: Base, folder: Path) -> None:
    """Train the base on its past and write model and tokenizer."""
    import torch
    import transformers

    torch.set_num_threads(1)
    torch.manual_seed(world.seed)
    words = Words(world.shape)
    config = transformers.LlamaConfig(
        vocab_size=len(words.all), hidden_size=base.width, intermediate_size=2 * base.width,
        num_hidden_layers=base.layers, num_attention_heads=base.heads, max_position_embeddings=512,
        bos_token_id=None, eos_token_id=words.ids[END], pad_token_id=words.ids[END], tie_word_embeddings=True,
    )  # fmt: skip
    model: Any = transformers.LlamaForCausalLM(config)
    habits = Habits(world, base)
    past = [episode(habits, words, number) for number in range(base.episodes)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=base.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, base.learning_rate, total_steps=base.steps)
    draw = random.Random(f"order {world.seed}")
    for _ in range(base.steps):
        rows = draw.sample(past, base.batch)
        longest = max(len(ids) for ids, _ in rows)
        pad = words.ids[END]
        ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row, _ in rows])
        labels = torch.tensor([[*row, *[IGNORED] * (longest - len(row))] for _, row in rows])
        loss = model(input_ids=ids, labels=labels, use_cache=False).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    model.save_pretrained(str(folder))
    words.save_tokenizer(folder)
    _same_forward(model.eval(), folder, words, past[0][0])


def _same_forward(model: Any, folder: Path, words: Words, ids: list[int]) -> None:
    """Raise RuntimeError if the fast forward pass does not do what the library's does."""
    import torch

    with torch.inference_mode():
        theirs = model(torch.tensor([ids]), use_cache=False).logits[0]
    ours = load(folder, words.calls)
    for place in range(len(ids)):
        if max(abs(a - b) for a, b in zip(ours(ids[: place + 1]), theirs[place].tolist(), strict=True)) > NEAR:
            raise RuntimeError("the fast forward pass and the library disagree")
