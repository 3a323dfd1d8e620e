"""Gives each input back as the output of the same name with OUT in place of the first IN."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([copied(tensor) for tensor in request.inputs()]) for request in requests]


def copied(tensor):
    return pb_utils.Tensor(tensor.name().replace("IN", "OUT", 1), tensor.as_numpy())
