"""Loads, but has no execute method."""


class TritonPythonModel:
    pass
