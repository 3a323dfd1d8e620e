"""The Python model, with a tiny encoder and tokenizer made on the spot instead of the real weights.

Words are one token each and the encoder looks every token up in a table, so the right answer is known.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime  # noqa: F401  (the model needs it; a missing package has to fail here, with its name)
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

MODEL_FILE = Path(__file__).resolve().parents[2] / "examples/models/text_embedding/1/model.py"
VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "red": 2, "green": 3, "blue": 4}
TABLE = np.array([[9, 9, 9], [1, 1, 1], [2, 0, 0], [0, 2, 0], [0, 0, 2]], np.float32)


class FakeTritonError:
    INVALID_ARG = "INVALID_ARG"

    def __init__(self, message: str, code: str) -> None:
        self.message, self.code = message, code


@dataclass
class FakeTensor:
    name: str
    array: np.ndarray

    def as_numpy(self) -> np.ndarray:
        return self.array


@dataclass
class FakeResponse:
    output_tensors: list[FakeTensor] = field(default_factory=list)
    error: FakeTritonError | None = None


def fake_utils() -> ModuleType:
    """The part of `triton_python_backend_utils` that the model uses; a request is a dictionary of tensors."""
    module = ModuleType("triton_python_backend_utils")
    members = {
        "Tensor": FakeTensor,
        "TritonError": FakeTritonError,
        "InferenceResponse": FakeResponse,
        "InferenceRequest": dict,
        "get_input_tensor_by_name": lambda request, name: request[name],
    }
    for name, member in members.items():
        setattr(module, name, member)
    return module


def write_tiny_encoder(path: Path) -> None:
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", 3])
    node = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
    graph = helper.make_graph([node], "tiny", inputs, [output], [numpy_helper.from_array(TABLE, "table")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An initialised `TritonPythonModel`."""
    (tmp_path / "1").mkdir()
    write_tiny_encoder(tmp_path / "1/encoder.onnx")
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "1/tokenizer.json"))
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", fake_utils())
    specification = importlib.util.spec_from_file_location("text_embedding_model", MODEL_FILE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    loaded = module.TritonPythonModel()
    loaded.initialize({"model_repository": str(tmp_path), "model_version": "1"})
    return loaded


def request(*texts: bytes) -> dict[str, FakeTensor]:
    return {"TEXT": FakeTensor("TEXT", np.array([[text] for text in texts], np.object_))}


def embeddings(response: FakeResponse) -> np.ndarray:
    (tensor,) = response.output_tensors
    assert response.error is None
    assert tensor.name == "EMBEDDING"
    assert tensor.array.dtype == np.float32
    return tensor.array


def test_mean_of_the_tokens_has_length_one(model: Any) -> None:
    (response,) = model.execute([request(b"red green green")])
    np.testing.assert_allclose(embeddings(response), [[1 / 5**0.5, 2 / 5**0.5, 0]], rtol=1e-6)


def test_padding_does_not_count(model: Any) -> None:
    (response,) = model.execute([request(b"blue", b"red red red green")])
    np.testing.assert_allclose(embeddings(response)[0], [0, 0, 1], atol=1e-6)


def test_each_request_gets_its_own_rows(model: Any) -> None:
    responses = model.execute([request(b"red", b"blue"), request(b"green"), request(b"blue", b"red", b"green")])
    rows = [embeddings(response).argmax(axis=1).tolist() for response in responses]
    assert rows == [[0, 2], [1], [2, 0, 1]]


def test_long_text_is_cut_off(model: Any) -> None:
    (response,) = model.execute([request(b"red " * 256 + b"blue " * 256)])
    np.testing.assert_allclose(embeddings(response), [[1, 0, 0]], atol=1e-6)


def test_bad_text_fails_alone(model: Any) -> None:
    good, bad, after = model.execute([request(b"red"), request(b"\xff\xfe"), request(b"blue")])
    assert embeddings(good).argmax() == 0
    assert embeddings(after).argmax() == 2
    assert bad.error.code == "INVALID_ARG"
    assert bad.error.message.startswith("TEXT has to be UTF-8")


def test_only_bad_text(model: Any) -> None:
    (bad,) = model.execute([request(b"\xff")])
    assert bad.error is not None
