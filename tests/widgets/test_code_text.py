from __future__ import annotations

import time

import pytest

from widgets.cells import text_of
from widgets.code_text import MOST, code_lines, command_lines, find_language
from widgets.models import Line


def whole(lines: list[Line]) -> str:
    return "\n".join(map(text_of, lines))


def roles(lines: list[Line]) -> dict[str, str]:
    return {text.strip(): role for line in lines for text, role in line}


def test_code_is_in_the_roles_of_its_language_and_stays_what_it_was() -> None:
    code = '\n\ndef f():\n    """Why."""\n    return 3 if None else "x"\n\n'
    lines = code_lines(code, "python")
    assert whole(lines) == code
    found = roles(lines)
    assert (found["def"], found["f"], found['"""Why."""'], found["3"], found['"x"']) == (
        "code-keyword", "code-name", "code-comment", "code-number", "code-string",
    )  # fmt: skip


@pytest.mark.parametrize("language", ["", "no such language"])
def test_code_of_no_known_language_is_text(language: str) -> None:
    assert {role for line in code_lines("def f(): pass", language) for _, role in line} == {"text"}


def test_a_long_file_is_told_apart_at_its_beginning_and_a_line_that_no_hand_wrote_not_at_all() -> None:
    code = "x = 1\n" * (MOST // 3)
    lines = code_lines(code, "python")
    assert whole(lines) == code
    assert lines[0] != (("x = 1", "text"),) and lines[-2] == (("x = 1", "text"),)
    assert roles(code_lines("var a=1;" * 1000, "javascript")) == {"var a=1;" * 1000: "text"}


@pytest.mark.parametrize(
    ("command", "keyword"),
    [
        ("cat > a/x.py <<'EOF'\nimport os\nEOF\npython a/x.py", "import"),
        ("cd a && python3 - <<EOF\nimport os\nEOF", "import"),
        ('python -c "\nimport os\n" | tail', "import"),
        ("cat <<EOF > b.sh\nfor x in a; do\nEOF", "for"),
    ],
)
def test_a_program_within_a_command_is_in_its_own_language(command: str, keyword: str) -> None:
    lines = command_lines(command)
    assert whole(lines) == command
    assert roles(lines)[keyword] == "code-keyword"


@pytest.mark.parametrize(
    "command", ["python -c 'print(1)'", "cat > x.py <<EOF\nimport os", 'python -c "\nx', "ls -la", ""]
)
def test_other_commands_are_the_shells(command: str) -> None:
    assert whole(command_lines(command)) == command


def test_hostile_commands_cost_no_time() -> None:
    started = time.process_time()
    for command in ('python -c "' + "x\n" * 9000, "cat > x.py <<EOF\n" * 1000):
        assert whole(command_lines(command)) == command
    assert time.process_time() - started < 3


def test_a_file_tells_its_language_by_its_name() -> None:
    assert [find_language(path) for path in ("a/b.py", "Makefile", "x.YML", "README", "no.such", "")] == [
        "python", "make", "yaml", "", "", "",
    ]  # fmt: skip
