"""Builds one model into the repository, and knows when there is nothing to do.

The record file `.built.json` at the top of the repository says for each model what it was made from and which
files came out. It is a hidden file and no folder, so no server takes it for a model.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from builder.packages import PackageCache
from builder.recipes import Recipe

EXAMPLES = Path(__file__).resolve().parents[1]
RECORD_FILE = ".built.json"


class Record(TypedDict):
    """What is remembered of one finished model."""

    made_from: str
    files: list[str]


@dataclass(frozen=True, slots=True)
class Repository:
    """A model repository under construction, with the folder for the sample inputs of the clients."""

    folder: Path
    samples: Path
    packages: PackageCache

    def is_current(self, recipe: Recipe) -> bool:
        """Whether the model was made by this very recipe and all its files are still there."""
        record = self._records().get(recipe.name)
        if record is None or record["made_from"] != _fingerprint(recipe):
            return False
        model_files = (self.folder / recipe.name / name for name in record["files"])
        samples = (self.samples / name for name in (*recipe.samples, *recipe.made_samples))
        return all(path.is_file() for path in (*model_files, *samples))

    def build(self, recipe: Recipe) -> int:
        """Make the model's folder anew and return its size in bytes. Raises BuildError."""
        model = self.folder / recipe.name
        self._record(recipe, None)
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(_sources(recipe), model, ignore=shutil.ignore_patterns("__pycache__"))
        (model / "1").mkdir(exist_ok=True)
        self.samples.mkdir(parents=True, exist_ok=True)
        for folder, files in ((model, recipe.files), (self.samples, recipe.samples)):
            for target, source in files.items():
                shutil.copyfile(self.packages.find(source), folder / target)
        if recipe.step is not None:
            recipe.step(self.packages, model, self.samples)
        files_made = _files(model)
        names = [path.relative_to(model).as_posix() for path in files_made]
        self._record(recipe, Record(made_from=_fingerprint(recipe), files=names))
        return sum(path.stat().st_size for path in files_made)

    def _records(self) -> dict[str, Record]:
        path = self.folder / RECORD_FILE
        records: dict[str, Record] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        return records

    def _record(self, recipe: Recipe, record: Record | None) -> None:
        """Remember a finished model; None forgets it, so that a build cut short is made again."""
        records = self._records()
        records.pop(recipe.name, None)
        if record is not None:
            records[recipe.name] = record
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / RECORD_FILE).write_text(json.dumps(records, indent=1, sort_keys=True), "utf-8")


def _sources(recipe: Recipe) -> Path:
    return EXAMPLES / "models" / recipe.name


def _files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if "__pycache__" not in path.parts]


def _fingerprint(recipe: Recipe) -> str:
    """Changes with every edit of the builder (pins included) or of the model's own files."""
    digest = hashlib.sha256()
    for path in (*_files(EXAMPLES / "builder"), *_files(_sources(recipe))):
        digest.update(path.relative_to(EXAMPLES).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
