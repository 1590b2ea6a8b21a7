from __future__ import annotations

from widgets.plot import plot


def dots(rows: list[str], width: int) -> set[tuple[int, int]]:
    """(x, y) of every dot, y from the bottom."""
    bits = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
    height = 4 * len(rows)
    return {
        (2 * at + column, height - 1 - (4 * row + line))
        for row, text in enumerate(rows)
        for at, cell in enumerate(text.ljust(width, "\u2800"))
        for column in range(2)
        for line in range(4)
        if ord(cell) - 0x2800 & bits[column][line]
    }


def test_a_rise_goes_from_the_lower_left_to_the_upper_right_and_has_no_gap() -> None:
    rows = plot([(1, 0.0), (9, 1.0)], 10, 3)
    found = dots(rows, 10)
    assert (0, 0) in found and (19, 11) in found
    assert {x for x, _ in found} == set(range(20))


def test_points_stand_at_their_step_and_not_at_equal_distances() -> None:
    rows = plot([(0, 0.0), (1, 1.0), (100, 1.0)], 20, 2)
    found = dots(rows, 20)
    assert all(y == 7 for x, y in found if x > 0)


def test_equal_values_are_a_line_in_the_middle_and_one_point_is_a_point() -> None:
    assert len({y for _, y in dots(plot([(0, 5.0), (9, 5.0)], 5, 3), 5)}) == 1
    assert len(dots(plot([(3, 5.0)], 5, 3), 5)) == 1
    assert plot([], 5, 3) == []
