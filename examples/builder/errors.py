"""The one error of the builder: something a person has to put right before a model can be built."""

from __future__ import annotations


class BuildError(Exception):
    """The message says which model or package failed, why, and what to do."""
