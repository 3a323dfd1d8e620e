"""The datatype table."""

from __future__ import annotations

import numpy as np
import pytest

from tritonpy.protos import datatypes
from tritonpy.protos.generated import model_config_pb2


def test_the_table_is_the_configurations_enum() -> None:
    numbers = {datatype.config_name: datatype.config_value for datatype in datatypes.ALL}
    assert {"TYPE_INVALID": 0, **numbers} == dict(model_config_pb2.DataType.items())


def test_wire_names_are_config_names_but_for_strings() -> None:
    for datatype in datatypes.ALL:
        expected = "TYPE_STRING" if datatype is datatypes.BYTES else f"TYPE_{datatype.wire_name}"
        assert datatype.config_name == expected


@pytest.mark.parametrize("datatype", datatypes.ALL, ids=lambda datatype: datatype.wire_name)
def test_sizes_are_those_of_the_arrays(datatype: datatypes.Datatype) -> None:
    expected = 0 if datatype is datatypes.BYTES else datatype.numpy_dtype.itemsize
    assert datatype.size_bytes == expected
    assert datatypes.BY_WIRE_NAME[datatype.wire_name] is datatype
    assert datatypes.BY_CONFIG_VALUE[datatype.config_value] is datatype


def test_arrays_tell_their_datatype() -> None:
    assert datatypes.from_numpy(np.dtype("uint16")) is datatypes.UINT16
    assert datatypes.from_numpy(np.dtype("S7")) is datatypes.BYTES
    assert datatypes.from_numpy(np.dtype(object)) is datatypes.BYTES
    for other in ("U3", "complex64", ">f4", "M8[s]"):
        assert datatypes.from_numpy(np.dtype(other)) is None
