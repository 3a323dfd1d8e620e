"""Makes Python models in a temporary repository, and their specs."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from tritonpy.backends.contract import DeviceKind, InstanceSpec, ModelSpec, model_spec

HEADER = "import os, time\nimport numpy as np\nimport triton_python_backend_utils as pb_utils\n"


def write_model(repository: Path, body: str, name: str = "m", **config: Any) -> ModelSpec:
    """A model whose model.py is `body` (after the usual imports); FP32 X in, FP32 Y out, no batching."""
    version_directory = repository / name / "1"
    version_directory.mkdir(parents=True)
    (version_directory / "model.py").write_text(HEADER + textwrap.dedent(body))
    full_config = {
        "name": name,
        "backend": "python",
        "max_batch_size": 0,
        "input": [{"name": "X", "data_type": "TYPE_FP32", "dims": [-1]}],
        "output": [{"name": "Y", "data_type": "TYPE_FP32", "dims": [-1]}],
        **config,
    }
    return model_spec(1, version_directory.parent, version_directory, json.dumps(full_config), {})


def instance_spec(name: str = "m_0") -> InstanceSpec:
    return InstanceSpec(name, DeviceKind.CPU, 0, 1)


DOUBLE = """
    class TritonPythonModel:
        def execute(self, requests):
            responses = []
            for request in requests:
                x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
                responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", x + x)]))
            return responses
"""
