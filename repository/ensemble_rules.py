"""The rules of `ensemble_scheduling` that need no other model, with Triton's texts.

The steps make a graph: each reads some tensors of the ensemble and writes others. Checks against the models of the
steps need these loaded, and belong to the load of the ensemble.
"""

from __future__ import annotations

from collections.abc import Iterator

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.protos.generated import model_config_pb2

ModelConfig = model_config_pb2.ModelConfig
Step = model_config_pb2.ModelEnsembling.Step


def validate_ensemble(config: ModelConfig) -> None:
    """Check a model of the platform `ensemble`; raises InvalidArgumentError for the first mistake."""
    for problem in _problems(config):
        raise InvalidArgumentError(problem)


def _problems(config: ModelConfig) -> Iterator[str]:
    """What is wrong, the first thing first."""
    if not config.HasField("ensemble_scheduling"):
        yield f"ensemble scheduling must be set for ensemble {config.name} whose platform is ensemble"
    ensemble = f"ensemble '{config.name}'"
    if config.instance_group:
        yield f"instance group should not be specified for {ensemble}"
    if config.HasField("optimization"):
        yield f"optimization should not be specified for {ensemble}"
    if config.model_warmup:
        yield f"model_warmup can not be specified for {ensemble}"
    yield from _step_problems(config, ensemble)
    yield from _graph_problems(config, ensemble)


def _step_problems(config: ModelConfig, ensemble: str) -> Iterator[str]:
    steps = config.ensemble_scheduling.step
    if not steps:
        yield f"must specify 'step' for {ensemble}"
    written: set[str] = set()
    for index, step in enumerate(steps):
        for field in ("model_name", "input_map", "output_map"):
            if not getattr(step, field):
                yield f"must specify '{field}' in step {index} of {ensemble}"
        for tensor in step.output_map.values():
            if tensor in written:
                yield f"ensemble tensor '{tensor}' can appear in an output map only once for {ensemble} step {index}"
            written.add(tensor)


def _graph_problems(config: ModelConfig, ensemble: str) -> Iterator[str]:
    steps = config.ensemble_scheduling.step
    read = {tensor for step in steps for tensor in step.input_map.values()}
    writer = {tensor: step for step in steps for tensor in step.output_map.values()}
    known = read | writer.keys()
    ready = _ready_tensors(config)
    for entry in config.input:
        if entry.name not in known:
            # The one quote is Triton's, here and below.
            yield f"ensemble input '{entry.name}' for ensemble {config.name}' is not used"
    for output in config.output:
        if output.name not in known:
            yield f"ensemble output '{output.name}' for ensemble {config.name}' is not used"
        if output.name not in ready:
            yield f"output '{output.name}' for {ensemble} is not written{_missing_link(writer.get(output.name), ready)}"
    for tensor in sorted(known - {output.name for output in config.output}):
        if tensor not in ready or tensor not in read:
            yield f"ensemble tensor '{tensor}' is unused in {ensemble}"


def _ready_tensors(config: ModelConfig) -> set[str]:
    """The tensors that get a value: the inputs, and whatever steps write of which all inputs get one."""
    steps = config.ensemble_scheduling.step
    ready = {entry.name for entry in config.input}
    while True:
        runnable = [step for step in steps if ready.issuperset(step.input_map.values())]
        written = {tensor for step in runnable for tensor in step.output_map.values()}
        if written <= ready:
            return ready
        ready |= written


def _missing_link(writer: Step | None, ready: set[str]) -> str:
    """Which tensor keeps the step that writes an output from running."""
    if writer is None:
        return ""
    missing = sorted(set(writer.input_map.values()) - ready)
    return f": at least one of its depending tensors, '{missing[0]}', is not connected"
