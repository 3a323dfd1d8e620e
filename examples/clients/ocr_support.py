"""The plain NumPy steps of text reading around the two OCR networks: prepare, find boxes, crop, decode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are exclusive

LONG_SIDE_PIXELS = 960
LINE_HEIGHT_PIXELS = 48  # fixed by the recognition network
TEXT_PROBABILITY = 0.3
UNCLIP_RATIO = 1.6  # the detection network is trained on shrunk text areas, so boxes have to grow again
SMALLEST_BOX_PIXELS = 4


def scale_for_detection(image: Image.Image) -> Image.Image:
    """Scale to a long side of about 960 pixels, both sides multiples of 32 as the detection network needs."""
    scale = LONG_SIDE_PIXELS / max(image.size)
    width, height = (max(32, round(side * scale / 32) * 32) for side in image.size)
    return image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)


def to_network_input(image: Image.Image) -> Floats:
    """RGB image to FP32 [1, 3, height, width], channels in BGR order, values from -1 to 1."""
    pixels = np.asarray(image.convert("RGB"), np.float32)[:, :, ::-1]
    return np.ascontiguousarray((pixels / 127.5 - 1).transpose(2, 0, 1)[None])


def text_boxes(probability: Floats) -> list[Box]:
    """Boxes around the connected text areas of a probability map [height, width], in reading order."""
    boxes = [_unclip(box, probability.shape) for box in _areas(probability > TEXT_PROBABILITY)]
    return sorted(boxes, key=lambda box: (box[1] + box[3], box[0]))


def crop_line(image: Image.Image, box: Box) -> Image.Image:
    """Cut one text line out of the image and scale it to the height of the recognition network."""
    line = image.crop(box)
    width = max(LINE_HEIGHT_PIXELS, round(line.width * LINE_HEIGHT_PIXELS / line.height))
    return line.resize((width, LINE_HEIGHT_PIXELS), Image.Resampling.BICUBIC)


def decode_line(probabilities: Floats, characters: list[str]) -> tuple[str, float]:
    """Greedy CTC decode of [steps, classes]: the text and the mean probability of its characters.

    Class 0 is the blank, then come the characters; the last class is the space.
    """
    alphabet = ["", *characters, " "]
    classes = probabilities.argmax(axis=1)
    is_new = np.diff(classes, prepend=0) != 0
    kept = is_new & (classes != 0)
    text = "".join(alphabet[index] for index in classes[kept])
    return text, float(probabilities.max(axis=1)[kept].mean()) if kept.any() else 0.0


def _areas(mask: npt.NDArray[np.bool_]) -> list[Box]:
    """Bounding boxes of the 8-connected areas of a mask: runs of True are joined with the row above."""
    runs: list[Box] = []
    parents: list[int] = []  # a run's parent is a later run of the same area; the last one is its own
    above: range = range(0)
    for row, pixels in enumerate(mask):
        first = len(runs)
        for left, right in _runs(pixels):
            parents.append(len(runs))
            for other in above:
                if runs[other][0] <= right and left <= runs[other][2]:
                    parents[_last(parents, other)] = len(runs)
            runs.append((left, row, right, row + 1))
        above = range(first, len(runs))
    areas: dict[int, list[Box]] = {}
    for index, run in enumerate(runs):
        areas.setdefault(_last(parents, index), []).append(run)
    boxes = map(_hull, areas.values())
    return [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) >= SMALLEST_BOX_PIXELS]


def _last(parents: list[int], index: int) -> int:
    while parents[index] != index:
        index = parents[index]
    return index


def _runs(pixels: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Start and (exclusive) stop of every run of True."""
    edges = np.flatnonzero(np.diff(pixels, prepend=False, append=False))
    return zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True)


def _hull(boxes: list[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _unclip(box: Box, shape: tuple[int, ...]) -> Box:
    """Grow a box by area * ratio / perimeter on each side, within the image."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    grow = round(width * height * UNCLIP_RATIO / (2 * (width + height)))
    return max(0, left - grow), max(0, top - grow), min(shape[1], right + grow), min(shape[0], bottom + grow)
