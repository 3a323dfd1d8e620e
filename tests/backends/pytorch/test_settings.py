"""The parameters that say how torch runs a model."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.backends.pytorch.models import Linear, spec_of, write_torchscript
from tests.backends.specs import entry, instance_spec, outputs, rows, run
from tritonpy.backends.contract import DeviceKind
from tritonpy.backends.cores import available_core_count
from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError
from tritonpy.backends.pytorch import settings as settings_module
from tritonpy.backends.pytorch.backend import PyTorchBackend, device_of
from tritonpy.backends.pytorch.settings import apply_process_switches, read_settings, set_threads


def on_new_thread(function: Callable[[], Any]) -> Any:
    """What `function` returns on a thread of its own: torch keeps modes and thread counts by thread."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


@pytest.fixture(autouse=True)
def _thread_count_of_the_tests() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def threads_with(parameters: dict[str, str], instance_count: int) -> int:
    def count() -> int:
        set_threads(read_settings(parameters), instance_spec(count=instance_count))
        return torch.get_num_threads()

    threads: int = on_new_thread(count)
    return threads


@pytest.mark.parametrize("name", ["INTRA_OP_THREAD_COUNT", "NUM_THREADS"])
def test_the_thread_count_of_the_configuration(name: str) -> None:
    assert threads_with({name: "3"}, instance_count=2) == 3


@pytest.mark.parametrize("instance_count", [1, 2, 1000])
def test_instances_share_the_cores(instance_count: int) -> None:
    assert threads_with({}, instance_count) == max(1, available_core_count() // instance_count)


def test_inter_op_threads_that_cannot_be_changed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(count: int) -> None:
        raise RuntimeError("cannot set number of interop threads after parallel work has started")

    monkeypatch.setattr(torch, "set_num_interop_threads", refuse)
    wanted = torch.get_num_interop_threads() + 1
    with caplog.at_level(logging.WARNING):
        threads_with({"NUM_INTEROP_THREADS": str(wanted)}, 1)
    assert f"asks for {wanted} inter-op threads and gets {wanted - 1}" in caplog.text


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"INFERENCE_MODE": "maybe"}, "parameter 'INFERENCE_MODE': failed to convert 'maybe' to boolean"),
        ({"INTRA_OP_THREAD_COUNT": "two"}, "parameter 'INTRA_OP_THREAD_COUNT': failed to convert 'two'"),
    ],
)
def test_wrong_parameters(parameters: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        read_settings(parameters)


REPORT = """
import torch

class ModeReport(torch.nn.Module):
    def forward(self, x):
        return torch.tensor([[torch.is_inference_mode_enabled(), torch.is_grad_enabled()]])
"""


@pytest.mark.parametrize(("value", "expected"), [("true", [[True, False]]), ("false", [[False, False]])])
def test_inference_mode(tmp_path: Path, value: str, expected: list[list[bool]]) -> None:
    spec = spec_of(
        tmp_path,
        outputs=[entry("modes", "BOOL", [2])],
        filename="model.py",
        parameters={"INFERENCE_MODE": value},
    )
    (spec.version_directory / "model.py").write_text(REPORT)
    instance = PyTorchBackend().load(spec).create_instance(instance_spec())
    (response,) = run(instance, rows(INPUT__0=np.zeros((1, 4), np.float32)))
    assert outputs(response)["modes"].tolist() == expected
    assert not torch.is_inference_mode_enabled()


def test_every_switch_leaves_the_numbers_alone(tmp_path: Path) -> None:
    parameters = {"DISABLE_OPTIMIZED_EXECUTION": "1", "DISABLE_CUDNN": "1", "ENABLE_CACHE_CLEANING": "1"}
    spec = write_torchscript(spec_of(tmp_path, parameters=parameters), Linear(), torch.zeros(1, 4))
    instance = PyTorchBackend().load(spec).create_instance(instance_spec())
    (response,) = run(instance, rows(INPUT__0=np.zeros((1, 4), np.float32)))
    assert outputs(response)["OUTPUT__0"].tolist() == [[1, 2, 3]]


def test_process_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, bool]] = []
    switches = {
        name: lambda value, name=name: calls.append((name, value)) for name in settings_module._PROCESS_SWITCHES
    }
    monkeypatch.setattr(settings_module, "_PROCESS_SWITCHES", switches)
    apply_process_switches({"ENABLE_JIT_PROFILING": "false", "ENABLE_TENSOR_FUSER": "on", "OTHER": "1"})
    assert calls == [("ENABLE_JIT_PROFILING", False), ("ENABLE_TENSOR_FUSER", True)]


@pytest.mark.parametrize(("sharing", "same"), [("true", True), ("false", False)])
def test_weight_sharing(tmp_path: Path, sharing: str, same: bool) -> None:
    spec = spec_of(tmp_path, parameters={"ENABLE_WEIGHT_SHARING": sharing})
    model = PyTorchBackend().load(write_torchscript(spec, Linear(), torch.zeros(1, 4)))
    first, second = (model.create_instance(instance_spec(name=name, count=2)) for name in ("m_0", "m_1"))
    assert (first._program is second._program) is same


def test_devices() -> None:
    assert device_of(instance_spec(DeviceKind.CPU)) == torch.device("cpu")
    assert device_of(instance_spec(DeviceKind.MODEL)) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(UnsupportedError, match="instance 'm_0' is to run on a GPU, but the installed torch sees none"):
        device_of(instance_spec(DeviceKind.GPU))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(tmp_path: Path) -> None:
    spec = write_torchscript(spec_of(tmp_path), Linear(), torch.zeros(1, 4))
    instance = PyTorchBackend().load(spec).create_instance(instance_spec(DeviceKind.GPU))
    responses = run(instance, *[rows(INPUT__0=np.zeros((1, 4), np.float32))] * 2)
    assert [outputs(response)["OUTPUT__0"].tolist() for response in responses] == [[[1, 2, 3]]] * 2
