"""Reading the old PyTorch file format without PyTorch, checked against files that PyTorch wrote."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from builder.state_dict import MAGIC_NUMBER, read_state_dict


def test_reads_what_torch_wrote(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch writes the file that is read here")
    shared = torch.arange(24, dtype=torch.float32)
    state = {
        "matrix": shared.reshape(4, 6),
        "transposed": shared.reshape(4, 6).T,
        "tail": shared[20:],
        "count": torch.tensor(7),
    }
    torch.save(state, tmp_path / "state.pth", _use_new_zipfile_serialization=False)
    found = read_state_dict(tmp_path / "state.pth")
    assert list(found) == list(state)
    for name, expected in state.items():
        assert found[name].dtype == expected.numpy().dtype
        np.testing.assert_array_equal(found[name], expected.numpy())


def test_refuses_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "state.pth").write_bytes(pickle.dumps("something else"))
    with pytest.raises(pickle.UnpicklingError, match=r"state\.pth is not a PyTorch file in the old format"):
        read_state_dict(tmp_path / "state.pth")


def test_runs_no_code_from_the_file(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "made by the file"),)

    parts: tuple[object, ...] = (MAGIC_NUMBER, 1001, {}, {"weight": Attack()})
    (tmp_path / "state.pth").write_bytes(b"".join(pickle.dumps(part) for part in parts))
    with pytest.raises(pickle.UnpicklingError, match="expected a state dict of plain tensors"):
        read_state_dict(tmp_path / "state.pth")
    assert not (tmp_path / "made by the file").exists()
