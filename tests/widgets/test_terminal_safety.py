import os
import re
import sys
from pathlib import Path

import pexpect
import pytest
from hostile_text_app import ForeignApp

ROOT = Path(__file__).parents[2]
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
async def test_no_widget_paints_a_control_character(size: tuple[int, int]) -> None:
    app = ForeignApp()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        rows = app.screen._compositor.render_strips()
        painted = "\n".join(strip.text for strip in rows)
        assert "[/foo] [bold" in painted
        for row, strip in enumerate(rows):
            for segment in strip:
                assert not CONTROLS.search(segment.text), (row, segment.text)
            assert strip.cell_length == size[0], row


@pytest.mark.pty
def test_what_reaches_the_terminal_has_none_of_the_foreign_sequences() -> None:
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'support'}", "TERM": "xterm-256color"}
    env.pop("NO_COLOR", None)
    child = pexpect.spawn(
        sys.executable,
        [str(ROOT / "tests" / "support" / "hostile_text_app.py")],
        env=env,
        dimensions=(36, 120),
        timeout=20,
    )
    child.expect(pexpect.EOF)
    child.close()
    raw: bytes = child.before
    assert child.exitstatus == 0
    assert b"[/foo]" in raw
    text = raw.decode("utf-8")
    for foreign in ("b3duZWQ=", "\x1b]0;", "\x1b]52", "\x00", "\x9b", "\u202e", "\u200d", "\udcff"):
        assert foreign not in text, foreign
    first_paint = text.index("[/foo]")
    assert "\x1b[?1049l" not in text[: text.rindex("[/foo]")]
    assert "\x1b[2J" not in text[first_paint : text.rindex("[/foo]")]
