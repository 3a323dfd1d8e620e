"""Keeps long work off the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_PAUSE_S = 50e-6

P = ParamSpec("P")
Result = TypeVar("Result")


async def run_if_large(large: bool, work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """The result of `work`, done on a thread if it is large."""
    if large:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)


def let_others_run() -> None:
    """Called on a thread between steps of long work: the event loop gets the interpreter lock if it waits for it.

    A sleep of 0 would give the lock back and take it again before the other thread has woken up.
    """
    time.sleep(_PAUSE_S)
