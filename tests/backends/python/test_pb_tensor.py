"""`pb_utils.Tensor`."""

from __future__ import annotations

import numpy as np
import pytest

from tritonpy.backends import tensor as core
from tritonpy.backends.python.pb_errors import TritonModelException
from tritonpy.backends.python.pb_tensor import Tensor
from tritonpy.protos import datatypes


@pytest.mark.parametrize("datatype", [one for one in datatypes.ALL if one not in (datatypes.BYTES, datatypes.BF16)])
def test_every_numeric_type_goes_in_and_out_without_a_copy(datatype: datatypes.Datatype) -> None:
    array = np.zeros((2, 3), dtype=datatype.numpy_dtype)
    tensor = Tensor("T", array)
    assert tensor.triton_dtype() == datatype.config_value
    assert tensor.shape() == [2, 3]
    assert np.shares_memory(tensor.as_numpy(), array)


def test_strings_of_all_kinds_become_bytes() -> None:
    mixed = Tensor("T", np.array(["ä", b"\xff", 5], dtype=object))
    assert bytes(mixed._tensor.buffer) == b"\x02\0\0\0\xc3\xa4\x01\0\0\0\xff\x01\0\0\x005"
    fixed = Tensor("T", np.array([b"a", b"bc"]))
    assert bytes(fixed._tensor.buffer) == b"\x01\0\0\0a\x02\0\0\0bc"
    received = Tensor._over(core.Tensor("T", datatypes.BYTES, (2,), b"\x01\0\0\0a\x02\0\0\0bc"))
    assert received.as_numpy().tolist() == [b"a", b"bc"]


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([1j]), np.zeros(1, dtype=">i4")])
def test_other_dtypes_are_refused(array: np.ndarray) -> None:
    with pytest.raises(TritonModelException, match=r"NumPy dtype is not supported\."):
        Tensor("T", array)


def test_only_arrays_and_named_tensors() -> None:
    with pytest.raises(TypeError, match="needs a numpy.ndarray, got list"):
        Tensor("T", [1])  # type: ignore[arg-type]
    with pytest.raises(TritonModelException, match=r"Tensor name cannot be an empty string\."):
        Tensor("", np.zeros(1))


def test_a_transposed_array_is_stored_in_c_order() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3).T
    tensor = Tensor("T", array)
    assert bytes(tensor._tensor.buffer) == np.ascontiguousarray(array).tobytes()


def test_dlpack_both_ways() -> None:
    array = np.arange(4, dtype=np.float32)
    tensor = Tensor("T", array)
    assert np.shares_memory(np.from_dlpack(tensor), array)  # type: ignore[arg-type]
    assert np.shares_memory(Tensor.from_dlpack("U", tensor.to_dlpack()).as_numpy(), array)
    assert np.shares_memory(Tensor.from_dlpack("U", array).as_numpy(), array)
    with pytest.raises(TritonModelException, match="not contiguous"):
        Tensor.from_dlpack("U", np.zeros((2, 3)).T)
    with pytest.raises(TritonModelException, match=r"DLPack does not have support for string tensors\."):
        Tensor("S", np.array([b"x"])).to_dlpack()


def test_bf16_has_no_numpy_form() -> None:
    with pytest.raises(TritonModelException, match="BF16 and cannot be converted to NumPy"):
        Tensor._over(core.Tensor("T", datatypes.BF16, (1,), b"\0\0")).as_numpy()


def test_bf16_goes_through_dlpack_bit_for_bit() -> None:
    torch = pytest.importorskip("torch", reason="only torch makes BF16 capsules; the extra 'torch' is not installed")
    values = torch.tensor([1.0, -2.5, 3e38], dtype=torch.bfloat16)
    tensor = Tensor.from_dlpack("T", values)
    assert tensor.triton_dtype() == datatypes.BF16.config_value
    assert bytes(tensor._tensor.buffer) == values.view(torch.uint16).numpy().tobytes()
    assert torch.equal(torch.from_dlpack(tensor), values)
