"""A .pt2 file is data: one that wants code to be run when it is loaded is refused before that."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from tests.backends.pytorch.models import Linear, spec_of, start, write_exported
from tritonpy.backends.errors import InternalError
from tritonpy.backends.pytorch.archive import is_inductor_package, refuse_objects


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._path),)


def replace_entries(path: Path, ending: str, content: bytes) -> int:
    """Replace what is in the entries of a zip file whose name ends so; returns how many there are."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    count = sum(name.endswith(ending) for name in entries)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, content if name.endswith(ending) else data)
    return count


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    spec = write_exported(spec_of(tmp_path, filename="model.pt2"), Linear(), torch.randn(2, 4))
    return spec.model_path


def test_plain_files_pass(exported: Path) -> None:
    refuse_objects(exported)


def test_objects_among_the_sample_inputs(exported: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    assert replace_entries(exported, "sample_inputs/model.pt", saved(((Touches(witness),), {}))) == 1
    with pytest.raises(InternalError, match=r"the file holds pickled objects \(model.pt\)"):
        start(spec_of(tmp_path, filename="model.pt2"))
    assert not witness.exists()


@pytest.mark.parametrize("folder", ["weights", "constants"])
def test_objects_among_the_tensors(exported: Path, tmp_path: Path, folder: str) -> None:
    """What the archive's table calls a pickle is looked at, whatever its file is called."""
    witness = tmp_path / "witness"
    table = (
        b'{"config": {"w": {"path_name": "opaque_obj_0", "is_param": false, "use_pickle": true, "tensor_meta": null}}}'
    )
    assert replace_entries(exported, f"{folder}/model_{folder}_config.json", table) == 1
    with zipfile.ZipFile(exported, "a") as archive:
        root = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{root}/data/{folder}/opaque_obj_0", pickle.dumps(Touches(witness)))
    with pytest.raises(InternalError, match=r"the file holds pickled objects \(opaque_obj_0\)"):
        start(spec_of(tmp_path, filename="model.pt2"))
    assert not witness.exists()


def test_pickled_tensors_pass(exported: Path) -> None:
    table = b'{"config": {"w": {"path_name": "weight_9", "is_param": false, "use_pickle": true, "tensor_meta": null}}}'
    assert replace_entries(exported, "weights/model_weights_config.json", table) == 1
    with zipfile.ZipFile(exported, "a") as archive:
        root = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{root}/data/weights/weight_9", saved(torch.zeros(2, dtype=torch.complex64)))
    refuse_objects(exported)


def test_the_older_format(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("serialized_state_dict.pt", saved({"w": torch.zeros(1)}))
    refuse_objects(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("serialized_example_inputs.pt", saved(Touches(tmp_path / "witness")))
    with pytest.raises(InternalError, match="serialized_example_inputs.pt"):
        refuse_objects(path)
    assert not (tmp_path / "witness").exists()


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(b"garbage")
    with pytest.raises(InternalError, match="'model.pt2' is no archive of torch.export or AOTInductor"):
        is_inductor_package(path)
