"""The settings of the export menu: their values, and one line on what each of them does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from apollo_train.export.open_questions import MEANINGS
from apollo_train.formats import FORMATS
from apollo_train.formats.conformance import conformance
from apollo_train.formats.readers import MASK_READERS
from apollo_train.policy import ABOUT, PRESETS
from widgets.models import Choice, MenuRow

OWN: Final = ""
"""The value of a setting that is left to the policy."""

Unseen = Literal["train", "mask", "signed_off"]
ADVICE: Final = ((OWN, "as policy or config say"), ("kept", "kept in the prompts"), ("dropped", "taken out"),
                 ("both", "both, as twins"))  # fmt: skip
UNSEEN: Final = ((OWN, "as the policy says"), ("train", "trained"), ("mask", "masked"),
                 ("signed_off", "trained where signed off"))  # fmt: skip
BEGINNING: Final[Mapping[str, str]] = {
    "format": next(iter(FORMATS)), "template": OWN, "policy": "default", "advice": OWN, "unseen": OWN,
}  # fmt: skip
"""What nobody chose yet."""

_ABOUT_ADVICE: Final = {OWN: "the policy decides, then the config; where neither does, w asks before it writes"} | {
    mode: meaning for mode, meaning in MEANINGS.items()
}
_ABOUT_UNSEEN: Final = {
    OWN: "the policy decides what becomes of replies that no person looked at",
    "train": "replies that no person looked at are trained like others",
    "mask": "replies that no person looked at stay in the prompts and are not trained",
    "signed_off": "they are trained where somebody has signed the session off, and masked elsewhere",
}
_UNSAID: Final = "the trainer's template is not known here: nothing is written for one, and none is tried"


def templates() -> tuple[tuple[str, str], ...]:
    """The chat templates that trainers were run with; another one is for ``apollo export --template``."""
    return ((OWN, "not said"), *((name, name) for name in conformance().templates))


def menu_rows(settings: Mapping[str, str], path: str) -> list[MenuRow]:
    """The menu, with the present values."""
    return [
        MenuRow("format", "format", tuple((name, name) for name in FORMATS), settings["format"]),
        MenuRow("template", "template", templates(), settings["template"]),
        MenuRow("policy", "policy", tuple((name, name) for name in PRESETS), settings["policy"]),
        MenuRow("advice", "advice", ADVICE, settings["advice"]),
        MenuRow("unseen", "what nobody saw", UNSEEN, settings["unseen"]),
        MenuRow("path", f"file  {path}"),
        MenuRow("write", "write it (w)"),
    ]


def known_values() -> dict[str, frozenset[str]]:
    """The values of each setting that this version knows."""
    return {row.id: frozenset(value for value, _ in row.values) for row in menu_rows(BEGINNING, "") if row.values}


def about_value(row: str, value: str) -> str:
    """What a setting does with this value, and of a format who reads it; "" where there is nothing to say."""
    match row:
        case "format":
            return f"{FORMATS[value].about}; {_say_who_reads(value)}"
        case "template":
            known = conformance().templates.get(value)
            return known.about if known is not None else _UNSAID
        case "policy":
            return ABOUT[value]
        case "advice":
            return _ABOUT_ADVICE[value]
        case "unseen":
            return _ABOUT_UNSEEN[value]
        case "path":
            return "enter or p: another file; its folder is there again the next time"
        case "write":
            return "enter or w writes it, in a process of its own that goes on if you leave"
    return ""


def _say_who_reads(format: str) -> str:
    """The trainers that train what is marked in this format and nothing else."""
    found = MASK_READERS.get(format)
    return (
        f"read by {', '.join(found.read_by)}" if found is not None and found.read_by else "no trainer reads its masks"
    )


def choices_of(row: MenuRow) -> list[Choice]:
    """All values of a setting, each with what it does; a digit chooses one."""
    width = max(len(words) for _, words in row.values) + 2
    return [
        Choice(value, f"{words:<{width}}{about_value(row.id, value)}", str(at) if at < 10 else "")
        for at, (value, words) in enumerate(row.values, 1)
    ]


def hang_of(row: MenuRow) -> int:
    """From which cell on the texts of its choices go on in the next row."""
    return max(len(words) for _, words in row.values) + 2
