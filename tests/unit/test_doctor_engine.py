"""Each fault of a container engine that the doctor reports, from what engines say of themselves."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from devstack.config import StackSpec
from devstack.doctor import inotify, storage
from devstack.doctor.check import Diagnosis, Finding, run_checks
from devstack.doctor.table import CHECKS
from devstack.lifecycle.up import up
from devstack.owner import Owner
from devstack.paths import state_home
from devstack.providers.base import EngineObject
from tests.fakes.engine import COLIMA, DOCKER_DESKTOP, GIB, ROOTLESS, FakeEngineProvider
from tests.fakes.stack import FakeProvider, World

NAMES = [
    "engine",
    "context",
    "platform",
    "cgroup",
    "vm",
    "engine-disk",
    "inotify",
    "clock",
    "address-pools",
    "leftovers",
]
ENGINE_CHECKS = [check for check in CHECKS if check.name in NAMES]


@pytest.fixture
def engine(world: World, monkeypatch: pytest.MonkeyPatch) -> FakeEngineProvider:
    """A healthy engine on this machine, and no stack."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(storage, "DISK_OF_ENGINE", 0)
    world.provider = provider = FakeEngineProvider()
    provider.info["Architecture"] = "x86_64"
    return provider


def diagnose(world: World, spec: StackSpec | None = None) -> dict[str, Diagnosis]:
    made = run_checks(ENGINE_CHECKS, world.open(spec))
    return {each.check.name: each for each in made}


def found(world: World, check: str) -> Finding:
    """Return the only finding of a check; the other checks have none."""
    made = diagnose(world)
    assert [name for name, each in made.items() if each.findings] == [check]
    (finding,) = made[check].findings
    return finding


def test_a_healthy_engine_has_no_findings(world: World, engine: FakeEngineProvider) -> None:
    states = {name: each.state for name, each in diagnose(world).items()}
    assert states == {name: "skipped" if name == "vm" else "ok" for name in NAMES}


def test_a_healthy_engine_of_a_desktop_has_no_findings(
    world: World, engine: FakeEngineProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    engine.info = dict(DOCKER_DESKTOP)
    made = diagnose(world)
    assert [each.findings for each in made.values() if each.findings] == []
    # They are seen only from a node.
    assert {name for name, each in made.items() if each.state == "skipped"} == {
        "engine-disk",
        "inotify",
        "clock",
    }


def test_a_provider_without_engine_is_not_examined(world: World) -> None:
    world.provider = FakeProvider()
    world.provider.owns_cluster = False
    assert {each.state for each in diagnose(world).values()} == {"skipped"}


@pytest.mark.breaks("engine")
@pytest.mark.parametrize(
    ("info", "code"),
    [
        ({"ServerVersion": "19.03.15"}, "ENGINE_OLD"),
        ({"ServerVersion": "20.10.24+dfsg1"}, ""),
        ({"ServerVersion": "29.0.1"}, ""),
        ({"ServerVersion": "4.9.3"}, ""),  # Podman's
        ({"OSType": "windows"}, "ENGINE_UNSUITABLE"),
        ({"SecurityOptions": ["name=seccomp", "name=userns"]}, "ENGINE_UNSUITABLE"),
    ],
)
def test_an_engine_that_is_too_old_or_unsuitable(
    world: World, engine: FakeEngineProvider, info: dict[str, Any], code: str
) -> None:
    engine.info.update(info)
    assert [each.code for each in diagnose(world)["engine"].findings] == [code] * bool(code)


@pytest.mark.breaks("context")
@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("tcp://203.0.113.7:2376", "ENGINE_REMOTE"),
        ("ssh://me@build.example", "ENGINE_REMOTE"),
        ("tcp://localhost:2375", ""),
        ("tcp://127.0.0.1:2375", ""),
        ("unix:///run/user/1000/docker.sock", ""),
        ("npipe:////./pipe/docker_engine", ""),
    ],
)
def test_an_engine_on_another_machine(
    world: World, engine: FakeEngineProvider, address: str, code: str
) -> None:
    engine.address = address
    assert [each.code for each in diagnose(world)["context"].findings] == [code] * bool(code)


@pytest.mark.breaks("context")
def test_a_context_that_a_variable_hides(
    world: World, engine: FakeEngineProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    assert diagnose(world)["context"].findings == []
    monkeypatch.setenv("DOCKER_CONTEXT", "colima")
    finding = found(world, "context")
    assert (finding.code, finding.severity) == ("CONTEXT_HIDDEN", "warning")


@pytest.mark.breaks("platform")
def test_a_python_for_another_processor_than_the_engine(
    world: World, engine: FakeEngineProvider
) -> None:
    engine.info["Architecture"] = "aarch64"
    finding = found(world, "platform")
    assert finding.code == "ENGINE_EMULATED"
    assert "the engine is for arm64, but this Python for amd64" in finding.cause


@pytest.mark.breaks("cgroup")
@pytest.mark.parametrize(
    ("info", "code"),
    [
        ({}, ""),
        ({"CgroupVersion": "1", "CgroupDriver": "none"}, "CGROUP_UNUSABLE"),
        ({"CgroupVersion": "1"}, "CGROUP_UNUSABLE"),
        ({"CpuCfsQuota": False}, "CGROUP_UNUSABLE"),
    ],
)
def test_a_rootless_engine_without_the_cgroups_that_it_needs(
    world: World, engine: FakeEngineProvider, info: dict[str, Any], code: str
) -> None:
    engine.info = {**ROOTLESS, **info}
    findings = diagnose(world)["cgroup"].findings
    assert [each.code for each in findings] == [code] * bool(code)
    assert "cpu" in "".join(each.cause for each in findings) or "CpuCfsQuota" not in info


@pytest.mark.breaks("cgroup")
def test_cgroup_v1_is_a_warning_only_if_nodes_are_pulled(
    world: World, engine: FakeEngineProvider
) -> None:
    engine.info["CgroupVersion"] = "1"
    assert diagnose(world)["cgroup"].findings == []
    pulled = diagnose(world, StackSpec(images="pull", given=frozenset({"images"})))
    assert [each.code for each in pulled["cgroup"].findings] == ["CGROUP_V1"]


@pytest.mark.breaks("vm")
def test_a_virtual_machine_of_colimas_default_size(
    world: World, engine: FakeEngineProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    engine.info = dict(COLIMA)
    finding = found(world, "vm")
    assert (finding.code, finding.severity) == ("VM_SMALL", "warning")
    assert "1.9 GiB of memory" in finding.cause
    assert "colima start --cpu 4 --memory 8" in finding.remedy
    engine.info.update(MemTotal=8 * GIB, NCPU=1)
    assert "1 CPU" in found(world, "vm").cause


@pytest.mark.breaks("engine-disk")
@pytest.mark.parametrize(
    ("free", "severity"), [(0, "error"), (GIB, "warning"), (3 * GIB, "")], ids=str
)
def test_a_full_disk_of_the_engine_as_nodes_see_it(
    world: World, engine: FakeEngineProvider, free: int, severity: str
) -> None:
    up(world.open())
    engine.outputs["df "] = f"{free}\n"
    findings = diagnose(world)["engine-disk"].findings
    expected = [("ENGINE_DISK_FULL", severity)] if severity else []
    assert [(each.code, each.severity) for each in findings] == expected


@pytest.mark.breaks("engine-disk")
def test_a_full_disk_of_the_engine_before_up(
    world: World, engine: FakeEngineProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "DISK_OF_ENGINE", 2**62)
    assert found(world, "engine-disk").code == "ENGINE_DISK_FULL"


@pytest.mark.breaks("inotify")
def test_limits_of_inotify_that_are_too_low_for_the_nodes(
    world: World, engine: FakeEngineProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inotify, "FOLDER", tmp_path)
    (tmp_path / "max_user_instances").write_text("128\n")
    (tmp_path / "max_user_watches").write_text("8192\n")
    assert diagnose(world)["inotify"].findings == []
    (tmp_path / "max_user_instances").write_text("127\n")
    finding = found(world, "inotify")
    assert (finding.code, finding.severity) == ("INOTIFY_LOW", "warning")
    assert "fs.inotify.max_user_instances=512" in finding.remedy
    two = diagnose(world, StackSpec(nodes=2, given=frozenset({"nodes"})))["inotify"]
    assert ["max_user_watches" in each.cause for each in two.findings] == [False, True]


@pytest.mark.breaks("inotify")
def test_limits_of_inotify_in_the_engines_virtual_machine(
    world: World, engine: FakeEngineProvider
) -> None:
    up(world.open())
    engine.outputs["inotify"] = "max_user_instances:128\nmax_user_watches:8000\n"
    assert "max_user_watches is 8000" in found(world, "inotify").cause


@pytest.mark.breaks("clock")
@pytest.mark.parametrize(
    ("minutes", "severity", "side"),
    [(0, "", ""), (2, "warning", "ahead of"), (-2, "warning", "behind"), (-60, "error", "behind")],
)
def test_clocks_that_differ(
    world: World, engine: FakeEngineProvider, minutes: int, severity: str, side: str
) -> None:
    time = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    # Docker's format has nanoseconds.
    engine.info["SystemTime"] = f"{time.isoformat(timespec='microseconds')[:-6]}123Z"
    findings = diagnose(world)["clock"].findings
    assert [(each.code, each.severity) for each in findings] == (
        [("CLOCK_SKEW", severity)] if severity else []
    )
    assert all(side in each.cause for each in findings)


@pytest.mark.breaks("address-pools")
def test_address_pools_that_are_used_up(world: World, engine: FakeEngineProvider) -> None:
    engine.subnets = {f"net{n}": [f"172.{n}.0.0/16", "fc00::/64"] for n in range(17, 32)}
    assert diagnose(world)["address-pools"].findings == []
    # One network of a company's whole range covers all that is left.
    engine.subnets["vpn"] = ["192.168.0.0/16"]
    finding = found(world, "address-pools")
    assert finding.code == "ADDRESS_POOLS_FULL"
    assert "all 31 address pools" in finding.cause
    engine.info["DefaultAddressPools"] = [{"Base": "10.50.0.0/16", "Size": 24}]
    assert diagnose(world)["address-pools"].findings == []


@pytest.mark.breaks("leftovers")
def test_what_a_stack_left_whose_directory_is_gone(
    world: World, engine: FakeEngineProvider
) -> None:
    def owner(name: str) -> Owner:
        return Owner.of(state_home() / name)

    elsewhere = Owner("/mnt/other/state/gone", "alice")
    (state_home() / "alive").mkdir(parents=True)
    engine.objects = [
        EngineObject("network", "devstack-gone", owner("gone")),
        EngineObject("volume", "devstack-gone.owner", owner("gone")),
        EngineObject("network", "devstack-alive", owner("alive")),
        EngineObject("network", "devstack-theirs", elsewhere),
    ]
    finding = found(world, "leftovers")
    assert (finding.code, finding.severity) == ("LEFTOVERS", "warning")
    assert "network devstack-gone, volume devstack-gone.owner" in finding.cause
    assert "devstack down --name gone" in finding.remedy


def test_every_finding_names_the_next_step(world: World, engine: FakeEngineProvider) -> None:
    engine.info = {**COLIMA, "ServerVersion": "19.03.1", "OSType": "windows"}
    engine.address = "tcp://203.0.113.7:2376"
    findings = [each for made in diagnose(world).values() for each in made.findings]
    assert len(findings) >= 5
    assert all(each.cause and each.remedy and os.linesep not in each.remedy for each in findings)
