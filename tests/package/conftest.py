"""The package as a user gets it: built from this clone, on a machine that has no clone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from devstack.paths import cache_home, project_file

PROGRAMS = Path(sys.executable).parent
"""Where the locked pipx and uv are."""


@dataclass(frozen=True)
class Account:
    """A user with an empty HOME, in a folder outside of any clone.

    Attributes:
        home: HOME.
        folder: the working directory.
        environment: the user's variables; of devstack's, only the cache of images is shared.
    """

    home: Path
    folder: Path
    environment: dict[str, str]

    def run(
        self, *argv: str, check: bool = True, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; with ``check``, fail if it fails."""
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        shown = f"{' '.join(argv)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert not check or done.returncode == 0, shown[-8000:]
        return done

    def files(self) -> set[str]:
        """Return the files below HOME, relative to it."""
        return {
            path.relative_to(self.home).as_posix()
            for path in self.home.rglob("*")
            if path.is_symlink() or not path.is_dir()
        }


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and checked as `scripts/check` does."""
    folder = tmp_path_factory.mktemp("dist")
    script = project_file("scripts", "check-package")
    argv = [sys.executable, str(script), "--keep", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what uv downloads, which the tests share."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture
def account(tmp_path: Path, downloads: Path) -> Account:
    """A user who has installed nothing yet."""
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    # The settings of pip, uv, proxies and certificates are the machine's, not the user's.
    kept = {
        name: text
        for name, text in os.environ.items()
        if name.startswith(("PIP_", "UV_", "SSL_", "DOCKER_HOST"))
        or name.lower().endswith("_proxy")
    }
    outside = [each for each in os.environ["PATH"].split(os.pathsep) if Path(each) != PROGRAMS]
    environment = {
        **kept,
        "HOME": str(home),
        "PATH": os.pathsep.join([str(home / ".local" / "bin"), *outside]),
        "LANG": "C.UTF-8",
        "UV_CACHE_DIR": str(downloads),
        # Which engine is used is a setting of the machine, too.
        "DOCKER_CONFIG": os.environ.get("DOCKER_CONFIG") or str(Path.home() / ".docker"),
        # This clone's programs are images already, and must not be built again.
        "DEVSTACK_CACHE": str(cache_home().absolute()),
    }
    return Account(home, folder, environment)
