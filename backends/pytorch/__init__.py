"""The backend `pytorch`.

backend.py      which kind of model a version folder holds, and loading it
programs.py     the kinds: TorchScript, torch.export, AOTInductor, and a Python file with an nn.Module
exported.py     what an exported program says about its inputs and outputs
naming.py       which configured tensor is which argument or result
conversion.py   arrays to torch tensors and back
instance.py     running batches
"""

from __future__ import annotations

from tritonpy.backends.pytorch.backend import PyTorchBackend

BACKEND = PyTorchBackend()
