"""Sleeps 100 ms for each execution and gives its input back."""

import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.1)
        return [pb_utils.InferenceResponse([copied(request)]) for request in requests]


def copied(request):
    return pb_utils.Tensor("OUTPUT", pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy())
