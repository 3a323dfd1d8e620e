"""Writes EfficientNet-Lite0 as an ONNX graph straight from its weights, so that no PyTorch is needed.

The network is a plain chain (Tan and Le, 2019, in its "lite" form: ReLU6, no squeeze-and-excitation): a stem,
16 inverted bottleneck blocks, a head, the mean over the image and one linear layer. The shapes of the weights
tell all of it but the strides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from builder.state_dict import Array, read_state_dict

Attribute: TypeAlias = "int | str | list[int]"

IMAGE_SIZE = 224
CLASSES = 1000
BLOCKS = 16
BLOCKS_OF_STRIDE_2 = frozenset({1, 3, 5, 11})
BATCH_NORM_EPSILON = 1e-3
OPSET = 17
IR_VERSION = 8  # the version that goes with opset 17; newer ones shut out older runtimes


def export(weights: Path, target: Path) -> None:
    """Write `image` FP32 [N, 3, 224, 224] -> `probabilities` FP32 [N, 1000] to `target`."""
    network = _Network(read_state_dict(weights))
    tensor = _all_layers(network)
    probabilities = network.add("Softmax", [tensor], output="probabilities", axis=1)
    graph = helper.make_graph(
        network.nodes,
        "efficientnet_lite0",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, IMAGE_SIZE, IMAGE_SIZE])],
        [helper.make_tensor_value_info(probabilities, TensorProto.FLOAT, ["N", CLASSES])],
        network.constants,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(target))


@dataclass(slots=True)
class _Network:
    """The graph so far: nodes and constants, with names that are counted up."""

    weights: dict[str, Array]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, operator: str, inputs: list[str], output: str = "", **attributes: Attribute) -> str:
        """Append a node and return the name of its output."""
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        node = helper.make_node(operator, inputs, [output])
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self.nodes.append(node)
        return output

    def constant(self, name: str, values: Array) -> str:
        """Append a constant, once per name, and return the name."""
        if all(constant.name != name for constant in self.constants):
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def relu6(self, tensor: str) -> str:
        low = self.constant("zero", np.float32(0))
        return self.add("Clip", [tensor, low, self.constant("six", np.float32(6))])

    def convolution(self, tensor: str, name: str, norm: str, stride: int = 1) -> str:
        """A convolution with the batch normalisation behind it folded into its weights and bias."""
        weight, bias = self._folded(name, norm)
        # A depthwise convolution has one input channel per filter, and as many groups as filters.
        group = len(weight) if "depthwise" in name else 1
        inputs = [tensor, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        # The network was trained with padding that goes to the lower right first.
        return self.add("Conv", inputs, group=group, strides=[stride, stride], auto_pad="SAME_UPPER")

    def _folded(self, name: str, norm: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        gamma, beta, mean, variance = (
            self.weights[f"{norm}.{part}"].astype(np.float32)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + np.float32(BATCH_NORM_EPSILON))
        weight = self.weights[f"{name}.weight"].astype(np.float32)
        return weight * scale[:, None, None, None], beta - mean * scale


def _all_layers(network: _Network) -> str:
    tensor = network.relu6(network.convolution("image", "_conv_stem", "_bn0", stride=2))
    for index in range(BLOCKS):
        tensor = _block(network, tensor, f"_blocks.{index}", 2 if index in BLOCKS_OF_STRIDE_2 else 1)
    tensor = network.relu6(network.convolution(tensor, "_conv_head", "_bn1"))
    tensor = network.add("Flatten", [network.add("GlobalAveragePool", [tensor])])
    weight = network.constant("_fc.weight", network.weights["_fc.weight"])
    bias = network.constant("_fc.bias", network.weights["_fc.bias"])
    return network.add("Gemm", [tensor, weight, bias], transB=1)


def _block(network: _Network, block_input: str, name: str, stride: int) -> str:
    """Expand (not in the first block), depthwise, project; plus the input where the shape stays the same."""
    tensor = block_input
    depthwise_filters = network.weights[f"{name}._depthwise_conv.weight"].shape[0]
    input_channels = depthwise_filters
    if f"{name}._expand_conv.weight" in network.weights:
        input_channels = network.weights[f"{name}._expand_conv.weight"].shape[1]
        tensor = network.relu6(network.convolution(tensor, f"{name}._expand_conv", f"{name}._bn0"))
    tensor = network.relu6(network.convolution(tensor, f"{name}._depthwise_conv", f"{name}._bn1", stride))
    tensor = network.convolution(tensor, f"{name}._project_conv", f"{name}._bn2")
    output_channels = network.weights[f"{name}._project_conv.weight"].shape[0]
    if stride == 1 and input_channels == output_channels:
        tensor = network.add("Add", [tensor, block_input])
    return tensor
