"""The folders of devstack: XDG base directories, private to the user.

``DEVSTACK_HOME`` moves all of them below one folder, for tests and CI.
"""

from __future__ import annotations

import os
from pathlib import Path

APP = "devstack"
"""The name of the folder below each XDG base directory."""


_KINDS = ("STATE", "CACHE", "CONFIG")


def _base(kind: str, variable: str, fallback: str) -> Path:
    home = os.environ.get("DEVSTACK_HOME")
    if home:
        return Path(home) / kind
    configured = os.environ.get(variable)
    base = Path(configured) if configured else Path.home() / fallback
    return base / APP


def state_home() -> Path:
    """Return the folder with one directory per stack."""
    return _base("state", "XDG_STATE_HOME", ".local/state")


def cache_home() -> Path:
    """Return the folder of built images and compiled programs; safe to delete.

    ``DEVSTACK_CACHE`` selects another one, so that test runs with their own
    ``DEVSTACK_HOME`` can share it.
    """
    override = os.environ.get("DEVSTACK_CACHE")
    return Path(override) if override else _base("cache", "XDG_CACHE_HOME", ".cache")


def config_home() -> Path:
    """Return the folder of the user's settings for all stacks."""
    return _base("config", "XDG_CONFIG_HOME", ".config")


def absolute_folders() -> dict[str, str]:
    """Return the variables above as a process with another current folder needs them."""
    names = ("DEVSTACK_HOME", "DEVSTACK_CACHE", *(f"XDG_{kind}_HOME" for kind in _KINDS))
    given = {name: os.environ.get(name) for name in names}
    return {name: str(Path(path).absolute()) for name, path in given.items() if path}


def private_folder(path: Path) -> Path:
    """Create ``path`` with mode 0700 regardless of the umask, and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def project_file(*parts: str) -> Path:
    """Return a file that is distributed with the package, such as ``k8s/minio``.

    It is relative to the repository in a checkout, and to ``_data`` in the package
    of an installed wheel.
    """
    inside = Path(__file__).parent / "_data"
    root = inside if inside.exists() else Path(__file__).parent.parent
    return root.joinpath(*parts)


def document(name: str) -> str:
    """Return the path of a document, for messages; an installed package has it, too."""
    return str(project_file("docs", name).absolute())


def prepare_docker() -> str:
    """Return the command that installs and starts Docker on a Debian-family machine, for messages.

    Users of a clone type the short path; an installed package has the script, too.
    """
    script = project_file("scripts", "prepare-docker")
    return str(script) if (Path(__file__).parent / "_data").exists() else "./scripts/prepare-docker"
