"""All exchanges, by the group whose recordings share a file."""

from __future__ import annotations

from ..exchange import Exchange
from . import (
    binary_errors,
    classification,
    compression,
    datatypes,
    formatting,
    health,
    infer_binary,
    infer_grpc,
    infer_json,
    malformed_json,
    metadata,
    model_errors,
    queue,
    repository_index,
    request_parameters,
    routing,
    statistics,
    validation,
)

GROUPS: dict[str, tuple[Exchange, ...]] = {
    "health": health.EXCHANGES,
    "metadata": metadata.EXCHANGES,
    "statistics": statistics.EXCHANGES,
    "repository_index": repository_index.EXCHANGES,
    "routing": routing.EXCHANGES,
    "infer_json": infer_json.EXCHANGES,
    "infer_binary": infer_binary.EXCHANGES,
    "infer_grpc": infer_grpc.EXCHANGES,
    "datatypes": datatypes.EXCHANGES,
    "formatting": formatting.EXCHANGES,
    "request_parameters": request_parameters.EXCHANGES,
    "malformed_json": malformed_json.EXCHANGES,
    "validation": validation.EXCHANGES,
    "binary_errors": binary_errors.EXCHANGES,
    "model_errors": model_errors.EXCHANGES,
    "queue": queue.EXCHANGES,
    "compression": compression.EXCHANGES,
    "classification": classification.EXCHANGES,
}
