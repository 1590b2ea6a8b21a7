"""The arms: which sessions each trains on, and the policy file by which the product decides what is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from benchmarks.supervision.annotator import LABEL

RANDOM: Final = "control/random"
"""The label of the control: as many flags as the annotator set, on actions drawn at random."""
Rollouts = Literal["raw", "advised", "oracle"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to make a training set. ``masks`` is the label whose flags mask; "" masks nothing."""

    name: str
    rollouts: Rollouts
    masks: str = ""
    advice: Literal["kept", "dropped"] = "kept"
    successes: bool = False
    cut: bool = False
    """Also leave the flagged steps out of the prompts of later ones (``shorter_prompts``)."""

    @property
    def policy(self) -> str:
        """The policy file (TOML)."""
        lines = ["version = 1", f'name = "{self.name}"']
        if self.successes:
            lines += ["", "[sessions]", "min_score = 1.0"]
        lines += ["", "[flags]", 'sources = ["human"]' if self.masks else "sources = []"]
        if self.masks:
            lines.append(f'labels = ["{self.masks}"]')
        if self.advice == "dropped":
            lines += ["", "[advice]"]
            lines += [f'{kind} = "dropped"' for kind in ("knowledge", "strategy", "correction", "stop", "other")]
        return "\n".join(lines) + "\n"


UNTRAINED: Final = "untrained"
ARMS: Final = (
    Arm("raw", "raw"),
    Arm("successes", "raw", successes=True),
    Arm("raw-masked", "raw", masks=LABEL),
    Arm("raw-masked-cut", "raw", masks=LABEL, cut=True),
    Arm("raw-random-masks", "raw", masks=RANDOM),
    Arm("advice-kept", "advised"),
    Arm("advice-dropped", "advised", advice="dropped"),
    Arm("advice-kept-masked", "advised", masks=LABEL),
    Arm("advice-dropped-masked", "advised", masks=LABEL, advice="dropped"),
    Arm("advice-dropped-masked-cut", "advised", masks=LABEL, advice="dropped", cut=True),
    Arm("oracle", "oracle"),
)
"""All trained arms, in the order of the table."""
TITLES: Final = {
    UNTRAINED: "untrained",
    "raw": "raw rollouts",
    "successes": "raw, successes only",
    "raw-masked": "raw + masks",
    "raw-masked-cut": "raw + masks, steps cut",
    "raw-random-masks": "raw + random masks",
    "advice-kept": "advice kept, no masks",
    "advice-dropped": "advice dropped, no masks",
    "advice-kept-masked": "advice kept + masks",
    "advice-dropped-masked": "advice dropped + masks",
    "advice-dropped-masked-cut": "advice dropped + masks, steps cut",
    "oracle": "all-correct oracle",
}
SWEPT: Final = ("raw-masked", "advice-dropped-masked")
"""The arms that the sweeps of flags train again."""


def arm(name: str, masks: str = "") -> Arm:
    """The arm of that name; with ``masks``, by flags with that label."""
    found = next(each for each in ARMS if each.name == name)
    return replace(found, masks=masks) if masks else found
