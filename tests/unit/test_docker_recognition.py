"""Engines are recognized by what they say of themselves: recorded output of each product."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devstack.docker import recognition
from devstack.docker.folders import require_mountable
from devstack.docker.recognition import (
    CONTROLLERS,
    Product,
    engine_faults,
    is_plainly_local,
    missing_controllers,
    recognize,
    remote_fault,
    sees_the_same_files,
    snap_fault,
)
from devstack.errors import DevstackError
from devstack.process import Completed
from tests.fakes.runner import FakeRunner

DATA = Path(__file__).parent / "data" / "engines"

RECOGNIZED = {
    "docker-20.10": Product("Docker Engine", "20.10.24+dfsg1"),
    "docker-19.03": Product("Docker Engine", "19.03.5"),
    "podman-4.3": Product("Podman", "4.3.1"),
    "podman-root-v2": Product("Podman", "5.2.2"),
    "podman-rootless": Product("Podman", "5.2.2", rootless=True),
    "docker-desktop-mac": Product("Docker Desktop", "24.0.2", in_vm=True),
    "docker-desktop-wsl": Product("Docker Desktop", "29.4.3", in_vm=True, wsl=True),
    "colima": Product("Colima", "27.4.0", in_vm=True),
    "rancher-desktop-mac": Product("Rancher Desktop", "26.1.5", in_vm=True),
    "rancher-desktop-wsl": Product("Rancher Desktop", "29.5.3", in_vm=True, wsl=True),
    "orbstack": Product("OrbStack", "28.5.2", in_vm=True),
    "orbstack-0.7": Product("OrbStack", "20.10.24", in_vm=True),
    "rootless": Product("Docker Engine", "29.4.3", rootless=True),
    "snap": Product("Docker Engine", "28.4.0", snap=True),
    "wsl": Product("Docker Engine", "27.4.0", wsl=True),
    "windows-containers": Product("Docker Engine", "29.4.3"),
}
REJECTED = {
    "docker-19.03": "ENGINE_OLD",
    "podman-4.3": "ENGINE_IS_PODMAN",
    "podman-root-v2": "ENGINE_IS_PODMAN",
    "podman-rootless": "ENGINE_IS_PODMAN",
    "windows-containers": "ENGINE_UNSUITABLE",
}


def recorded(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


def test_every_recorded_engine_is_tested() -> None:
    assert {file.stem for file in DATA.glob("*.json")} == set(RECOGNIZED)


@pytest.mark.parametrize("name", RECOGNIZED)
def test_an_engine_is_recognized(name: str) -> None:
    found = recorded(name)
    assert found["source"]
    assert recognize(found["info"], found["version"]) == RECOGNIZED[name]


@pytest.mark.parametrize("name", RECOGNIZED)
def test_only_engines_that_cannot_run_nodes_are_rejected(name: str) -> None:
    found = recorded(name)
    faults = engine_faults(RECOGNIZED[name], found["info"], podman=False)
    assert [fault.code for fault in faults] == ([REJECTED[name]] if name in REJECTED else [])
    assert all(fault.remedy for fault in faults)
    assert remote_fault(found["host"]) is None


@pytest.mark.parametrize("name", ["podman-4.3", "podman-root-v2", "podman-rootless"])
def test_podman_is_accepted_as_podman(name: str) -> None:
    found = recorded(name)
    product = recognize(found["info"], found["version"])
    assert engine_faults(product, found["info"], podman=True) == []
    assert missing_controllers(product, found["info"]) == []
    # What its API says of CPUs is never used.
    api = {key: value for key, value in found["info"].items() if key != CONTROLLERS}
    assert missing_controllers(product, api) == []


def test_rootless_podman_needs_the_controllers_that_podman_itself_reports() -> None:
    info = {**recorded("podman-rootless")["info"], CONTROLLERS: ["memory", "pids"]}
    (fault,) = engine_faults(RECOGNIZED["podman-rootless"], info, podman=True)
    assert fault.code == "CGROUP_UNUSABLE"
    assert "controllers cpu" in fault.message


def test_an_old_podman_is_rejected() -> None:
    found = recorded("podman-4.3")
    product = RECOGNIZED["podman-4.3"]
    (fault,) = engine_faults(replace(product, version="3.4.4"), found["info"], podman=True)
    assert fault.code == "ENGINE_OLD"
    assert "Podman 3.4.4" in fault.message


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "23.0.6", "26.1.5-rd", "29.0.0", "dev"])
def test_versions_from_20_10_on_are_accepted(version: str) -> None:
    assert engine_faults(Product("Docker Engine", version), {}, podman=False) == []


def test_a_rootless_engine_needs_cgroup_v2_and_its_controllers() -> None:
    info = recorded("rootless")["info"]
    product = RECOGNIZED["rootless"]
    (first,) = engine_faults(product, {**info, "CgroupVersion": "1"}, podman=False)
    (second,) = engine_faults(product, {**info, "CPUShares": False}, podman=False)
    assert first.code == second.code == "CGROUP_UNUSABLE"
    assert "cgroup v2" in first.remedy
    assert "cpu" in second.message
    assert "Delegate=yes" in second.remedy


@pytest.mark.parametrize(
    "host",
    [
        "",
        "unix:///var/run/docker.sock",
        "npipe:////./pipe/docker_engine",
        "tcp://127.0.0.1:2375",
        "tcp://localhost:2375",
        "tcp://[::1]:2375",
        "127.0.0.1:2375",
    ],
)
def test_engines_of_this_machine_are_accepted(host: str) -> None:
    assert remote_fault(host) is None


@pytest.mark.parametrize(
    "host",
    [
        "ssh://me@build.corp",
        "ssh://localhost",
        "tcp://192.0.2.7:2376",
        "tcp://no-such-host.invalid:2376",
        "https://192.0.2.7:2376",
    ],
)
def test_engines_of_other_machines_are_rejected_with_the_reason(host: str) -> None:
    fault = remote_fault(host)
    assert fault is not None
    assert fault.code == "ENGINE_REMOTE"
    assert host in fault.message
    assert "ports" in fault.message
    assert "files" in fault.message


@pytest.mark.parametrize(
    ("folder", "accepted"),
    [
        ("/home/me/.local/state/devstack/x", False),
        ("/home/me/devstack/state/x", True),
        ("/srv/devstack", False),
    ],
)
def test_the_snap_cannot_mount_hidden_folders(folder: str, accepted: bool) -> None:
    fault = snap_fault(RECOGNIZED["snap"], Path(folder))
    assert (fault is None) is accepted
    assert snap_fault(RECOGNIZED["docker-20.10"], Path(folder)) is None
    if fault:
        assert folder in fault.message
        assert "DEVSTACK_HOME" in fault.remedy


def test_an_engine_with_this_machines_kernel_and_name_is_local() -> None:
    system = os.uname()
    info = {"KernelVersion": system.release, "Name": system.nodename}
    docker, unix = Product("Docker Engine", "29.0"), "unix:///x.sock"
    assert is_plainly_local(docker, info, unix)
    assert not is_plainly_local(docker, {**info, "Name": "outside"}, unix)
    assert not is_plainly_local(docker, {**info, "KernelVersion": "1"}, unix)
    assert not is_plainly_local(docker, info, "tcp://127.0.0.1:1")
    assert not is_plainly_local(RECOGNIZED["docker-desktop-wsl"], info, unix)
    assert not is_plainly_local(RECOGNIZED["snap"], info, unix)


def test_a_container_with_the_machines_network_has_its_name_but_not_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / ".dockerenv"
    monkeypatch.setattr(recognition, "_OF_CONTAINERS", (mark,))
    system = os.uname()
    info = {"KernelVersion": system.release, "Name": system.nodename}
    docker, unix = Product("Docker Engine", "29.0"), "unix:///x.sock"
    assert sees_the_same_files(docker, info, unix)
    assert not sees_the_same_files(docker, {**info, "Name": "outside"}, unix)
    mark.touch()
    assert not sees_the_same_files(docker, info, unix)


class MountingRunner(FakeRunner):
    """Docker that mounts what it is told to, and shows the file."""

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        """Return the file that the last argument names."""
        super().run(argv, **options)
        mount = argv[list(argv).index("--volume") + 1].partition(":")[0]
        return Completed(tuple(argv), 0, (Path(mount) / Path(argv[-1]).name).read_text())


def test_a_folder_that_containers_see_is_accepted(tmp_path: Path) -> None:
    runner = MountingRunner()
    runner.answer("docker", "run")
    require_mountable(runner, "image", tmp_path, RECOGNIZED["colima"], {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["docker-desktop-mac", "colima", "podman-4.3", "docker-20.10"])
def test_a_folder_that_containers_do_not_see_is_an_error(name: str, tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.answer("docker", "run", returncode=1, stderr="cat: /probe/x: No such file")
    with pytest.raises(DevstackError) as caught:
        require_mountable(runner, "image", tmp_path, RECOGNIZED[name], {"a": "b"})
    assert caught.value.code == "ENGINE_FOLDER"
    assert str(tmp_path) in caught.value.message
    assert "DEVSTACK_HOME" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []
    assert "a=b" in runner.argvs[0]
    # With SELinux a container reads no file of a home folder; nodes do.
    assert "--security-opt label=disable" in " ".join(runner.argvs[0])
