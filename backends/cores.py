"""How many processor cores this process may use; frameworks see those of the machine, which may be more."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_core_count(quota_file: Path = _CGROUP_QUOTA) -> int:
    """The cores that affinity and the container's quota leave to this process, at least 1."""
    count = len(os.sched_getaffinity(0))
    quota = _quota_cores(quota_file)
    return count if quota is None else max(1, min(count, math.ceil(quota)))


def _quota_cores(quota_file: Path) -> float | None:
    """The container's quota in cores: the file says `<microseconds or max> <period in microseconds>`."""
    try:
        quota_us, period_us = quota_file.read_text().split()
    except (OSError, ValueError):  # no cgroup v2 here
        return None
    return None if quota_us == "max" else int(quota_us) / int(period_us)


def cores_per_instance(instance_count: int) -> int:
    """An equal share of the cores for each of a model's instances, at least 1."""
    return max(1, available_core_count() // instance_count)
