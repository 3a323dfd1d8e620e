"""The Python backend: models written as a `TritonPythonModel` class in model.py.

backend.py        loading and configuration
model_file.py     importing model.py
instance.py       running execute
traceback_text.py what an exception looks like to a client
pb_*.py           the module `triton_python_backend_utils` that models import
"""

from __future__ import annotations

from tritonpy.backends.python.backend import PythonBackend

BACKEND = PythonBackend()
