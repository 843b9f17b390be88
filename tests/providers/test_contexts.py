"""An engine that only a context names: commands, the API and kind use it and nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from devstack.docker.context import current_host
from devstack.errors import ExitStatus
from tests.support.commandline import Devstack
from tests.support.refusal import refused

_MOVE = 'mount --bind "$1" "$2" && mount --bind /dev/null "$1" && shift 2 && exec "$@"'

DISTURBING = {
    "KIND_EXPERIMENTAL_PROVIDER": "nerdctl",
    "DOCKER_DEFAULT_PLATFORM": "linux/s390x",
    "DOCKER_CONTENT_TRUST": "1",
    "PIP_USER": "1",
    "CDPATH": ".:/",
}
"""Variables of a user's profile that are for other purposes."""


class _Moved(Devstack):
    """devstack on a machine whose engine has its socket elsewhere, and nothing at its usual place.

    Args:
        stack: the stack.
        folder: where the socket is, and a configuration whose context names it.
    """

    def __init__(self, stack: Devstack, folder: Path) -> None:
        environment = {
            "HOME": stack.environment["HOME"],
            "DOCKER_CONFIG": str(folder / "config"),
            "DOCKER_HOST": "",
            **DISTURBING,
        }
        super().__init__(stack.name, stack.home, environment)
        self.socket = os.path.realpath(current_host().removeprefix("unix://"))
        self.moved = folder / "docker.sock"
        if os.geteuid() == 0:
            self.moved.touch()
        else:
            self.moved.symlink_to(self.socket)
        host = f"host=unix://{self.moved}"
        self.docker("context", "create", "elsewhere", "--docker", host)
        self.docker("context", "use", "elsewhere")

    def docker(self, *argv: str) -> None:
        """Run Docker's client with the configuration."""
        subprocess.run(["docker", *argv], env=self.environment, check=True, capture_output=True)

    def command(self, *argv: str) -> list[str]:
        command = super().command(*argv)
        if os.geteuid() != 0:
            return command
        return [
            "unshare",
            "--mount",
            "sh",
            "-c",
            _MOVE,
            "sh",
            self.socket,
            str(self.moved),
            *command,
        ]


def test_a_stack_runs_in_the_engine_of_the_current_context(fresh: Devstack, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    stack = _Moved(fresh, tmp_path / "elsewhere")
    with stack.brought_up():
        assert stack.samples("hello")["hello"]["ok"]
        assert stack.json("status")["data"]["state"] == "up"
    assert not stack.directory.exists()


@pytest.mark.parametrize("host", ["ssh://me@build.invalid", "tcp://192.0.2.7:2376"])
def test_an_engine_of_another_machine_is_rejected_before_anything_is_created(
    fresh: Devstack, host: str
) -> None:
    remote = Devstack(fresh.name, fresh.home, {"DOCKER_HOST": host})
    refusal = refused(remote, "up", code="ENGINE_REMOTE", status=ExitStatus.ENVIRONMENT)
    assert host in refusal.cause
    assert not fresh.directory.exists()
