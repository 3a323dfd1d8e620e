"""The NumPy steps around the OCR networks, on inputs small enough to check by eye."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import ocr_support
import pytest
from PIL import Image


def probability_map(rows: str) -> npt.NDArray[np.float32]:
    """'#' is text. Every character stands for a square of 10 x 10 pixels."""
    small = np.array([[mark == "#" for mark in row.strip()] for row in rows.split()], np.float32)
    return np.kron(small, np.ones((10, 10), np.float32))


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ("....", 0),
        ("#.#.", 2),
        ("#.# ###", 1),  # a U shape: two runs that meet one row later
        ("###.#.. #...#.. ###.###", 2),
        (".#. #.#", 1),  # touching at the corners only
    ],
)
def test_counts_connected_areas(rows: str, count: int) -> None:
    assert len(ocr_support.text_boxes(probability_map(rows))) == count


def test_box_surrounds_the_area_and_grows_within_the_image() -> None:
    (box,) = ocr_support.text_boxes(probability_map("....... .####.. ......."))
    # Area 40 x 10, so it grows by 400 * 1.6 / 100 = 6.4 pixels on each side.
    assert box == (4, 4, 56, 26)
    (box,) = ocr_support.text_boxes(probability_map("####"))
    assert box == (0, 0, 40, 10)


def test_boxes_are_in_reading_order() -> None:
    boxes = ocr_support.text_boxes(probability_map("##...## ....... ##....."))
    assert [(left < 30, top < 15) for left, top, _, _ in boxes] == [(True, True), (False, True), (True, False)]


def test_specks_are_left_out() -> None:
    speck = np.zeros((32, 32), np.float32)
    speck[5:7, 5:7] = 1
    assert ocr_support.text_boxes(speck) == []


def test_decodes_repeats_blanks_and_spaces() -> None:
    classes = [0, 1, 1, 0, 1, 3, 3, 2, 0]  # blank a a blank a space space b blank
    probabilities = np.eye(4, dtype=np.float32)[classes] * np.float32(0.5)
    assert ocr_support.decode_line(probabilities, ["a", "b"]) == ("aa b", 0.5)


def test_decodes_a_line_without_text() -> None:
    assert ocr_support.decode_line(np.eye(4, dtype=np.float32)[[0, 0]], ["a", "b"]) == ("", 0.0)


def test_network_input_is_bgr_from_minus_one_to_one() -> None:
    pixels = ocr_support.to_network_input(Image.new("RGB", (2, 3), (255, 0, 51)))
    assert pixels.shape == (1, 3, 3, 2)
    np.testing.assert_allclose(pixels[0, :, 0, 0], [-0.6, -1, 1], atol=1e-6)


def test_scales_to_multiples_of_32() -> None:
    assert ocr_support.scale_for_detection(Image.new("L", (384, 191))).size == (960, 480)
    assert ocr_support.scale_for_detection(Image.new("L", (1000, 10))).size == (960, 32)


def test_line_is_cropped_to_the_height_of_the_network() -> None:
    line = ocr_support.crop_line(Image.new("RGB", (300, 100)), (10, 10, 210, 34))
    assert line.size == (400, 48)
