"""A stack that is not up, with a home folder for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commandline import DATABASE_SERVICES, Devstack


@pytest.fixture
def user_home(tmp_path: Path) -> Path:
    """A home folder with a user's own kubeconfig, Metaflow and AWS files in it."""
    home = tmp_path / "user"
    for name in (".kube/config", ".metaflowconfig/config.json", ".aws/credentials", ".aws/config"):
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    (home / ".kube" / "config").write_text("apiVersion: v1\nkind: Config\n")
    (home / ".metaflowconfig" / "config.json").write_text("{}\n")
    return home


@pytest.fixture
def fresh(tmp_path: Path, user_home: Path) -> Iterator[Devstack]:
    """A stack that was never brought up; what is left of it is removed afterwards."""
    stack = Devstack("fresh", tmp_path / "home", {"HOME": str(user_home)})
    stack.leave_out(*DATABASE_SERVICES)
    stack.remove_leftovers()
    yield stack
    stack.run("down")
