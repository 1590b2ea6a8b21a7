from __future__ import annotations

from pathlib import Path

import pytest

from apollo_train.folder_lock import lock_folder
from apollo_train.runtime import TrainError


def test_a_second_one_in_a_folder_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with (
        lock_folder(folder, "run"),
        pytest.raises(TrainError, match=r"another evaluation is under way in .*folder: wait for it, or choose another"),
        lock_folder(folder, "evaluation"),
    ):
        pass
    with lock_folder(folder, "evaluation"):
        pass


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainError, match="cannot write into the folder"), lock_folder(tmp_path / "file", "run"):
        pass
