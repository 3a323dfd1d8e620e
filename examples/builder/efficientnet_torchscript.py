"""Traces EfficientNet-Lite0 to TorchScript, with the network's own PyTorch code."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import torch

IMAGE_SIZE = 224


def export(code: Path, weights: Path, target: Path) -> None:
    """Write FP32 [N, 3, 224, 224] -> FP32 [N, 1000] (probabilities) to `target`; `code` holds the package."""
    network = _network(code)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    classifier = torch.nn.Sequential(network, torch.nn.Softmax(dim=1)).eval()
    # The example only shows the rank and the type; the batch size of the trace stays free.
    example = torch.zeros(2, 3, IMAGE_SIZE, IMAGE_SIZE)
    with torch.inference_mode():
        torch.jit.trace(classifier, example).save(str(target))  # type: ignore[no-untyped-call]


def _network(code: Path) -> torch.nn.Module:
    sys.path.insert(0, str(code))
    try:
        package = importlib.import_module("efficientnet_lite_pytorch")
    finally:
        sys.path.remove(str(code))
    network: torch.nn.Module = package.EfficientNet.from_name("efficientnet-lite0")
    return network
