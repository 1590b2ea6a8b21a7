from __future__ import annotations

from widgets.file_list import crop_path, say_size


def test_sizes_and_paths_are_said_in_little_room() -> None:
    assert [say_size(size) for size in (0, 999, 1_000, 12_345_678, 5 * 10**15)] == [
        "0 B", "999 B", "1.0 kB", "12.3 MB", "5000.0 TB",
    ]  # fmt: skip
    assert crop_path("a/b.py", 20) == "a/b.py"
    assert crop_path("deep/in/the/tree/b.py", 12) == "…/tree/b.py"
    assert len(crop_path("x" * 50, 10)) == 10
