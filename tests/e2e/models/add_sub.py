"""OUTPUT0 is the sum and OUTPUT1 the difference of INPUT0 and INPUT1."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [respond(request) for request in requests]


def respond(request):
    first = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
    second = pb_utils.get_input_tensor_by_name(request, "INPUT1").as_numpy()
    outputs = [pb_utils.Tensor("OUTPUT0", first + second), pb_utils.Tensor("OUTPUT1", first - second)]
    return pb_utils.InferenceResponse(outputs)
