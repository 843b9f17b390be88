"""scripts/prepare-docker: changes nothing without permission, and prints the next step."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare-docker"
CHANGING = ("apt-get", "dockerd", "systemctl", "setsid", "go")


class Machine:
    """A PATH with fakes of some programs that record their calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        self.calls.touch()
        for name in CHANGING:
            self.program(name, "exit 1")

    def program(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>"{self.calls}"\n{body}\n')
        path.chmod(0o755)

    def run(self, *argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.folder}:{os.environ['PATH']}"
        return subprocess.run(
            [str(SCRIPT), *argv],
            env={**os.environ, "PATH": path, **variables},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @property
    def changed(self) -> list[str]:
        """The calls of programs that change a machine."""
        calls = self.calls.read_text().splitlines()
        return [call for call in calls if call.split()[0] in CHANGING]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_is_done_if_docker_answers(machine: Machine) -> None:
    machine.program("docker", "echo 28.0")
    machine.program("mmdebstrap", "exit 0")
    done = machine.run()
    assert done.returncode == 0
    assert machine.changed == []


@pytest.mark.parametrize(
    ("argv", "variables"), [(["--no-install"], {}), ([], {"DEVSTACK_NO_INSTALL": "1"})]
)
def test_no_install_changes_nothing(
    machine: Machine, argv: list[str], variables: dict[str, str]
) -> None:
    machine.program("docker", "exit 1")
    done = machine.run(*argv, **variables)
    assert done.returncode == 3
    assert "disallowed" in done.stderr
    assert "next:" in done.stderr
    assert machine.changed == []


def test_elsewhere_the_step_is_named(machine: Machine) -> None:
    machine.program("docker", "exit 1")
    machine.program("uname", "echo Darwin")
    done = machine.run()
    assert done.returncode == 3
    assert "Docker Desktop" in done.stderr
    assert machine.changed == []


def test_without_root_the_error_requires_root(machine: Machine) -> None:
    machine.program("docker", "exit 1")
    machine.program("id", "[[ $1 == -u ]] && echo 1000 || echo ada")
    machine.program("uname", "echo Linux")
    done = machine.run()
    assert done.returncode == 3
    assert "next:" in done.stderr
    assert machine.changed == []
