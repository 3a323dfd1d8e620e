"""SEEN is a JSON text of what the model sees of its request besides the tensors."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([described(request)]) for request in requests]


def described(request):
    seen = {"id": request.request_id(), "parameters": json.loads(request.parameters() or "{}")}
    return pb_utils.Tensor("SEEN", np.array([json.dumps(seen).encode()], dtype=np.object_))
