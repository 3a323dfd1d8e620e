"""How an exception of a model is told: type, message, and where in the model's code, without the server's paths.

The layout is that of Triton's Python backend, which tools and users match on:

    ValueError: boom

    At:
      my_model/1/model.py(13): execute
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

_OWN_CODE = str(Path(__file__).parents[1])


def exception_text(error: BaseException, model_directory: Path) -> str:
    """`Type: message` and the frames, innermost first, without those of the server itself."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OWN_CODE, "<frozen"))
    ]
    lines = "".join(
        f"  {shown_path(frame.filename, model_directory)}({frame.lineno}): {frame.name}\n" for frame in reversed(frames)
    )
    head = f"{type(error).__name__}: {error}"
    return f"{head}\n\nAt:\n{lines}" if lines else head


def shown_path(filename: str, model_directory: Path) -> str:
    """A source file as clients may see it: from the model's folder on, or as imported."""
    roots = [str(model_directory.parent), *sorted((path for path in sys.path if path), key=len, reverse=True)]
    for root in roots:
        prefix = root.rstrip("/") + "/"
        if filename.startswith(prefix):
            return filename[len(prefix) :]
    return Path(filename).name
