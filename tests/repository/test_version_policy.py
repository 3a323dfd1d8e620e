from __future__ import annotations

import logging

import pytest

from tests.repository.configs import python_config
from tritonpy.repository.version_policy import choose_versions


@pytest.mark.parametrize(
    ("policy", "available", "chosen"),
    [
        ("", [1, 3, 2], [3]),
        ("latest { num_versions: 1 }", [9, 10], [10]),
        ("latest { num_versions: 2 }", [10, 9, 1], [9, 10]),
        ("latest { num_versions: 5 }", [2, 1], [1, 2]),
        ("latest {}", [1, 2], []),
        ("all {}", [3, 1, 0], [0, 1, 3]),
        ("specific { versions: [ 3, 1 ] }", [1, 2, 3], [1, 3]),
        ("specific { versions: [ 7 ] }", [1], []),
        ("specific {}", [1], []),
        ("all {}", [], []),
        ("", [], []),
    ],
)
def test_the_versions_that_a_policy_chooses(policy: str, available: list[int], chosen: list[int]) -> None:
    assert choose_versions(python_config(f"version_policy {{ {policy} }}"), available) == chosen


def test_a_version_that_is_named_and_missing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    config = python_config("version_policy { specific { versions: [ 1, 4 ] } }")
    with caplog.at_level(logging.ERROR):
        assert choose_versions(config, [1]) == [1]
    assert caplog.messages == ["model 'm' has no version 4, which its version policy names"]
