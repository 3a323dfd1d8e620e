"""The deadlines of queued requests, earliest first."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

Item = TypeVar("Item")

_KEPT_WHEN_COMPACTING = 64


class Deadlines(Generic[Item]):
    """At most one deadline for each of a changing set of items, which are known by their numbers.

    Adding costs O(log n), discarding O(1): a discarded item is let go at once, its number stays in the heap until
    it comes to the top or until such numbers are the majority.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        self._items: dict[int, Item] = {}

    def add(self, number: int, item: Item, time_ns: int) -> None:
        """Give item `number`, which has none, a deadline."""
        self._items[number] = item
        heapq.heappush(self._heap, (time_ns, number))
        if len(self._heap) > 2 * len(self._items) + _KEPT_WHEN_COMPACTING:
            self._heap = [entry for entry in self._heap if entry[1] in self._items]
            heapq.heapify(self._heap)

    def discard(self, number: int) -> None:
        """Forget the deadline of item `number`, if it has one."""
        self._items.pop(number, None)

    def earliest_ns(self) -> int | None:
        """The earliest deadline, None if there is none."""
        while self._heap and self._heap[0][1] not in self._items:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_passed(self, now_ns: int) -> tuple[int, Item] | None:
        """Remove the item with the earliest deadline if that is not after `now_ns`; gives deadline and item."""
        earliest_ns = self.earliest_ns()
        if earliest_ns is None or earliest_ns > now_ns:
            return None
        _, number = heapq.heappop(self._heap)
        return earliest_ns, self._items.pop(number)
