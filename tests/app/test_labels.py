from __future__ import annotations

from pathlib import Path

import pytest

from sessions.labels import BadLabels, load_labels

OF_THE_ENVIRONMENT = {
    "environment",
    *(f"environment/{name}" for name in ("tool-definition", "setup", "rate-limit", "authentication")),
    *(f"environment/{name}" for name in ("service", "not-found", "exhausted", "timeout")),
}
"""Ids that logs hold: these stay, and others may join them."""


def test_the_default_labels_have_one_key_for_each_agent_side_label_and_fold_the_system_side_under_environment() -> None:
    taxonomy = load_labels()
    agent = [label for label in taxonomy.labels if not label.environment]
    assert all(label.key for label in agent)
    assert taxonomy.by_key["x"].id == "x/impatience"
    folded = [label for label in taxonomy.labels if label.environment]
    assert [label.id for label in folded if label.key] == ["environment"]
    assert {label.id for label in folded} >= OF_THE_ENVIRONMENT
    # A log without this taxonomy knows the environment's labels by the beginning of their ids.
    of_its_id = [label for label in taxonomy.labels if label.id.split("/")[0] == "environment"]
    assert of_its_id == folded, "`environment = true` and an id that begins with environment go together"
    assert sum(label.source == "TRAIL" for label in agent) == 12
    assert all(label.definition for label in taxonomy.labels)


def test_ids_of_another_taxonomy_are_shown_as_they_are() -> None:
    taxonomy = load_labels()
    assert taxonomy.name("x/impatience") == "impatience"
    assert taxonomy.name("lab/odd") == "lab/odd"
    assert taxonomy.is_environment("environment/of-old") and not taxonomy.is_environment("lab/odd")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[label]]\nid='a'\nname='a'\ndefinition='d'\nkey='xx'", "'xx'"),
        ("[[label]]\nid='a'\nname='a'\ndefinition='d'\n[[label]]\nid='a'\nname='b'\ndefinition='d'", "'a'"),
        ("[[label]]\nid='a'", "missing"),
        ("label = []", "no label"),
        ("[[", "labels.toml"),
    ],
)
def test_a_bad_label_file_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "labels.toml"
    path.write_text(text)
    with pytest.raises(BadLabels) as caught:
        load_labels(path)
    assert says in str(caught.value) and "\n" not in str(caught.value)
