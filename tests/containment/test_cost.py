"""What a prefix adds to a command is held against its budget; one that costs more is told by the exit code."""

from __future__ import annotations

import pytest

from benchmarks.containment import cost


@pytest.mark.parametrize(("added", "code"), [(10.0, 0), (24.0, 0), (26.0, 1)])
def test_a_prefix_that_costs_more_than_it_may_fails(
    added: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = [30.0, 500.0, 40.0, 35.0, 60.0]  # a busy machine is unkind to both

    async def measure(kinds: list[str], rounds: int) -> dict[str, list[float]]:
        return {"none": bare, "bwrap": [one + added for one in bare]}

    monkeypatch.setattr(cost, "measure", measure)
    assert cost.main() == code
    row = capsys.readouterr().out.splitlines()[-1]
    assert f"| {added:.3g} ms | ≤ 25 ms |" in row
    assert ("**missed**" in row) == bool(code)
