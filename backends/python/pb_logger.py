"""`pb_utils.Logger`: a model's lines in the server's log."""

from __future__ import annotations

import enum
import logging

_logger = logging.getLogger("model")
_VERBOSE = logging.DEBUG


class LogLevel(enum.Enum):
    INFO = logging.INFO
    WARNING = logging.WARNING
    ERROR = logging.ERROR
    VERBOSE = _VERBOSE


class Logger:
    """Static functions, as models call them; the line shows the caller's file and line number."""

    INFO = LogLevel.INFO
    WARNING = LogLevel.WARNING
    ERROR = LogLevel.ERROR
    VERBOSE = LogLevel.VERBOSE

    @staticmethod
    def log(message: str, level: LogLevel = LogLevel.INFO) -> None:
        _log(message, level)

    @staticmethod
    def log_info(message: str) -> None:
        _log(message, LogLevel.INFO)

    @staticmethod
    def log_warn(message: str) -> None:
        _log(message, LogLevel.WARNING)

    @staticmethod
    def log_error(message: str) -> None:
        _log(message, LogLevel.ERROR)

    @staticmethod
    def log_verbose(message: str) -> None:
        _log(message, LogLevel.VERBOSE)


def _log(message: str, level: LogLevel) -> None:
    if not isinstance(message, str):
        raise TypeError(f"a log message must be a str, got {type(message).__name__}")
    _logger.log(level.value, "%s", message, stacklevel=3)
