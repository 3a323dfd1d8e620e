"""The heap of deadlines."""

from __future__ import annotations

import gc
import weakref

from hypothesis import given
from hypothesis import strategies as st

from tritonpy.scheduler.deadlines import Deadlines


def test_passed_deadlines_come_out_earliest_first_and_by_number_when_equal() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for number, time_ns in enumerate((30, 10, 20, 10)):
        deadlines.add(number, f"item {number}", time_ns)
    assert deadlines.earliest_ns() == 10
    assert [deadlines.pop_passed(20) for _ in range(4)] == [(10, "item 1"), (10, "item 3"), (20, "item 2"), None]
    assert deadlines.earliest_ns() == 30


def test_a_discarded_item_does_not_come_out() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.add(0, "early", 10)
    deadlines.add(1, "late", 20)
    deadlines.discard(0)
    deadlines.discard(99)
    assert deadlines.earliest_ns() == 20
    assert deadlines.pop_passed(15) is None
    assert deadlines.pop_passed(20) == (20, "late")
    assert deadlines.earliest_ns() is None


def test_a_discarded_item_is_let_go_at_once() -> None:
    class Item:
        pass

    deadlines: Deadlines[Item] = Deadlines()
    item = Item()
    reference = weakref.ref(item)
    deadlines.add(0, item, 10)
    deadlines.discard(0)
    del item
    gc.collect()
    assert reference() is None


def test_memory_stays_bounded_when_items_leave_long_before_their_deadlines() -> None:
    deadlines: Deadlines[int] = Deadlines()
    for number in range(10_000):
        deadlines.add(number, number, 10**12 - number)
        deadlines.discard(number - 5)
        assert len(deadlines._heap) < 200


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=300), st.integers(0, 50))
def test_as_a_sorted_list(items: list[tuple[int, bool]], now_ns: int) -> None:
    deadlines: Deadlines[int] = Deadlines()
    for number, (time_ns, _) in enumerate(items):
        deadlines.add(number, number, time_ns)
    for number, (_, discarded) in enumerate(items):
        if discarded:
            deadlines.discard(number)
    kept = sorted((time_ns, number) for number, (time_ns, discarded) in enumerate(items) if not discarded)
    passed = []
    while (entry := deadlines.pop_passed(now_ns)) is not None:
        passed.append(entry)
    assert passed == [entry for entry in kept if entry[0] <= now_ns]
    assert deadlines.earliest_ns() == min((time_ns for time_ns, _ in kept if time_ns > now_ns), default=None)
