"""Each fault of a container engine that the doctor reports, from what engines say of themselves."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from devstack.config import ImageSource, StackSpec
from devstack.doctor import inotify, storage
from devstack.doctor.check import Diagnosis, Finding, run_checks
from devstack.doctor.machine import memory_warnings
from devstack.doctor.table import CHECKS
from devstack.errors import DevstackError
from devstack.images.store import Row
from devstack.lifecycle.up import up
from devstack.owner import Owner
from devstack.paths import state_home
from devstack.providers.base import EngineDescription, EngineObject, Problem
from tests.fakes.engine import GIB, FakeEngineProvider
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
    engine.become("docker-desktop-mac")
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
    ("recorded", "code"),
    [
        ("docker-19.03", "ENGINE_OLD"),
        ("podman-4.3", "ENGINE_IS_PODMAN"),
        ("windows-containers", "ENGINE_UNSUITABLE"),
        ("snap", "ENGINE_FOLDER"),
        ("docker-20.10", ""),
        ("wsl", ""),
        ("rootless", ""),
        ("colima", ""),
    ],
)
def test_an_engine_that_is_too_old_or_unsuitable(
    world: World, engine: FakeEngineProvider, recorded: str, code: str
) -> None:
    engine.become(recorded)
    assert [each.code for each in diagnose(world)["engine"].findings] == [code] * bool(code)


def test_an_engine_that_maps_users_runs_nodes(world: World, engine: FakeEngineProvider) -> None:
    engine.info["SecurityOptions"] = ["name=seccomp,profile=builtin", "name=userns"]
    assert diagnose(world)["engine"].state == "ok"


def test_an_engine_that_does_not_answer_is_not_examined(
    world: World, engine: FakeEngineProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> EngineDescription:
        raise DevstackError("Docker does not answer", code="DOCKER_STOPPED")

    monkeypatch.setattr(engine, "describe_engine", refuse)
    engine.problems = [Problem("Docker does not answer", "start it", "DOCKER_STOPPED")]
    checks = [check for check in CHECKS if check.name in (*NAMES, "provider")]
    made = {each.check.name: each.state for each in run_checks(checks, world.open())}
    assert [name for name, state in made.items() if state == "error"] == ["provider"]
    # The address is known, and what stacks left is listed by another request.
    assert {name for name, state in made.items() if state == "ok"} <= {"context", "leftovers"}


def test_what_the_checks_of_the_engine_report_is_not_repeated(
    world: World, engine: FakeEngineProvider
) -> None:
    (provider,) = (check for check in CHECKS if check.name == "provider")
    engine.become("docker-19.03")
    assert run_checks([provider], world.open())[0].findings == []
    engine.problems = [Problem("Docker does not answer", "start it", "DOCKER_STOPPED")]
    (finding,) = run_checks([provider], world.open())[0].findings
    assert finding.code == "DOCKER_STOPPED"


@pytest.mark.breaks("context")
@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("tcp://203.0.113.7:2376", "ENGINE_REMOTE"),
        ("ssh://me@127.0.0.1", "ENGINE_REMOTE"),
        ("tcp://127.0.0.1:2375", ""),
        ("unix:///run/user/1000/docker.sock", ""),
        ("npipe:////./pipe/docker_engine", ""),
    ],
)
def test_an_engine_on_another_machine(
    world: World, engine: FakeEngineProvider, host: str, code: str
) -> None:
    engine.host = host
    made = diagnose(world)
    assert [each.code for each in made["context"].findings] == [code] * bool(code)
    # It is not asked: that may take longer than the doctor.
    skipped = {name for name, each in made.items() if each.state == "skipped"}
    assert skipped >= (set(NAMES) - {"context"} if code else set())


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
    ("recorded", "info", "code"),
    [
        ("rootless", {}, ""),
        ("rootless", {"CgroupVersion": "1"}, "CGROUP_UNUSABLE"),
        ("rootless", {"CPUShares": False}, "CGROUP_UNUSABLE"),
        ("docker-20.10", {"MemoryLimit": False}, "CGROUP_UNUSABLE"),
        ("podman-root-v2", {}, ""),
        ("podman-rootless", {}, ""),
        ("podman-rootless", {"CgroupControllers": ["memory", "pids"]}, "CGROUP_UNUSABLE"),
    ],
)
def test_an_engine_without_the_cgroups_that_nodes_need(
    world: World, engine: FakeEngineProvider, recorded: str, info: dict[str, Any], code: str
) -> None:
    engine.become(recorded, **info)
    findings = diagnose(world, StackSpec(images="build", given=frozenset({"images"})))["cgroup"]
    assert [each.code for each in findings.findings] == [code] * bool(code)


@pytest.mark.breaks("cgroup")
@pytest.mark.parametrize(
    ("wanted", "present", "warned"),
    [
        ("auto", "pulled", False),
        ("auto", "absent", False),
        ("pull", "built", False),
        ("pull", "pulled", True),
        ("pull", "absent", True),
        ("build", "pulled", False),
    ],
)
def test_cgroup_v1_is_a_warning_if_nodes_may_only_be_pulled(
    world: World,
    engine: FakeEngineProvider,
    monkeypatch: pytest.MonkeyPatch,
    wanted: ImageSource,
    present: str,
    warned: bool,
) -> None:
    row = Row("node", "devstack/node:1", present, 1, "")
    monkeypatch.setattr(world.images, "rows", lambda _names: [row], raising=False)
    engine.info["CgroupVersion"] = "1"
    made = diagnose(world, StackSpec(images=wanted, given=frozenset({"images"})))
    assert [each.code for each in made["cgroup"].findings] == ["CGROUP_V1"] * warned


@pytest.mark.breaks("vm")
def test_a_virtual_machine_of_colimas_default_size(
    world: World, engine: FakeEngineProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    engine.become("colima", MemTotal=2063138816, NCPU=2)
    finding = found(world, "vm")
    assert (finding.code, finding.severity) == ("VM_SMALL", "warning")
    assert "1.9 GiB of memory" in finding.cause
    assert "colima start --cpu 4 --memory 8" in finding.remedy
    engine.info.update(MemTotal=8 * GIB, NCPU=1)
    assert "1 CPU" in found(world, "vm").cause


@pytest.mark.breaks("memory")
def test_the_memory_that_counts_is_that_of_the_virtual_machine(
    world: World, engine: FakeEngineProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [check for check in CHECKS if check.name == "memory"]
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=GIB))
    assert [each.code for each in run_checks(checks, world.open())[0].findings] == ["MEMORY_LOW"]
    assert [each.code for each in memory_warnings(world.open())] == ["MEMORY_LOW"]
    engine.become("colima")
    # This machine's free memory is what the virtual machine has left of it.
    assert run_checks(checks, world.open())[0].state == "skipped"
    assert memory_warnings(world.open()) == []
    up(world.open())
    engine.outputs["meminfo"] = f"{4 * GIB // 1024}\n"
    assert run_checks(checks, world.open())[0].state == "ok"
    engine.outputs["meminfo"] = f"{GIB // 2048}\n"
    (finding,) = run_checks(checks, world.open())[0].findings
    assert "0.5 GiB of memory really available" in finding.cause


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


def test_with_podman_the_next_steps_are_podmans(
    world: World, engine: FakeEngineProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "DISK_OF_ENGINE", 2**62)
    monkeypatch.setenv("DOCKER_HOST", "unix:///x.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    engine.subnets = {"vpn": ["172.16.0.0/12", "192.168.0.0/16"]}
    made = diagnose(world, StackSpec(engine="podman", given=frozenset({"engine"})))
    steps = {name: each.findings[0].remedy for name, each in made.items() if each.findings}
    assert steps.keys() == {"engine-disk", "address-pools"}
    assert "podman system df" in steps["engine-disk"]
    assert "podman network prune" in steps["address-pools"]
    assert "containers.conf" in steps["address-pools"]


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


def test_subnets_with_host_bits_are_those_of_their_networks(
    world: World, engine: FakeEngineProvider
) -> None:
    engine.info["DefaultAddressPools"] = [{"Base": "10.50.1.1/16", "Size": 17}]
    engine.subnets = {"compose": ["10.50.5.1/17"]}
    assert diagnose(world)["address-pools"].state == "ok"
    engine.subnets["other"] = ["10.50.200.1/17"]
    assert found(world, "address-pools").code == "ADDRESS_POOLS_FULL"


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
    engine.become("windows-containers", MemTotal=GIB, NCPU=1, MemoryLimit=False)
    findings = [each for made in diagnose(world).values() for each in made.findings]
    assert len(findings) >= 3
    assert all(each.cause and each.remedy and os.linesep not in each.remedy for each in findings)
