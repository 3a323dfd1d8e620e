"""Sentence embeddings: tokenizer, int8 MiniLM encoder (ONNX), mean over the tokens, scaled to length 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import triton_python_backend_utils as pb_utils
from tokenizers import Tokenizer

Floats = npt.NDArray[np.float32]

LONGEST_TEXT_TOKENS = 256  # the length the model was trained for


class TritonPythonModel:
    """TEXT (BYTES [batch, 1]) in, EMBEDDING (FP32 [batch, 384]) out."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the tokenizer and the encoder that lie beside this file."""
        version_folder = Path(args["model_repository"]) / args["model_version"]
        self.tokenizer = Tokenizer.from_file(str(version_folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(LONGEST_TEXT_TOKENS)
        self.tokenizer.enable_padding()
        self.encoder = onnxruntime.InferenceSession(
            str(version_folder / "encoder.onnx"), providers=["CPUExecutionProvider"]
        )

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Embed the texts of all requests in one run; a request with bad text fails alone."""
        texts_per_request = [_texts(request) for request in requests]
        good = [texts for texts in texts_per_request if not isinstance(texts, pb_utils.TritonError)]
        vectors = self.embed([text for texts in good for text in texts])
        ends = np.cumsum([len(texts) for texts in good])
        per_request = iter(np.split(vectors, ends.tolist()))
        return [
            pb_utils.InferenceResponse(error=texts)
            if isinstance(texts, pb_utils.TritonError)
            else pb_utils.InferenceResponse([pb_utils.Tensor("EMBEDDING", next(per_request))])
            for texts in texts_per_request
        ]

    def embed(self, texts: list[str]) -> Floats:
        """Vectors of length 1, FP32 [len(texts), 384]."""
        if not texts:
            return np.empty((0, 384), np.float32)
        tokens = self.tokenizer.encode_batch(texts)
        mask = np.array([encoding.attention_mask for encoding in tokens], np.int64)
        inputs = {
            "input_ids": np.array([encoding.ids for encoding in tokens], np.int64),
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(mask),
        }
        (token_vectors,) = self.encoder.run(["last_hidden_state"], inputs)
        weights = mask[:, :, None].astype(np.float32)
        means = (token_vectors * weights).sum(axis=1) / weights.sum(axis=1)
        embeddings: Floats = means / np.linalg.norm(means, axis=1, keepdims=True)
        return embeddings


def _texts(request: pb_utils.InferenceRequest) -> list[str] | pb_utils.TritonError:
    elements = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy()
    try:
        return [element.decode("utf-8") for element in elements.ravel()]
    except UnicodeDecodeError as error:
        return pb_utils.TritonError(f"TEXT has to be UTF-8: {error}", pb_utils.TritonError.INVALID_ARG)
