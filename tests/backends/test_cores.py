from __future__ import annotations

import os
from pathlib import Path

import pytest

from tritonpy.backends.cores import available_core_count, cores_per_instance


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("50000 100000", 1), ("150000 100000", 2), ("max 100000", 8), ("900000 100000", 8), ("unreadable", 8)],
)
def test_the_quota_limits_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    quota_file = tmp_path / "cpu.max"
    quota_file.write_text(quota)
    assert available_core_count(quota_file) == expected


def test_without_a_quota_file_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    assert available_core_count(tmp_path / "absent") == 3


def test_an_instance_gets_at_least_one_core() -> None:
    assert cores_per_instance(10_000) == 1
