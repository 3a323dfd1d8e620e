"""Checks a normalised configuration; the first mistake raises InvalidArgumentError with Triton's text.

validate            what can be said without tensors and machine: name, backend, batching, sequences
                    (sequence_rules.py), ensembles (ensemble_rules.py)
validate_tensors    inputs and outputs (tensor_rules.py)
validate_instances  instance groups against the machine (instance_rules.py)
"""

from __future__ import annotations

from google.protobuf.message import Message

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.protos.generated import model_config_pb2
from tritonpy.repository.autofill import ARTIFACTS, ENSEMBLE_PLATFORM
from tritonpy.repository.ensemble_rules import validate_ensemble
from tritonpy.repository.sequence_rules import validate_sequence_batching

ModelConfig = model_config_pb2.ModelConfig
_DELAY = model_config_pb2.ModelQueuePolicy.DELAY
# Backends whose platform texts are known; the others accept any.
_PLATFORMS: dict[str, set[str]] = {}
for _artifact in ARTIFACTS:
    if _artifact.platforms:
        _PLATFORMS.setdefault(_artifact.backend, set()).update(_artifact.platforms)


def validate(config: ModelConfig) -> None:
    """Check what does not depend on tensors, files or devices."""
    _check_enums(config)
    if not config.name:
        raise InvalidArgumentError("model configuration must specify 'name'")
    _check_backend(config)
    if config.max_batch_size < 0:
        raise InvalidArgumentError(f"'max_batch_size' must be non-negative value for {config.name}")
    if config.HasField("dynamic_batching"):
        _check_dynamic_batching(config)
    if config.HasField("sequence_batching"):
        validate_sequence_batching(config)
    if config.platform == ENSEMBLE_PLATFORM:
        validate_ensemble(config)
    _check_response_cache(config)
    _check_model_metrics(config)


def _check_enums(message: Message) -> None:
    """Configurations may give enums as numbers, of which protobuf accepts any."""
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        if field.enum_type is not None:
            for number in values:
                if number not in field.enum_type.values_by_number:
                    known = ", ".join(field.enum_type.values_by_name)
                    raise InvalidArgumentError(f"unknown value {number} of '{field.name}', expected one of: {known}")
        elif field.message_type is not None:
            is_map_of_messages = field.message_type.GetOptions().map_entry
            for part in value.values() if is_map_of_messages else values:
                if isinstance(part, Message):
                    _check_enums(part)


def _check_backend(config: ModelConfig) -> None:
    if config.platform == ENSEMBLE_PLATFORM:
        if config.backend:
            raise InvalidArgumentError(
                f"Ensemble model '{config.name}' must have platform type 'ensemble' and empty backend type"
            )
        return
    if config.HasField("ensemble_scheduling"):
        raise InvalidArgumentError(
            f"ensemble scheduling cannot be set for model '{config.name}' whose platform is not ensemble"
        )
    if not config.backend:
        raise InvalidArgumentError(f"unexpected platform type '{config.platform}' for {config.name}")
    known = _PLATFORMS.get(config.backend)
    if known is not None and config.platform not in known:
        raise InvalidArgumentError(f"unexpected 'platform' and 'backend' pair, got:{config.platform}, {config.backend}")


def _check_dynamic_batching(config: ModelConfig) -> None:
    batching, name = config.dynamic_batching, config.name
    for size in batching.preferred_batch_size:
        if size <= 0:
            raise InvalidArgumentError(f"dynamic batching preferred size must be positive for {name}")
        if size > config.max_batch_size:
            raise InvalidArgumentError(f"dynamic batching preferred size must be <= max batch size for {name}")
    levels = batching.priority_levels
    if levels and not 1 <= batching.default_priority_level <= levels:
        raise InvalidArgumentError(f"default priority level must be in range [1, {levels}] for {name}")
    for level in batching.priority_queue_policy if levels else ():
        if not 1 <= level <= levels:
            raise InvalidArgumentError(
                f"priority queue policy must have priority level in range [1, {levels}] for {name}"
            )
    if batching.preserve_ordering:
        _check_preserve_ordering(config)


def _check_preserve_ordering(config: ModelConfig) -> None:
    batching = config.dynamic_batching
    if batching.priority_levels > 1:
        raise InvalidArgumentError(
            f"Only one priority level is allowed when 'preserve_ordering' is true for {config.name}"
        )
    policies = [batching.default_queue_policy, *batching.priority_queue_policy.values()]
    if any(policy.default_timeout_microseconds and policy.timeout_action == _DELAY for policy in policies):
        raise InvalidArgumentError(
            "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for " + config.name
        )


def _check_response_cache(config: ModelConfig) -> None:
    if not config.response_cache.enable:
        return
    if config.model_transaction_policy.decoupled:
        raise InvalidArgumentError(
            f"Response Cache does not currently support model {config.name} with 'decoupled' transaction policy. "
            "Please disable the response cache."
        )
    if config.HasField("sequence_batching"):
        raise InvalidArgumentError(
            f"Response Cache does not currently support model {config.name} with sequence batching scheduler. "
            "Please disable the response cache."
        )


def _check_model_metrics(config: ModelConfig) -> None:
    for control in config.model_metrics.metric_control:
        if not control.HasField("metric_identifier"):
            raise InvalidArgumentError("metric control must specify 'metric_identifier'")
        if not control.metric_identifier.family:
            raise InvalidArgumentError("metric identifier must specify non-empty 'family'")
        if not control.HasField("histogram_options"):
            raise InvalidArgumentError("metric control must specify 'histogram_options'")
        if not control.histogram_options.buckets:
            raise InvalidArgumentError("histogram options must specify non-empty 'buckets'")
