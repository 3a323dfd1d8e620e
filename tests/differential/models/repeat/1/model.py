"""Decoupled: one response for each element of IN."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for element in pb_utils.get_input_tensor_by_name(request, "IN").as_numpy():
                tensor = pb_utils.Tensor("OUT", element.reshape(1))
                sender.send(pb_utils.InferenceResponse([tensor]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
