"""The server's log, in Triton's line format: `I1121 03:06:17.463841 13593 module.py:25] "message"`."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

from tritonpy.server.options import LogOptions

_LETTERS = {logging.DEBUG: "V", logging.INFO: "I", logging.WARNING: "W", logging.ERROR: "E", logging.CRITICAL: "E"}


class TritonFormatter(logging.Formatter):
    """Level letter, local date and time with microseconds, process id, file and line, the message as a string."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created)
        head = f"{_LETTERS.get(record.levelno, 'I')}{moment:%m%d %H:%M:%S.%f} {record.process} "
        line = f"{head}{record.filename}:{record.lineno}] {json.dumps(record.getMessage(), ensure_ascii=False)}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


class LevelSwitches(logging.Filter):
    """Lets through the levels that the options switch on."""

    def __init__(self, options: LogOptions) -> None:
        super().__init__()
        self._options = options

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            return self._options.error
        if record.levelno >= logging.WARNING:
            return self._options.warning
        if record.levelno >= logging.INFO:
            return self._options.info
        return self._options.verbose_level > 0


def configure(options: LogOptions) -> None:
    """Send the log where the options say. Raises OSError if the log file cannot be opened."""
    handler = logging.FileHandler(options.file) if options.file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(TritonFormatter())
    handler.addFilter(LevelSwitches(options))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if options.verbose_level else logging.INFO)
    # Frameworks' own debug lines would drown the server's.
    for name in ("asyncio", "grpc", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
