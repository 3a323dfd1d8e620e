"""GIVEN lists the names of the inputs the request brought, in their order."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            names = np.array([[tensor.name().encode() for tensor in request.inputs()]], dtype=np.object_)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("GIVEN", names)]))
        return responses
