from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path

from apollo_train.formats import FORMATS
from apollo_train.masks.rules import REASONS
from apollo_train.policy import PRESETS, FilterPolicy, parse_policy
from apollo_train.samples import session_selection
from sessions.importers.files import FORMATS as IMPORTS
from sessions.importers.files import import_file

DOCS = Path(__file__).parents[2] / "docs"
TRAINING = (DOCS / "training.md").read_text("utf-8")
FORMAT_PAGE = (DOCS / "formats.md").read_text("utf-8")


def test_the_table_of_reasons_is_today_s() -> None:
    spec = importlib.util.spec_from_file_location("mask_table", DOCS.parent / "scripts" / "mask_table.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.page(TRAINING) == TRAINING, "run: python scripts/mask_table.py"


def test_every_reason_is_explained() -> None:
    inside = set(re.findall(r'"(session_\w+)"', Path(session_selection.__file__).read_text("utf-8")))
    missing = [reason for reason in (*REASONS, *sorted(inside)) if f"`{reason}`" not in TRAINING]
    assert not missing


def test_the_policy_in_the_docs_names_every_key_and_is_a_good_one() -> None:
    [text] = re.findall(r"```toml\n(.*?)```", TRAINING, re.S)
    policy = parse_policy(text)
    assert policy.name == "mine"
    written = tomllib.loads(text)
    for table, values in FilterPolicy().plain().items():
        if isinstance(values, dict):
            assert set(written[table]) == set(values), f"docs/training.md, [{table}]"
    assert all(f"`{name}`" in TRAINING for name in PRESETS)


def test_every_format_and_column_is_on_the_page_and_the_raw_example_loads(tmp_path: Path) -> None:
    unnamed = [name for name in (*IMPORTS, "tokens") if f"`{name}`" not in FORMAT_PAGE]
    assert not unnamed, "a format that can be imported has a row in the table at the end of docs/formats.md"
    assert [name for name in FORMATS if f"## {name}\n" not in FORMAT_PAGE] == []
    examples = re.findall(r"```json\n(.*?)```", FORMAT_PAGE, re.S)
    samples = [json.loads(example) for example in examples if '"meta"' in example]
    columns = {key for row in samples for key in row["meta"]}
    assert columns and all(f"`{key}`" in FORMAT_PAGE for key in columns)
    (tmp_path / "raw.jsonl").write_text(examples[-1])
    [session] = import_file(tmp_path / "raw.jsonl")
    assert len(session.events) == 3
