"""The PyTorch backend.

backend.py      which form of model a version folder holds, and loading it
archive.py      what is in a .pt2 file
program.py      a loaded model as something to call, and its four forms:
torchscript.py    TorchScript, model.pt
exported.py       a program of torch.export, model.pt2
inductor.py       compiled by AOTInductor, model.pt2
module_file.py    a model.py with an nn.Module, weights beside it
naming.py       which configured tensor is which argument or result
conversion.py   arrays to torch tensors and back
settings.py     the model's parameters: threads, inference mode and the like
instance.py     running a batch
"""

from __future__ import annotations

from tritonpy.backends.pytorch.backend import PyTorchBackend

BACKEND = PyTorchBackend()
