"""Answers as the one string in CASE says: with an error of that code, or in a way a model should not."""

import sys

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        case = pb_utils.get_input_tensor_by_name(requests[0], "CASE").as_numpy()[0].decode()
        if case in WHOLE_CALL:
            return WHOLE_CALL[case](requests)
        return [PER_REQUEST.get(case, error_of_code)(case) for _ in requests]


def error_of_code(case):
    code = getattr(pb_utils.TritonError, case)
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"the model says {case}", code))


def error_without_code(case):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError("the model gives no code"))


def error_with_tensors(case):
    return pb_utils.InferenceResponse([numbers("OUTPUT0")], pb_utils.TritonError("error and tensors"))


def both_outputs(case):
    return pb_utils.InferenceResponse([numbers("OUTPUT0"), numbers("OUTPUT1")])


def no_outputs(case):
    return pb_utils.InferenceResponse([])


def one_output(case):
    return pb_utils.InferenceResponse([numbers("OUTPUT1")])


def reversed_outputs(case):
    return pb_utils.InferenceResponse([numbers("OUTPUT1"), numbers("OUTPUT0")])


def unknown_output(case):
    return pb_utils.InferenceResponse([numbers("OUTPUT0"), numbers("SURPRISE")])


def other_datatype(case):
    return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", np.array([0.5, 1.5], dtype=np.float32))])


def other_shape(case):
    return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", np.array([[1, 2]], dtype=np.int32))])


def numbers(name):
    return pb_utils.Tensor(name, np.array([1, 2, 3], dtype=np.int32))


def raise_value_error(requests):
    raise ValueError("boom")


def raise_model_exception(requests):
    raise pb_utils.TritonModelException("the model gives up")


def unsupported_numpy_type(requests):
    return [pb_utils.Tensor("OUTPUT0", np.array(["text"]))]


def exit_with_status(requests):
    sys.exit(3)


PER_REQUEST = {
    "ok": both_outputs,
    "no_code": error_without_code,
    "error_with_tensors": error_with_tensors,
    "no_outputs": no_outputs,
    "one_output": one_output,
    "reversed_outputs": reversed_outputs,
    "unknown_output": unknown_output,
    "other_datatype": other_datatype,
    "other_shape": other_shape,
}
WHOLE_CALL = {
    "raise": raise_value_error,
    "raise_model_exception": raise_model_exception,
    "unsupported_numpy_type": unsupported_numpy_type,
    "tuple": lambda requests: (both_outputs("ok"),),
    "too_few": lambda requests: [],
    "too_many": lambda requests: [both_outputs("ok") for _ in range(len(requests) + 1)],
    "not_a_response": lambda requests: [7 for _ in requests],
    "exit": exit_with_status,
}
