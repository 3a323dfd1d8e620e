"""The texts of failed loads, as Triton words them: for clients, and for the index."""

from __future__ import annotations

from collections.abc import Mapping

from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError

AMBIGUOUS_REASON = "model appears in two or more repositories"
MISSING_REASON = "there is no folder of this name in the model repositories"
OTHER_VERSION_REASON = "another version of this load failed"


def reason(error: TritonpyError) -> str:
    """An error as the index tells it."""
    return f"{error.kind.phrase}: {error.message}"


def poll_failure(name: str) -> InternalError:
    """What clients get if a model is not there or its configuration is wrong; the reason is for the index and the
    log only."""
    return InternalError(f"failed to load '{name}', failed to poll from model repository")


def load_failure(name: str, reasons: str) -> InvalidArgumentError:
    """What clients get if a model was found, but cannot be loaded."""
    return InvalidArgumentError(f"load failed for model '{name}': {reasons}\n")


def versions_failure(name: str, reasons: Mapping[int, str]) -> InvalidArgumentError:
    """What clients get if versions of a model cannot be loaded, for these reasons."""
    told = (f"version {version} is at UNAVAILABLE state: {why};" for version, why in reasons.items())
    return load_failure(name, " ".join(told))


def check_name(name: str) -> None:
    """Raise InvalidArgumentError for a name that no model can have."""
    if not name.strip():
        raise InvalidArgumentError("Model name cannot be empty. Please enter a valid name to deploy.")
    if ".." in name or "/" in name:
        raise InvalidArgumentError(
            f"invalid model name '{name}', model name must not contain path traversal characters"
        )
