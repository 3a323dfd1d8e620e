"""Responses in the order of requests."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.scheduler.fakes import make_request
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.scheduler.response_order import ResponseOrder


def reserved(count: int) -> tuple[ResponseOrder, list[InferenceRequest]]:
    order, requests = ResponseOrder(), [make_request(f"r{number}") for number in range(count)]
    for request in requests:
        order.reserve(request)
    return order, requests


def test_a_late_first_response_holds_the_others_back() -> None:
    order, (slow, fast, faster) = reserved(3)
    responses = [InferenceResponse() for _ in range(3)]
    assert order.release(faster, responses[2]) == []
    assert order.release(fast, responses[1]) == []
    assert order.release(slow, responses[0]) == [
        (slow, responses[0]),
        (fast, responses[1]),
        (faster, responses[2]),
    ]
    assert len(order) == 0


def test_only_the_prefix_leaves() -> None:
    order, (first, second, third) = reserved(3)
    order.release(third, InferenceResponse())
    assert [request for request, _ in order.release(first, InferenceResponse())] == [first]
    assert len(order) == 2
    assert [request for request, _ in order.release(second, InferenceResponse())] == [second, third]


def test_a_decoupled_request_blocks_later_ones_until_its_final_response() -> None:
    order, (decoupled, later) = reserved(2)
    partial, final, other = InferenceResponse(final=False), InferenceResponse(), InferenceResponse()
    assert order.release(decoupled, partial) == [(decoupled, partial)]
    assert order.release(later, other) == []
    assert order.release(decoupled, final) == [(decoupled, final), (later, other)]


def test_responses_of_a_blocked_decoupled_request_leave_at_its_turn_and_then_directly() -> None:
    order, (first, decoupled) = reserved(2)
    partials = [InferenceResponse(final=False) for _ in range(3)]
    assert order.release(decoupled, partials[0]) == []
    assert order.release(decoupled, partials[1]) == []
    assert [response for _, response in order.release(first, InferenceResponse())][1:] == partials[:2]
    assert order.release(decoupled, partials[2]) == [(decoupled, partials[2])]
    assert len(order) == 1


def test_a_request_without_a_place_is_answered_at_once() -> None:
    order, _ = reserved(1)
    dropped, response = make_request("dropped"), InferenceResponse()
    assert order.release(dropped, response) == [(dropped, response)]


@given(st.lists(st.integers(1, 4), max_size=8), st.randoms(use_true_random=False))
def test_any_schedule_of_responses_leaves_in_order(response_counts: list[int], random: Random) -> None:
    order, requests = reserved(len(response_counts))
    expected = [
        (request, InferenceResponse(final=number == count - 1))
        for request, count in zip(requests, response_counts, strict=True)
        for number in range(count)
    ]
    schedule = [index for index, count in enumerate(response_counts) for _ in range(count)]
    random.shuffle(schedule)
    sent: list[int] = [0] * len(requests)
    released = []
    for index in schedule:
        own = [entry for entry in expected if entry[0] is requests[index]]
        released += order.release(*own[sent[index]])
        sent[index] += 1
        assert released == expected[: len(released)]
        assert len(released) == prefix_length(sent, response_counts)
    assert released == expected


def prefix_length(sent: list[int], counts: list[int]) -> int:
    """How many responses may have left when `sent` of each request's have been handed in."""
    length = 0
    for done, count in zip(sent, counts, strict=True):
        length += done
        if done < count:
            break
    return length
