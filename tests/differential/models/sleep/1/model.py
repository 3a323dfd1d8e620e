"""Sleeps for MILLISECONDS, and says so."""

import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            duration_ms = pb_utils.get_input_tensor_by_name(request, "MILLISECONDS").as_numpy()
            time.sleep(int(duration_ms.item()) / 1000)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("SLEPT", duration_ms)]))
        return responses
