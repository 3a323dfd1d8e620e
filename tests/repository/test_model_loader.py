"""Plans from real folders, and loading with instances that do nothing."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from tests.repository.configs import make_model
from tests.repository.fake_backend import Backend, load, make_loader, plan_of
from tests.repository.fake_loader import on_loop, until
from tritonpy.backends.contract import Completion
from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError, UnsupportedError
from tritonpy.backends.signature import TensorSpec
from tritonpy.protos.datatypes import BY_CONFIG_NAME
from tritonpy.repository import model_loader

INPUT = 'input { name: "X" data_type: TYPE_FP32 dims: 1 }'
PYTHON = f'backend: "python" {INPUT} instance_group {{ count: 2 kind: KIND_CPU }}'

ENSEMBLE = """
platform: "ensemble"
input { name: "X" data_type: TYPE_FP32 dims: 1 }
output { name: "Y" data_type: TYPE_FP32 dims: 1 }
ensemble_scheduling {
  step { model_name: "a" model_version: -1 input_map { key: "I" value: "X" } output_map { key: "O" value: "Y" } }
}
"""


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    fake = Backend()
    monkeypatch.setattr(model_loader, "create_executors", fake.create_executors)
    monkeypatch.setattr(model_loader, "complete", fake.complete)
    monkeypatch.setattr(model_loader, "gpu_ids", lambda: ())
    return fake


# Plans.


def test_a_plan_is_normalised_and_has_the_versions_of_the_policy(tmp_path: Path) -> None:
    plan = plan_of(
        make_model(tmp_path, "m", ["1", "2", "10"], "version_policy { latest { num_versions: 2 } } " + PYTHON)
    )
    assert (plan.config.name, plan.config.default_model_filename, plan.versions) == ("m", "model.py", (2, 10))
    assert plan.config.optimization.input_pinned_memory.enable
    assert plan.directory == tmp_path / "m"


def test_a_model_without_versions_has_an_empty_plan(tmp_path: Path) -> None:
    assert plan_of(make_model(tmp_path, "m", [], PYTHON)).versions == ()


@pytest.mark.parametrize(
    ("config", "auto_complete", "kind", "message"),
    [
        ("nme: 1", True, InvalidArgumentError, "m/config.pbtxt:1:1: unknown field 'nme'"),
        (
            'name: "other" backend: "python"',
            True,
            InternalError,
            "unexpected directory name 'm' for model 'other', directory name must equal model name",
        ),
        (PYTHON + " max_batch_size: -1", True, InvalidArgumentError, "'max_batch_size' must be non-negative"),
        (PYTHON + " input {}", False, InvalidArgumentError, "model input must specify 'name' for m"),
        (None, False, InternalError, "failed to open text file for read m/config.pbtxt: no such file"),
        (None, True, InvalidArgumentError, "Invalid model name: Could not determine backend"),
    ],
)
def test_a_wrong_configuration(
    tmp_path: Path, config: str | None, auto_complete: bool, kind: type[TritonpyError], message: str
) -> None:
    directory = make_model(tmp_path, "m", config=config)
    with pytest.raises(kind) as raised:
        plan_of(directory, auto_complete)
    assert message in raised.value.message
    assert str(tmp_path) not in raised.value.message


def test_tensors_may_be_incomplete_until_the_model_was_asked(tmp_path: Path) -> None:
    plan = plan_of(make_model(tmp_path, "m", config=PYTHON + ' output { name: "Y" }'))
    assert [entry.name for entry in plan.config.output] == ["Y"]


def test_a_file_alone_makes_a_model(tmp_path: Path) -> None:
    directory = make_model(tmp_path, "m")
    (directory / "1" / "model.py").write_text("")
    assert plan_of(directory).config.backend == "python"


# Loading.


def test_a_loaded_version(backend: Backend, tmp_path: Path) -> None:
    model = load(make_model(tmp_path, "m", ["3"], PYTHON))
    assert (model.name, model.version, [spec.name for spec in model.signature.inputs]) == ("m", 3, ["X"])
    assert json.loads(model.config_json)["instance_group"][0]["name"] == "m_0"
    assert model.load_duration_s > 0
    assert [(executor.name, executor.is_started) for executor in backend.executors] == [
        ("m_0_0", True),
        ("m_0_1", True),
    ]
    (spec,) = backend.specs
    assert (spec.version, spec.version_directory) == (3, tmp_path / "m" / "3")
    assert spec.config_json == model.config_json.decode()


def test_settings_of_the_backend(backend: Backend, tmp_path: Path) -> None:
    async def test() -> None:
        loader = make_loader(backend_config={"": {"a": "all", "b": "all"}, "python": {"b": "own"}, "other": {"a": "o"}})
        await loader.load_version(loader.plan(make_model(tmp_path, "m", config=PYTHON)), 1)

    on_loop(test)
    assert backend.specs[0].backend_config == {"a": "all", "b": "own"}


def test_the_model_completes_its_configuration(backend: Backend, tmp_path: Path) -> None:
    output = TensorSpec("Y", BY_CONFIG_NAME["TYPE_INT8"], (2,))
    backend.completion = Completion(max_batch_size=4, outputs=(output,), dynamic_batching=True)
    model = load(make_model(tmp_path, "m", config=PYTHON))
    assert (model.signature.max_batch_size, model.signature.outputs) == (4, (output,))
    assert list(model.config.dynamic_batching.preferred_batch_size) == [4]
    assert model.config_json == backend.specs[0].config_json.encode()


def test_completion_can_be_off(backend: Backend, tmp_path: Path) -> None:
    backend.completion = Completion(max_batch_size=4)
    assert load(make_model(tmp_path, "m", config=PYTHON), auto_complete=False).config.max_batch_size == 0
    assert backend.completed == []


def test_versions_do_not_share_their_configuration(backend: Backend, tmp_path: Path) -> None:
    async def test() -> None:
        loader = make_loader()
        plan = loader.plan(make_model(tmp_path, "m", ["1", "2"], "version_policy { all {} } " + PYTHON))
        before = plan.config.SerializeToString(deterministic=True)
        backend.completion = Completion(max_batch_size=4)
        first = await loader.load_version(plan, 1)
        backend.completion = Completion(max_batch_size=8)
        second = await loader.load_version(plan, 2)
        assert (first.config.max_batch_size, second.config.max_batch_size) == (4, 8)
        assert plan.config.SerializeToString(deterministic=True) == before

    on_loop(test)


@pytest.mark.parametrize(
    ("config", "completion", "kind", "message"),
    [
        ('backend: "custom"', None, InvalidArgumentError, "unable to find backend library for backend 'custom'"),
        (
            PYTHON + " sequence_batching {}",
            None,
            UnsupportedError,
            "sequence batching, which this server does not support yet",
        ),
        (ENSEMBLE, None, UnsupportedError, "ensembles, which this server does not support yet"),
        (PYTHON + " instance_group { kind: KIND_GPU }", None, InvalidArgumentError, "no GPUs are available"),
        (PYTHON + ' output { name: "Y" }', None, InvalidArgumentError, "model output 'Y' must specify 'data_type'"),
        (PYTHON, Completion(max_batch_size=-1), InvalidArgumentError, "'max_batch_size' must be non-negative"),
        (
            PYTHON + ' output { name: "Y" data_type: TYPE_INT8 dims: 1 label_filename: "labels.txt" }',
            None,
            InternalError,
            "failed to open text file for read m/labels.txt",
        ),
        ('backend: "python" instance_group { passive: true }', None, InvalidArgumentError, "is passive"),
    ],
)
def test_a_version_that_cannot_be_loaded(
    backend: Backend,
    tmp_path: Path,
    config: str,
    completion: Completion | None,
    kind: type[TritonpyError],
    message: str,
) -> None:
    backend.completion = completion
    with pytest.raises(kind) as raised:
        load(make_model(tmp_path, "m", config=config))
    assert message in raised.value.message
    assert str(tmp_path) not in raised.value.message
    assert backend.executors == []


def test_labels_come_with_the_model(backend: Backend, tmp_path: Path) -> None:
    output = ' output { name: "Y" data_type: TYPE_INT8 dims: 2 label_filename: "labels.txt" }'
    directory = make_model(tmp_path, "m", config=PYTHON + output)
    (directory / "labels.txt").write_text("cat\ndog\n")
    assert load(directory).labels == {"Y": ("cat", "dog")}


def test_a_field_without_effect_is_logged(backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load(make_model(tmp_path, "m", config=PYTHON + " response_cache { enable: true }"))
    assert caplog.messages == [
        "model 'm' version 1 asks for 'response_cache': the server has no cache; it has no effect"
    ]


def test_if_one_instance_fails_the_others_are_stopped(backend: Backend, tmp_path: Path) -> None:
    backend.start_errors["m_0_1"] = InternalError("broken")
    with pytest.raises(InternalError, match="broken"):
        load(make_model(tmp_path, "m", config=PYTHON))
    assert [executor.stop_count for executor in backend.executors] == [1, 0]


def test_the_error_that_explains_most_is_told(backend: Backend, tmp_path: Path) -> None:
    backend.start_errors = {"m_0_0": RuntimeError("odd"), "m_0_1": InvalidArgumentError("wrong")}
    with pytest.raises(InvalidArgumentError, match="wrong"):
        load(make_model(tmp_path, "m", config=PYTHON))


def test_a_wrong_debugging_aid_is_told_before_anything_starts(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(model_loader.DELAY_SCHEDULER_VARIABLE, "many")
    with pytest.raises(InvalidArgumentError, match="TRITONSERVER_DELAY_SCHEDULER must be a whole number, got 'many'"):
        load(make_model(tmp_path, "m", config=PYTHON))
    assert backend.executors == []


def test_a_load_that_is_given_up_stops_its_instances(backend: Backend, tmp_path: Path) -> None:
    async def test() -> None:
        backend.start_gates["m_0_1"] = asyncio.Event()
        loader = make_loader()
        task = asyncio.create_task(loader.load_version(loader.plan(make_model(tmp_path, "m", config=PYTHON)), 1))
        await until(lambda: bool(backend.executors) and backend.executors[0].is_started)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert [executor.stop_count for executor in backend.executors] == [1, 0]

    on_loop(test)
