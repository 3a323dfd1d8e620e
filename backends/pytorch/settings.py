"""What a model's parameters say about how torch runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import torch

from tritonpy.backends.contract import InstanceSpec
from tritonpy.backends.cores import cores_per_instance
from tritonpy.backends.parameters import boolean_parameter, integer_parameter

logger = logging.getLogger(__name__)

MakeContext = Callable[[], AbstractContextManager[object]]

# Switches of TorchScript that torch has for the whole process only.
_PROCESS_SWITCHES: Mapping[str, Callable[[bool], object]] = {
    "ENABLE_JIT_EXECUTOR": torch._C._jit_set_profiling_executor,
    "ENABLE_JIT_PROFILING": torch._C._jit_set_profiling_mode,
    "ENABLE_TENSOR_FUSER": torch._C._jit_set_texpr_fuser_enabled,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The switches of Triton's PyTorch backend, by their parameters' names; thread counts are 0 if not given."""

    inference_mode: bool
    disable_optimized_execution: bool
    disable_cudnn: bool
    weight_sharing: bool
    cache_cleaning: bool
    intra_op_thread_count: int
    inter_op_thread_count: int


def read_settings(parameters: Mapping[str, str]) -> Settings:
    """Raises InvalidArgumentError for a parameter that is no boolean or number."""
    return Settings(
        inference_mode=boolean_parameter(parameters, "INFERENCE_MODE", True),
        disable_optimized_execution=boolean_parameter(parameters, "DISABLE_OPTIMIZED_EXECUTION", False),
        disable_cudnn=boolean_parameter(parameters, "DISABLE_CUDNN", False),
        weight_sharing=boolean_parameter(parameters, "ENABLE_WEIGHT_SHARING", False),
        cache_cleaning=boolean_parameter(parameters, "ENABLE_CACHE_CLEANING", False),
        intra_op_thread_count=_thread_count(parameters, "INTRA_OP_THREAD_COUNT", "NUM_THREADS"),
        inter_op_thread_count=_thread_count(parameters, "INTER_OP_THREAD_COUNT", "NUM_INTEROP_THREADS"),
    )


def _thread_count(parameters: Mapping[str, str], *names: str) -> int:
    """TorchScript and model.py have different names for the same thing."""
    return next((count for name in names if (count := integer_parameter(parameters, name, 0))), 0)


def apply_process_switches(parameters: Mapping[str, str]) -> None:
    """Turn the switches on or off that the model's parameters name."""
    for name, set_switch in _PROCESS_SWITCHES.items():
        if name in parameters:
            set_switch(boolean_parameter(parameters, name, True))


def set_threads(settings: Settings, instance: InstanceSpec) -> None:
    """Set the number of torch's threads for the calling thread; by default the instances share the cores.

    It is set in any case: a thread without a number of its own would get that of another model.
    """
    torch.set_num_threads(settings.intra_op_thread_count or cores_per_instance(instance.instance_count))
    wanted = settings.inter_op_thread_count
    if not wanted or wanted == torch.get_num_interop_threads():
        return
    try:
        torch.set_num_interop_threads(wanted)
    except RuntimeError:
        logger.warning(
            "instance '%s' asks for %d inter-op threads and gets %d: torch fixes their number for the whole process; "
            "parameter EXECUTION 'process' gives each instance its own",
            instance.name,
            wanted,
            torch.get_num_interop_threads(),
        )


def run_contexts(settings: Settings, device: torch.device) -> tuple[MakeContext, ...]:
    """What has to be around every run; torch keeps these modes by thread. On a GPU each call of this makes a stream
    of its own, so that instances run beside each other."""
    contexts: list[MakeContext] = [torch.inference_mode if settings.inference_mode else torch.no_grad]
    if settings.disable_optimized_execution:
        contexts.append(lambda: torch.jit.optimized_execution(False))  # type: ignore[attr-defined]  # not in __all__
    if settings.disable_cudnn:
        contexts.append(lambda: torch.backends.cudnn.flags(enabled=False))
    if device.type == "cuda":
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        contexts.append(lambda: torch.cuda.stream(stream))
    return tuple(contexts)


def entered(contexts: tuple[MakeContext, ...]) -> ExitStack:
    """All of `contexts`, entered; leaving the result leaves them."""
    with ExitStack() as stack:
        for make_context in contexts:
            stack.enter_context(make_context())
        return stack.pop_all()
