from __future__ import annotations

from pathlib import Path

import pytest

from apollo_tui.acts.advice_templates import SHIPPED, load_templates
from apollo_tui.state.advice_templates import all_fields, fields_of, next_field


def test_the_file_that_comes_with_the_app_is_good_and_one_beside_the_config_takes_its_place(tmp_path: Path) -> None:
    shipped = load_templates(tmp_path / "config.toml")
    assert shipped.path == SHIPPED and not shipped.problem
    assert all(fields_of(template.text) for template in shipped.templates)
    own = tmp_path / "advice.toml"
    own.write_text('[[advice]]\nname = "wait"\ntext = "Wait {how long}."\nreach = "here"\n')
    found = load_templates(tmp_path / "config.toml")
    assert found.path == own and [(one.name, one.reach) for one in found.templates] == [("wait", "here")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[advice]", "no valid TOML"), ("advice = 3", "expected `array`"), ('[[advice]]\nname = "x"', "`text`"),
        ('[[advice]]\nname = "x"\ntext = "y"\nkey = "z"', "unknown field `key`"),
        ('[[advice]]\nname = "x"\ntext = " "', "needs a name"),
        ('[[advice]]\nname = "x"\ntext = "y"\nreach = "far"', "invalid enum value"),
        ('[[advice]]\nname = "x"\ntext = "y"\n[[advice]]\nname = "x"\ntext = "z"', "there twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_one_line_with_its_name(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "advice.toml").write_text(text)
    found = load_templates(tmp_path / "config.toml")
    assert found.templates == () and said in found.problem and str(tmp_path / "advice.toml") in found.problem
    assert "\n" not in found.problem


def test_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    (tmp_path / "advice.toml").write_bytes(b"\xff\xfe")
    assert "cannot be read" in load_templates(tmp_path / "config.toml").problem


def test_fields_are_gone_through_in_order_and_round_again() -> None:
    text, known = 'set {lr} to {value} in {"json": 1} {other}', {"lr", "value"}
    first = next_field(text, 0, 1, known)
    assert first == (4, 8) and next_field(text, first[1], 1, known) == (12, 19)
    assert next_field(text, 19, 1, known) == first
    assert next_field(text, 12, -1, known) == first and next_field(text, 0, -1, known) == (12, 19)
    assert next_field("nothing {other}", 0, 1, known) is None
    assert all_fields(load_templates(Path("/nowhere/config.toml")).templates) >= {"job", "how long", "metric"}
