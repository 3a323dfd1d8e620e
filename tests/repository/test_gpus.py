from __future__ import annotations

from pathlib import Path

import pytest

from tritonpy.repository import gpus


@pytest.mark.parametrize(
    ("devices", "visible", "expected"),
    [
        (0, None, ()),
        (1, None, (0,)),
        (3, None, (0, 1, 2)),
        (3, "", ()),
        (3, "-1", ()),
        (3, "0,-1,2", (0,)),
        (3, "2", (0,)),
        (3, "0, 2", (0, 1)),
        (1, "0,1,2", (0,)),
        (2, "GPU-1234,GPU-5678", (0, 1)),
    ],
)
def test_the_gpus_that_frameworks_see(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, devices: int, visible: str | None, expected: tuple[int, ...]
) -> None:
    for number in range(devices):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
    monkeypatch.setattr(gpus, "_DRIVER_DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus.gpu_ids() == expected


def test_a_machine_without_the_driver_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpus, "_DRIVER_DEVICES", tmp_path / "missing")
    assert gpus.gpu_ids() == ()
