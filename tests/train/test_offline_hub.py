from __future__ import annotations

import os
from pathlib import Path

import pytest

from apollo_train.offline_hub import stay_offline


@pytest.mark.parametrize(
    ("sources", "local"),
    [
        (("base",), True),
        (("base", "base"), True),
        (("base", "org/name"), False),
        (("adapters",), False),
        (("",), False),
    ],
)
def test_only_folders_that_are_whole_keep_the_hub_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: tuple[str, ...], local: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "")  # so that it is put back
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for name in ("base", "adapters"):
        (tmp_path / name).mkdir()
    (tmp_path / "adapters" / "adapter_config.json").write_text("{}")
    assert stay_offline(*sources) is local
    assert os.environ.get("HF_HUB_OFFLINE") == ("1" if local else None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    stay_offline(*sources)
    assert os.environ["HF_HUB_OFFLINE"] == "0"
