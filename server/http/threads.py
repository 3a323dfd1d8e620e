"""Keeps long work off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Result = TypeVar("Result")


async def run_if_large(large: bool, work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """The result of `work`, done on a thread if it is large."""
    if large:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)
