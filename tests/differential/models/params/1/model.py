"""REQUEST is a JSON text of what the model sees of its request besides the tensors' values."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([described(request)]) for request in requests]


def described(request):
    seen = {
        "id": request.request_id(),
        "correlation_id": request.correlation_id(),
        "flags": request.flags(),
        "timeout": request.timeout(),
        "parameters": json.loads(request.parameters() or "{}"),
        "requested_outputs": sorted(request.requested_output_names()),
        "inputs": [[tensor.name(), list(tensor.shape())] for tensor in request.inputs()],
    }
    text = json.dumps(seen, sort_keys=True)
    return pb_utils.Tensor("REQUEST", np.array([[text.encode()]], dtype=np.object_))
