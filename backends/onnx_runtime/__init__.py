"""The ONNX Runtime backend: models in ONNX format.

backend.py    loading, checks against the configuration, auto-completion
graph.py      what the model file declares
session.py    session options from the model's parameters
providers.py  where a session runs: CPU, or a GPU through CUDA or TensorRT
binding.py    runs through IO binding: on a GPU, and with BF16
instance.py   running a batch
errors.py     what ONNX Runtime's errors look like to a client
"""

from __future__ import annotations

from tritonpy.backends.onnx_runtime.backend import OnnxBackend

BACKEND = OnnxBackend()
