from __future__ import annotations

import importlib.util
import sqlite3
from pathlib import Path

import golden_log

from sessions.log.schema import SCHEMA_VERSION

ROOT = Path(__file__).parents[2]


def test_the_table_of_kinds_is_today_s() -> None:
    spec = importlib.util.spec_from_file_location("log_table", ROOT / "scripts" / "log_table.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = script.PAGE.read_text()
    assert script.page(text) == text, "run: python scripts/log_table.py"
    assert "`flag.set`" in text


def test_the_page_speaks_of_today_s_schema() -> None:
    assert f"Schema version {SCHEMA_VERSION} " in (ROOT / "docs" / "log.md").read_text()


def test_the_questions_in_the_page_can_be_asked() -> None:
    text = (ROOT / "docs" / "log.md").read_text()
    questions = text.split("```sql\n")[1].split("```")[0].split(";")
    if sqlite3.sqlite_version_info < (3, 38):
        return
    uri = f"file:{golden_log.LOG}?immutable=1"
    connection = sqlite3.connect(uri, uri=True)
    answers = [connection.execute(question).fetchall() for question in questions if question.strip()]
    connection.close()
    assert len(answers) == 4
    assert all(answers)
