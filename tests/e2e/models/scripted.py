"""Does what each request's COMMAND says, and reports the execution that the request was part of.

COMMAND: "" nothing; "gate:<path>" write the process id to `<path>.entered` and wait until `<path>` exists;
"error:<text>" answer this request with that error; "raise:<text>" raise; "sys_exit" and "os_exit" leave the process.
REPORT: JSON with the execution's number, the instance, the process id, the start (monotonic ns), and the members of
the batch as [request id, batch size].
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

GATE_TIMEOUT_S = 60


class TritonPythonModel:
    def initialize(self, args):
        self.instance = args["model_instance_name"]
        self.batching = json.loads(args["model_config"])["max_batch_size"] > 0
        self.execution = 0

    def execute(self, requests):
        start_ns = time.monotonic_ns()
        self.execution += 1
        report = {
            "execution": self.execution,
            "instance": self.instance,
            "pid": os.getpid(),
            "start_ns": start_ns,
            "members": [[request.request_id(), self.size(request)] for request in requests],
        }
        return [self.respond(request, json.dumps(report)) for request in requests]

    def size(self, request):
        return pb_utils.get_input_tensor_by_name(request, "COMMAND").as_numpy().shape[0] if self.batching else 1

    def respond(self, request, report):
        commands = pb_utils.get_input_tensor_by_name(request, "COMMAND").as_numpy()
        verb, _, text = commands.flat[0].decode().partition(":")
        if verb == "error":
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(text))
        if verb:
            ACTIONS[verb](text)
        answer = np.full(commands.shape, report.encode(), dtype=np.object_)
        return pb_utils.InferenceResponse([pb_utils.Tensor("REPORT", answer)])


def pass_gate(path):
    unfinished = Path(f"{path}.unfinished")
    unfinished.write_text(str(os.getpid()))
    unfinished.rename(f"{path}.entered")
    deadline = time.monotonic() + GATE_TIMEOUT_S
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the gate was never opened")
        time.sleep(0.002)


def raise_error(text):
    raise ValueError(text)


ACTIONS = {
    "gate": pass_gate,
    "raise": raise_error,
    "sys_exit": lambda text: sys.exit(3),
    "os_exit": lambda text: os._exit(3),
}
