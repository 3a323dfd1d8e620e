"""Which GPUs this machine has, found without any framework."""

from __future__ import annotations

import os
from itertools import takewhile
from pathlib import Path

# The kernel driver lists its devices here, also inside containers that were given GPUs.
_DRIVER_DEVICES = Path("/proc/driver/nvidia/gpus")


def gpu_ids() -> tuple[int, ...]:
    """The device ids that frameworks will see, 0 to n-1; CUDA_VISIBLE_DEVICES may hide devices."""
    if not _DRIVER_DEVICES.is_dir():
        return ()
    count = sum(1 for _ in _DRIVER_DEVICES.iterdir())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # CUDA stops at the first entry that is none.
        entries = takewhile(lambda entry: entry.strip() not in ("", "-1"), visible.split(","))
        count = min(count, sum(1 for _ in entries))
    return tuple(range(count))
