"""Session options from parameters, and where a session runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from tests.backends.onnx_runtime.models import gemm, saved
from tests.backends.specs import instance_spec, make_spec
from tritonpy.backends.contract import DeviceKind, InstanceSpec, ModelSpec
from tritonpy.backends.cores import available_core_count
from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError
from tritonpy.backends.onnx_runtime.providers import CPU, CUDA, TENSORRT, providers, tensorrt_options
from tritonpy.backends.onnx_runtime.session import make_session, session_options

Level = onnxruntime.GraphOptimizationLevel


class TestOptions:
    def options(self, tmp_path: Path, count: int = 1, **config: Any) -> onnxruntime.SessionOptions:
        return session_options(make_spec(tmp_path, **config), instance_spec(count=count))

    def test_defaults(self, tmp_path: Path) -> None:
        options = self.options(tmp_path)
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (0, 0)
        assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        assert options.enable_cpu_mem_arena
        assert options.enable_mem_pattern
        assert options.graph_optimization_level == Level.ORT_ENABLE_ALL

    def test_parameters(self, tmp_path: Path) -> None:
        options = self.options(
            tmp_path,
            parameters={
                "intra_op_thread_count": "3",
                "inter_op_thread_count": "2",
                "execution_mode": "1",
                "enable_mem_arena": "0",
                "enable_mem_pattern": "0",
                "session.use_device_allocator_for_initializers": "1",
            },
        )
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 2)
        assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
        assert not options.enable_cpu_mem_arena
        assert not options.enable_mem_pattern
        assert options.get_session_config_entry("session.use_device_allocator_for_initializers") == "1"

    @pytest.mark.parametrize(
        ("level", "expected"),
        [
            (-1, Level.ORT_ENABLE_BASIC),
            (0, Level.ORT_ENABLE_ALL),
            (1, Level.ORT_ENABLE_EXTENDED),
            (2, Level.ORT_DISABLE_ALL),
        ],
    )
    def test_graph_levels(self, tmp_path: Path, level: int, expected: object) -> None:
        options = self.options(tmp_path, optimization={"graph": {"level": level}})
        assert options.graph_optimization_level == expected

    def test_an_unknown_graph_level(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidArgumentError, match=r"optimization.graph.level of model 'm' must be .* got 7"):
            self.options(tmp_path, optimization={"graph": {"level": 7}})

    def test_instances_share_the_cores_and_do_not_spin(self, tmp_path: Path) -> None:
        options = self.options(tmp_path, count=2)
        assert options.intra_op_num_threads == max(1, available_core_count() // 2)
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"

    def test_what_the_model_says_comes_first(self, tmp_path: Path) -> None:
        parameters = {"intra_op_thread_count": "5", "session.intra_op.allow_spinning": "1"}
        options = self.options(tmp_path, count=2, parameters=parameters)
        assert options.intra_op_num_threads == 5
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "1"

    def test_a_wrong_thread_count(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidArgumentError, match="parameter 'intra_op_thread_count'"):
            self.options(tmp_path, parameters={"intra_op_thread_count": "many"})


def gpu() -> InstanceSpec:
    return InstanceSpec("m_0", DeviceKind.GPU, 1, 1)


def accelerated(tmp_path: Path, key: str, name: str, **config: Any) -> ModelSpec:
    accelerators = {key: [{"name": name, **config.pop("accelerator", {})}]}
    return make_spec(tmp_path, optimization={"execution_accelerators": accelerators}, **config)


class TestProviders:
    @pytest.fixture
    def with_gpu_build(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if the GPU build of ONNX Runtime were installed."""
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])

    @pytest.mark.parametrize("kind", [DeviceKind.CPU, DeviceKind.MODEL])
    def test_without_a_gpu(self, tmp_path: Path, kind: DeviceKind) -> None:
        assert providers(make_spec(tmp_path), instance_spec(kind)) == [(CPU, {})]

    @pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="the GPU build is installed")
    def test_the_cpu_build_says_what_to_install(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedError, match=r"no CUDAExecutionProvider.*pip install 'tritonpy\[onnx-gpu\]'"):
            providers(make_spec(tmp_path), gpu())

    @pytest.mark.usefixtures("with_gpu_build")
    def test_cuda_gets_the_device_and_the_older_parameters(self, tmp_path: Path) -> None:
        parameters = {"cudnn_conv_algo_search": "1", "gpu_mem_limit": "1000", "arena_extend_strategy": "1"}
        assert providers(make_spec(tmp_path, parameters=parameters), gpu()) == [
            (
                CUDA,
                {
                    "device_id": "1",
                    "cudnn_conv_algo_search": "HEURISTIC",
                    "gpu_mem_limit": "1000",
                    "arena_extend_strategy": "kSameAsRequested",
                },
            ),
            (CPU, {}),
        ]

    @pytest.mark.usefixtures("with_gpu_build")
    def test_the_accelerator_cuda_passes_everything_on(self, tmp_path: Path) -> None:
        spec = accelerated(tmp_path, "gpu_execution_accelerator", "cuda", accelerator={"parameters": {"use_tf32": "0"}})
        assert providers(spec, gpu())[0] == (CUDA, {"device_id": "1", "use_tf32": "0"})

    @pytest.mark.usefixtures("with_gpu_build")
    def test_tensorrt_comes_before_cuda(self, tmp_path: Path) -> None:
        spec = accelerated(
            tmp_path, "gpu_execution_accelerator", "tensorrt", accelerator={"parameters": {"precision_mode": "FP16"}}
        )
        assert providers(spec, gpu()) == [
            (TENSORRT, {"device_id": "1", "trt_fp16_enable": "1"}),
            (CUDA, {"device_id": "1"}),
            (CPU, {}),
        ]

    @pytest.mark.parametrize(
        ("key", "kind"), [("gpu_execution_accelerator", DeviceKind.GPU), ("cpu_execution_accelerator", DeviceKind.CPU)]
    )
    def test_an_unknown_accelerator(self, tmp_path: Path, key: str, kind: DeviceKind) -> None:
        with pytest.raises(InvalidArgumentError, match="unknown Execution Accelerator 'abacus' is requested"):
            providers(accelerated(tmp_path, key, "abacus"), instance_spec(kind))

    def test_openvino_needs_another_build(self, tmp_path: Path) -> None:
        spec = accelerated(tmp_path, "cpu_execution_accelerator", "openvino")
        with pytest.raises(UnsupportedError, match="no OpenVINOExecutionProvider"):
            providers(spec, instance_spec())

    def test_tensorrt_parameters(self) -> None:
        given = {
            "precision_mode": "BF16",
            "max_workspace_size_bytes": "5",
            "trt_engine_cache_enable": "1",
            "int8_calibration_table_name": "t",
        }
        assert tensorrt_options(given) == {
            "trt_bf16_enable": "1",
            "trt_max_workspace_size": "5",
            "trt_engine_cache_enable": "1",
            "trt_int8_calibration_table_name": "t",
        }
        assert tensorrt_options({"precision_mode": "FP32"}) == {}

    def test_unknown_tensorrt_parameters(self) -> None:
        with pytest.raises(InvalidArgumentError, match="unknown parameter 'x' is provided for TensorRT"):
            tensorrt_options({"x": "1"})
        with pytest.raises(InvalidArgumentError, match="unsupported precision mode 'FP4'"):
            tensorrt_options({"precision_mode": "FP4"})


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="the GPU build is installed, and may start")
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime itself would go on with the CPU."""
    spec = saved(tmp_path, gemm())
    monkeypatch.setattr(
        "tritonpy.backends.onnx_runtime.session.providers", lambda spec, instance: [(CUDA, {}), (CPU, {})]
    )
    with pytest.raises(UnsupportedError, match="CUDAExecutionProvider did not start"):
        make_session(spec, instance_spec())
