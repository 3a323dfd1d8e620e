"""The generated messages: the field numbers of existing clients, a pool of their own, made from the .proto files."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from tritonclient.grpc import model_config_pb2 as their_config
from tritonclient.grpc import service_pb2 as their_service

from tritonpy.protos.generated import grpc_service_pb2, health_pb2, model_config_pb2

PAIRS = ((grpc_service_pb2, their_service), (model_config_pb2, their_config))
ROOT = Path(__file__).parents[2]


def form(field: FieldDescriptor) -> tuple[object, ...]:
    """What decides how a field is on the wire, and what it is to those who read it."""
    named = field.message_type or field.enum_type
    oneof = field.containing_oneof
    return (
        field.number,
        field.type,
        field.is_repeated,
        named.full_name if named else None,
        oneof.name if oneof else None,
    )


def fields(message: Descriptor) -> dict[str, tuple[object, ...]]:
    """The form of every field of a message and those nested in it, and the number of every value of its enums."""
    found = {f"{message.full_name}.{field.name}": form(field) for field in message.fields}
    for enum in message.enum_types:
        found.update({f"{enum.full_name}.{value.name}": (value.number,) for value in enum.values})
    for nested in message.nested_types:
        found.update(fields(nested))
    return found


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=["service", "model_config"])
def test_fields_have_the_numbers_and_types_of_tritons_clients(ours: object, theirs: object) -> None:
    checked = 0
    for name, message in ours.DESCRIPTOR.message_types_by_name.items():  # type: ignore[attr-defined]
        their_message = theirs.DESCRIPTOR.message_types_by_name.get(name)  # type: ignore[attr-defined]
        if their_message is None:
            continue
        their_fields = fields(their_message)
        for field, our_form in fields(message).items():
            if field in their_fields:
                assert our_form == their_fields[field], field
                checked += 1
    assert checked > 100


def test_a_message_of_ours_is_a_message_of_theirs() -> None:
    ours = grpc_service_pb2.ModelInferRequest(model_name="m", raw_input_contents=[b"x"])
    ours.inputs.add(name="I", datatype="FP32", shape=[1, 2])
    ours.parameters["p"].int64_param = 5
    theirs = their_service.ModelInferRequest.FromString(ours.SerializeToString())
    assert theirs.SerializeToString() == ours.SerializeToString()
    assert theirs.parameters["p"].int64_param == 5


OURS = "from tritonpy.protos.generated import grpc_service_pb2 as ours"
THEIRS = "from tritonclient.grpc import service_pb2 as theirs"
EXCHANGE = """
sent = ours.ModelInferRequest(model_name="m", raw_input_contents=[b"x"])
sent.inputs.add(name="I", datatype="FP32", shape=[1, 2])
received = theirs.ModelInferRequest.FromString(sent.SerializeToString())
assert received.inputs[0].shape == [1, 2]
answer = theirs.ModelInferResponse(model_name="m", raw_output_contents=[b"y"])
assert ours.ModelInferResponse.FromString(answer.SerializeToString()).raw_output_contents == [b"y"]
assert ours.DESCRIPTOR.pool is not theirs.DESCRIPTOR.pool
"""


@pytest.mark.parametrize("imports", [(THEIRS, OURS), (OURS, THEIRS)], ids=["theirs first", "ours first"])
def test_both_work_in_one_process(imports: tuple[str, str]) -> None:
    program = "\n".join((*imports, EXCHANGE))
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_health_is_the_standard_service() -> None:
    assert health_pb2.DESCRIPTOR.services_by_name["Health"].full_name == "grpc.health.v1.Health"
    (check,) = health_pb2.HealthCheckRequest.DESCRIPTOR.fields
    assert (check.name, check.number, check.type) == ("service", 1, FieldDescriptor.TYPE_STRING)
    (status,) = health_pb2.HealthCheckResponse.DESCRIPTOR.fields
    assert (status.name, status.number, status.type) == ("status", 1, FieldDescriptor.TYPE_ENUM)
    assert dict(health_pb2.HealthCheckResponse.ServingStatus.items()) == {
        "UNKNOWN": 0,
        "SERVING": 1,
        "NOT_SERVING": 2,
        "SERVICE_UNKNOWN": 3,
    }


def test_the_modules_are_made_from_the_proto_files(tmp_path: Path) -> None:
    found = importlib.util.spec_from_file_location("generate", ROOT / "protos" / "generate.py")
    assert found is not None
    assert found.loader is not None
    generate = importlib.util.module_from_spec(found)
    found.loader.exec_module(generate)
    generate.GENERATED = tmp_path  # type: ignore[attr-defined]
    generate.main()
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {path.name for path in (ROOT / "protos" / "generated").glob("*_pb2.py*")}
    for path in sorted(tmp_path.iterdir()):
        assert path.read_text() == (ROOT / "protos" / "generated" / path.name).read_text(), "run make protos"
