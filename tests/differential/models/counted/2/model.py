"""Returns its input, unless that begins with -1 (it raises) or -2 (it returns an error).

Each version serves the statistics exchange of one protocol only, so that the counts do not depend on which
other exchanges ran.
"""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        values = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
        if values.flat[0] == -1:
            raise ValueError("counted as failed")
        if values.flat[0] == -2:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("this request is refused"))
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", values)])
