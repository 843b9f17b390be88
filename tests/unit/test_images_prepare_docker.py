"""scripts/prepare-docker: changes nothing without permission, and prints the next step."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEM_PROGRAMS = ("awk", "basename", "dirname", "grep", "head", "readlink", "sleep", "timeout")

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare-docker"
CHANGING = ("apt-get", "dockerd", "systemctl", "setsid", "go")
STOPPED = "[[ $1 == version ]] && exit 1; [[ $2 == show ]] && echo default; exit 0"
"""A Docker client whose only context does not respond."""

ENGINES = ("docker", "podman", "colima", "rancher-desktop", "docker.exe")


class Machine:
    """A PATH with fakes of some programs that record their calls, and no engine's program."""

    def __init__(self, folder: Path) -> None:
        self.script = SCRIPT
        self.folder = folder / "programs"
        self.folder.mkdir()
        self.calls = folder / "calls"
        self.calls.touch()
        self.system("Linux", "debian")
        for name in SYSTEM_PROGRAMS:
            (self.folder / name).symlink_to(str(shutil.which(name)))
        for name in CHANGING:
            self.program(name, "exit 1")
        self.program("id", "[[ $1 == -u ]] && echo 0 || echo root")

    def program(self, name: str, body: str) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>"{self.calls}"\n{body}\n')
        path.chmod(0o755)

    def system(self, kernel: str, distribution: str = "", release: str = "6.1.0") -> None:
        """Let the machine be another one."""
        uname = f"[[ $1 == -r ]] && echo {release} || echo {kernel}"
        self.program("uname", uname)
        ids = f'NAME=X\\nID={distribution.partition(" ")[0]}\\nID_LIKE="{distribution}"\\n'
        self.program("cat", f"printf '{ids}'".replace('\\"', '"'))

    def user(self) -> None:
        """Let the caller not be root."""
        self.program("id", "[[ $1 == -u ]] && echo 1000 || echo ada")

    def run(self, *argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
        return subprocess.run(
            ["/bin/bash", str(self.script), *argv],
            env={**kept, "PATH": str(self.folder), **variables},
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


def step(done: subprocess.CompletedProcess[str]) -> str:
    """Return the step that a refusal names."""
    assert done.returncode == 3
    (line,) = [line for line in done.stderr.splitlines() if "next: " in line]
    return line.partition("next: ")[2]


@pytest.mark.parametrize(
    ("kernel", "distribution", "expected"),
    [
        ("Darwin", "", "brew install colima docker && colima start"),
        ("Linux", "fedora", "sudo dnf install moby-engine"),
        ("Linux", "rocky rhel centos fedora", "sudo dnf install podman"),
        ("Linux", "arch", "sudo pacman -S docker"),
        ("Linux", "manjaro arch", "sudo pacman -S docker"),
        ("Linux", "alpine", "sudo apk add bash docker"),
        ("Linux", "opensuse-leap suse opensuse", "sudo zypper install docker"),
        ("Linux", "nixos", "virtualisation.docker.enable"),
        ("Linux", "gentoo", "install Docker from your distribution"),
        ("MINGW64_NT", "", "WSL2"),
    ],
)
def test_on_other_systems_the_exact_step_is_named(
    machine: Machine, kernel: str, distribution: str, expected: str
) -> None:
    machine.system(kernel, distribution)
    assert expected in step(machine.run())
    assert machine.changed == []


def test_without_root_the_error_requires_root(machine: Machine) -> None:
    machine.user()
    assert step(machine.run()).startswith("sudo ")
    assert machine.changed == []


def test_docker_is_announced_and_installed_if_there_is_no_engine(machine: Machine) -> None:
    machine.program("dpkg-query", "exit 1")
    done = machine.run()
    assert "installing what is missing of docker.io" in done.stderr
    assert "--no-install" in done.stderr
    assert machine.changed == ["apt-get -qq update"]


def test_beside_another_engine_only_build_tools_are_installed(machine: Machine) -> None:
    machine.program("docker", "echo 29.4.3")
    machine.program("dpkg-query", "exit 1")
    machine.program("apt-get", "exit 0")
    assert machine.run().returncode == 0
    (install,) = [call for call in machine.changed if " install " in call]
    assert "mmdebstrap" in install
    assert "docker.io" not in install


def test_an_engine_of_docker_host_is_respected(machine: Machine) -> None:
    machine.program("docker", STOPPED)
    done = machine.run(DOCKER_HOST="unix:///x.sock")
    assert "unset DOCKER_HOST" in step(done)
    assert "unix:///x.sock" in done.stderr
    assert machine.changed == []


def test_an_engine_of_another_context_is_named(machine: Machine) -> None:
    contexts = "printf 'default unix:///a\\nfar ssh://me@far\\ncolima unix:///c\\n'"
    machine.program(
        "docker",
        f'case "$*" in version*) [[ $DOCKER_CONTEXT == colima ]] ;; *ls*) {contexts} ;; esac',
    )
    assert "docker context use colima" in step(machine.run())
    assert machine.changed == []


def test_a_chosen_context_is_not_replaced(machine: Machine) -> None:
    machine.program("docker", STOPPED)
    assert "unset DOCKER_CONTEXT" in step(machine.run(DOCKER_CONTEXT="colima"))
    machine.program("docker", STOPPED.replace("echo default", "echo colima"))
    assert "docker context use default" in step(machine.run())
    assert machine.changed == []


@pytest.mark.parametrize(
    ("program", "expected"), [("colima", "colima start"), ("rancher-desktop", "rancher-desktop")]
)
def test_an_engine_that_is_installed_but_stopped_is_to_be_started(
    machine: Machine, program: str, expected: str
) -> None:
    machine.program("docker", STOPPED)
    machine.program(program, "exit 1")
    assert expected in step(machine.run())
    assert machine.changed == []


def test_on_wsl_the_integration_of_docker_desktop_is_named(machine: Machine) -> None:
    machine.system("Linux", "ubuntu debian", "6.6.87.2-microsoft-standard-WSL2")
    machine.program("docker.exe", "exit 1")
    assert "WSL integration" in step(machine.run())
    assert machine.changed == []


def test_podman_without_docker_is_respected(machine: Machine) -> None:
    machine.program("podman", "exit 0")
    machine.program("mmdebstrap", "exit 0")
    done = machine.run()
    assert done.returncode == 0
    assert "Podman responds" in done.stderr
    assert machine.changed == []
    machine.program("docker", 'exec /usr/bin/podman "$@"')
    machine.program("podman", "exit 0")
    # Its Docker client is Podman's.
    done = machine.run()
    assert done.returncode == 0
    assert machine.changed == []


@pytest.fixture
def socket(machine: Machine) -> Path:
    """Where Docker's socket would be on the machine."""
    path = machine.folder.parent / "docker.sock"
    script = machine.folder.parent / "prepare-docker"
    script.write_text(SCRIPT.read_text().replace("/var/run/docker.sock", str(path)))
    machine.script = script
    machine.program("mmdebstrap", "exit 0")
    machine.program("docker", STOPPED)
    machine.program("podman", "exit 0")
    return path


@pytest.mark.parametrize("root", [True, False])
def test_podman_is_the_engine_if_docker_cannot_listen(
    machine: Machine, socket: Path, root: bool
) -> None:
    """`choose_engine` decides alike; Podman needs no socket."""
    if not root:
        machine.user()
    assert machine.run().returncode == 0
    (socket.parent / "podman.sock").touch()
    socket.symlink_to("podman.sock")
    assert machine.run().returncode == 0
    assert machine.changed == []


def test_a_docker_that_may_listen_or_was_selected_is_the_engine(
    machine: Machine, socket: Path
) -> None:
    assert "unset DOCKER_HOST" in step(machine.run(DOCKER_HOST="unix:///x.sock"))
    assert "unset DOCKER_CONTEXT" in step(
        machine.run(DOCKER_CONTEXT="colima"),
    )
    socket.touch()
    assert "installing what is missing of docker.io" in machine.run().stderr


def test_a_podman_that_does_not_work_is_no_engine(machine: Machine) -> None:
    machine.program("podman", "exit 125")
    machine.program("dpkg-query", "exit 1")
    assert machine.run().returncode == 3
    assert machine.changed == ["apt-get -qq update"]
