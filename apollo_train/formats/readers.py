"""Where each format says its masks, who reads them there, and who opens the file and trains what is masked too.

Which tokens a trainer trains of what it reads is in ``conformance.json``; here is who does not look at the masks at
all. Of TRL it is a test (tests/train_env/test_mask_readers.py); LLaMA-Factory and Axolotl were read in part, and the
rest rests on documentation.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

TRL: Final = ("TRL", "Unsloth")
BY_ROLE: Final = (*TRL, "LLaMA-Factory", "verl", "NeMo-RL")
"""Readers of ``messages`` that train every reply of a row, or all of it; no field of a message says otherwise."""
BY_OWN_FIELD: Final = (*BY_ROLE, "ms-swift", "Axolotl")
"""And those that know a field, each its own: they train every reply of a row that has not that one."""


class MaskReaders(msgspec.Struct, frozen=True):
    """``where`` a format says what is trained; who reads it, with which setting; and who does not."""

    where: str
    read_by: tuple[str, ...] = ()
    not_read_by: tuple[str, ...] = ()
    """Readers that open the file and train what is masked as well."""

    def line(self) -> str:
        """One line for a person."""
        if not self.read_by:
            return f"masks: {self.where}; no trainer reads them: train on `apollo-train tokens`, or on `steps`"
        said = f"masks: {self.where}, read by {', '.join(self.read_by)}"
        if not self.not_read_by:
            return said
        others = ", ".join(self.not_read_by)
        return f"{said}; not by {others}, which train what is masked too: for them take `apollo-train tokens`"

    def plain(self) -> dict[str, Any]:
        """For a manifest."""
        return {"in": self.where, "read_by": list(self.read_by), "not_read_by": list(self.not_read_by)}


def _without(names: tuple[str, ...], *some: str) -> tuple[str, ...]:
    return tuple(name for name in names if name not in some)


MASK_READERS: Final[dict[str, MaskReaders]] = {
    "tokens": MaskReaders(
        "`labels`, token by token",
        ("TRL", "Unsloth", "Axolotl", "LLaMA-Factory", "ms-swift", "verl", "slime", "Tinker", "NeMo-RL"),
    ),
    "steps": MaskReaders("a row per trained reply, loss on its `completion`", TRL),
    "messages": MaskReaders(
        "`weight`, `loss`, `train`, `step_loss_mask` and `loss_weight` of each reply",
        ("renderers", "ms-swift (`loss`)", "slime (`step_loss_mask`)", "Axolotl (`message_field_training: train`)"),
        BY_ROLE,
    ),
    "openai": MaskReaders("`weight` of each reply", ("OpenAI's fine-tuning",), BY_OWN_FIELD),
    "ms-swift": MaskReaders("`loss` of each reply", ("ms-swift",), _without(BY_OWN_FIELD, "ms-swift")),
    "axolotl": MaskReaders(
        "`train` of each reply", ("Axolotl (`message_field_training: train`)",), _without(BY_OWN_FIELD, "Axolotl")
    ),
    "slime": MaskReaders("`step_loss_mask` of each reply", ("slime",), BY_OWN_FIELD),
    "tinker": MaskReaders("`trainable` of each message", ("Tinker (CUSTOMIZED)",), BY_OWN_FIELD),
    "verl": MaskReaders("none: rows in which an earlier reply is masked are refused", ("verl",), TRL),
    "llamafactory-v1": MaskReaders("`loss_weight` of each message", ("LLaMA-Factory v1",), BY_OWN_FIELD),
    "llamafactory-v0": MaskReaders(
        "the last turn alone is the target",
        ("LLaMA-Factory v0 (`mask_history: true`)",),
        ("LLaMA-Factory v0 without it", "Axolotl"),
    ),
    "nemo-rl": MaskReaders(
        "the last message alone is the target",
        ("NeMo-RL (`sft.only_unmask_final: true`)",),
        ("NeMo-RL without it", *_without(BY_OWN_FIELD, "NeMo-RL")),
    ),
    "tinker-steps": MaskReaders(
        "the last message alone is the target", ("Tinker (LAST_ASSISTANT_MESSAGE)",), BY_OWN_FIELD
    ),
    "dpo": MaskReaders("`chosen` and `rejected`, loss on these alone", TRL),
    "kto": MaskReaders("`completion` and its `label`, loss on it alone", TRL),
    "preferences": MaskReaders("none: `chosen` and `rejected` are whole sessions, for reward models"),
    "atif": MaskReaders("`trainable` in `extra`, which tells what happened whole"),
    "sts": MaskReaders("none: it tells what happened whole"),
    "raw": MaskReaders("none: it holds all events, and no policy applies"),
}
"""By format."""


def say_readers(format: str) -> str:
    """One line on who reads the masks of this format, and who does not; "" for formats of others."""
    found = MASK_READERS.get(format)
    return found.line() if found else ""


def describe_readers(format: str) -> dict[str, Any]:
    """The same for a manifest."""
    found = MASK_READERS.get(format)
    return found.plain() if found else {}


def readers_table() -> str:
    """The table of docs/conformance.md."""
    rows = [
        "| our file | where its masks are | read by | not read by: trains what is masked too |",
        "|---|---|---|---|",
    ]
    for name, readers in MASK_READERS.items():
        cells = (", ".join(names) or "–" for names in (readers.read_by, readers.not_read_by))
        rows.append(f"| `{name}` | {readers.where} | {' | '.join(cells)} |")
    return "\n".join(rows)
