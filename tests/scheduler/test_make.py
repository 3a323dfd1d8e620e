"""Which scheduler a configuration gets."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from tests.scheduler.fakes import make_request
from tritonpy.backends.errors import UnsupportedError
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.protos import datatypes
from tritonpy.protos.generated import model_config_pb2
from tritonpy.scheduler.default_scheduler import DefaultScheduler
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.make import make_response_order, make_scheduler
from tritonpy.scheduler.response_order import ResponseOrder

SIGNATURE = ModelSignature(4, (TensorSpec("IN", datatypes.INT32, (-1,)),), ())


def config(text: str) -> model_config_pb2.ModelConfig:
    return text_format.Parse(f"name: 'M' max_batch_size: 4 {text}", model_config_pb2.ModelConfig())


def test_no_choice_is_the_default_scheduler() -> None:
    assert isinstance(make_scheduler(config(""), SIGNATURE), DefaultScheduler)


def test_the_dynamic_batcher_gets_its_policy_and_the_shapes_to_compare() -> None:
    scheduler = make_scheduler(config("dynamic_batching { preferred_batch_size: 2 }"), SIGNATURE)
    assert isinstance(scheduler, DynamicBatcher)
    requests = [make_request(f"r{length}", shapes={"IN": (length,)}) for length in (1, 1, 1, 2)]
    for request in requests:
        scheduler.enqueue(request, 0)
    assert [scheduler.next_batch(0) for _ in range(3)] == [requests[:2], requests[2:3], requests[3:]]


def test_the_hold_is_passed_on() -> None:
    scheduler = make_scheduler(config("dynamic_batching {}"), SIGNATURE, hold_until_count=2)
    scheduler.enqueue(make_request("r0"), 0)
    assert scheduler.next_batch(0) == []


@pytest.mark.parametrize("choice", ["sequence_batching", "ensemble_scheduling"])
def test_a_scheduler_that_is_not_there_is_a_clear_error(choice: str) -> None:
    with pytest.raises(UnsupportedError, match=f"model 'M' asks for the scheduler '{choice}'"):
        make_scheduler(config(f"{choice} {{}}"), SIGNATURE)


def test_responses_are_ordered_only_on_demand() -> None:
    assert make_response_order(config("")) is None
    assert make_response_order(config("dynamic_batching {}")) is None
    ordered = make_response_order(config("dynamic_batching { preserve_ordering: true }"))
    assert isinstance(ordered, ResponseOrder)
