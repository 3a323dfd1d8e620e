"""What is known of the models: their versions, the states of these, and the questions that front ends ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tritonpy.backends.errors import NotFoundError, UnavailableError
from tritonpy.repository.load_errors import OTHER_VERSION_REASON
from tritonpy.repository.states import UNLOADED_REASON, IndexEntry, ModelState
from tritonpy.scheduler.served_model import ServedModel


@dataclass(slots=True)
class VersionRecord:
    """One version of a model: its state, why it is not ready, and the model while it can be asked."""

    state: ModelState
    reason: str = ""
    model: ServedModel | None = None

    @property
    def is_missing(self) -> bool:
        """Whether this version is neither ready nor unloaded on purpose."""
        return self.state is not ModelState.READY and self.reason != UNLOADED_REASON

    @property
    def has_failed(self) -> bool:
        """Whether the last load of this version failed."""
        return self.state is ModelState.UNAVAILABLE and self.is_missing


@dataclass(slots=True)
class ModelRecord:
    """All that is known of a model. `reason` says why no version of it could even be tried ("" otherwise)."""

    versions: dict[int, VersionRecord] = field(default_factory=dict)
    reason: str = ""

    def ready(self) -> dict[int, ServedModel]:
        """The versions that can be asked, ascending."""
        return {
            number: record.model
            for number, record in sorted(self.versions.items())
            if record.state is ModelState.READY and record.model is not None
        }

    @property
    def is_missing(self) -> bool:
        """Whether anything of this model that should be ready is not."""
        return bool(self.reason) or any(version.is_missing for version in self.versions.values())

    def note_failure(self, reason: str) -> None:
        """No version could be tried. A model that is served goes on being served, and the index goes on saying so."""
        if not self.ready():
            self.reason = reason

    def note_failed_versions(self, versions: Sequence[int], reasons: Mapping[int, str]) -> None:
        """A load of these versions failed, for the given reasons. Those that were ready before stay ready."""
        for version in versions:
            if version not in self.ready():
                reason = reasons.get(version, OTHER_VERSION_REASON)
                self.versions[version] = VersionRecord(ModelState.UNAVAILABLE, reason)

    def entries(self, name: str) -> list[IndexEntry]:
        """The rows of the index. A model whose configuration is wrong has one row with the reason, where Triton tells
        only its name."""
        if self.reason:
            return [IndexEntry(name, state=ModelState.UNAVAILABLE.value, reason=self.reason)]
        if not self.versions:
            return [IndexEntry(name)]
        return [
            IndexEntry(name, str(number), version.state.value, version.reason)
            for number, version in sorted(self.versions.items())
        ]


class ModelTable:
    """Every model that was found or loaded, by name."""

    def __init__(self, strict_readiness: bool) -> None:
        self._strict_readiness = strict_readiness
        self._models: dict[str, ModelRecord] = {}

    def find(self, name: str, version: int = -1) -> ServedModel:
        """The model version to ask, the highest ready one for -1; raises NotFoundError or UnavailableError."""
        record = self._known(name)
        if version < 0:
            ready = record.ready()
            if not ready:
                raise NotFoundError(f"Request for unknown model: '{name}' has no available versions")
            return ready[max(ready)]
        found = record.versions.get(version)
        if found is None:
            raise NotFoundError(f"Request for unknown model: '{name}' version {version} is not found")
        if found.model is None:
            raise UnavailableError(f"Request for unknown model: '{name}' version {version} is not at ready state")
        return found.model

    def _known(self, name: str) -> ModelRecord:
        """The record of a model that has or had versions; one whose configuration is wrong is as unknown to clients as
        one that is not there, as in Triton."""
        record = self._models.get(name)
        if record is None or not record.versions:
            raise NotFoundError(f"Request for unknown model: '{name}' is not found")
        return record

    def ready_versions(self, name: str) -> list[int]:
        """The versions of a model that can be asked, ascending."""
        record = self._models.get(name)
        return list(record.ready()) if record else []

    def is_ready(self, name: str, version: int = -1) -> bool:
        """Whether a model version can be asked, any of the model for -1; raises NotFoundError if there is no such
        model or version."""
        if version < 0:
            return bool(self._known(name).ready())
        try:
            self.find(name, version)
        except UnavailableError:
            return False
        return True

    def all_ready(self) -> bool:
        """Whether the server is ready: with strict readiness every model that was ever to be loaded is, except those
        unloaded on purpose."""
        return not (self._strict_readiness and self.failed_models())

    def failed_models(self) -> list[str]:
        """The models that should be ready and are not, for whatever reason."""
        return [name for name, record in sorted(self._models.items()) if record.is_missing]

    def served(self) -> list[ServedModel]:
        """Every model version that can be asked, by name and version."""
        return [model for _, record in sorted(self._models.items()) for model in record.ready().values()]

    def index(self, ready_only: bool = False) -> list[IndexEntry]:
        """Every known version with its state, by name and version."""
        entries = [entry for name, record in sorted(self._models.items()) for entry in record.entries(name)]
        return [entry for entry in entries if not ready_only or entry.state == ModelState.READY.value]
