from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from devstack import tools
from devstack.config import ImageSource, StackSpec
from devstack.doctor import machine
from devstack.doctor.check import (
    NO_STACK,
    Check,
    Diagnosis,
    Finding,
    NotApplicableError,
    run_checks,
)
from devstack.doctor.machine import MACHINE_CHECKS
from devstack.doctor.stack import STACK_CHECKS
from devstack.doctor.storage import STORAGE_CHECKS
from devstack.doctor.table import CHECKS
from devstack.errors import DevstackError
from devstack.kube.api_errors import UnreachableError
from devstack.lifecycle.up import up
from devstack.owner import Owner
from devstack.ports import LOOPBACK
from devstack.process import Runner, SubprocessRunner
from devstack.providers.base import ClusterSpec, Problem
from devstack.stack import Stack
from devstack.state import STATE_FILE
from devstack.waits import Failed, Waiting
from tests.fakes.pools import FakePoolProvider
from tests.fakes.stack import FakeProvider, FakeService, World
from tests.support.eventually import eventually

Usage = namedtuple("Usage", "total used free")
Memory = namedtuple("Memory", "available")


@pytest.fixture
def healthy(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """A healthy machine and stack."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(0, 0, 100 * machine.GIB))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(16 * machine.GIB))
    monkeypatch.setattr(tools, "find_kubectl", lambda *_arguments: Path("kubectl"))
    monkeypatch.delenv("DEVSTACK_CA_BUNDLE", raising=False)
    set_versions(world, kubectl="36", cluster="36")
    up(world.open())
    with socket.create_server((LOOPBACK, world.open().state.ports["minio"])):
        stack = world.open()
        stack.state.ports.pop("api", None)
        stack.save()
        yield world


def set_versions(world: World, *, kubectl: str, cluster: str) -> None:
    """Set the minor versions of kubectl and of the API server."""
    client = json.dumps({"clientVersion": {"major": "1", "minor": kubectl}})
    world.runner.answer("kubectl", "version", stdout=client)
    world.api.objects["/version"] = {"gitVersion": f"v1.{cluster}.3"}


def diagnose(world: World, spec: StackSpec | None = None) -> dict[str, Diagnosis]:
    stack = world.open(spec, ignore_corrupt_state=True)
    checks = [*MACHINE_CHECKS, *STORAGE_CHECKS, *STACK_CHECKS]
    return {each.check.name: each for each in run_checks(checks, stack)}


def codes(world: World, check: str) -> list[tuple[str, str]]:
    return [(each.code, each.severity) for each in diagnose(world)[check].findings]


def test_a_healthy_machine_and_stack_have_no_findings(healthy: World) -> None:
    found = diagnose(healthy)
    assert {name: each.findings for name, each in found.items() if each.findings} == {}
    skipped = {name for name, each in found.items() if each.state == "skipped"}
    assert skipped == {"requirements", "engine-disk", "certificates", "network-policies"}


def test_the_doctor_changes_nothing(healthy: World) -> None:
    healthy.api.requests.clear()
    healthy.provider.calls.clear()
    diagnose(healthy)
    assert healthy.api.writes == []
    assert set(healthy.provider.calls) == {"check", "status"}


def test_every_finding_has_a_remedy(healthy: World) -> None:
    healthy.lose_cluster()
    for each in diagnose(healthy).values():
        for finding in each.findings:
            assert finding.cause
            assert finding.remedy
            assert finding.code.isupper()


def test_without_a_stack_only_the_machine_is_checked(world: World) -> None:
    states = {name: each.state for name, each in diagnose(world).items()}
    for name in ("cluster", "api", "files", "ports", "services"):
        assert states[name] == "skipped"
    assert {each.reason for each in diagnose(world).values() if each.check.needs_stack} == {
        NO_STACK
    }


@pytest.mark.breaks("provider")
def test_a_provider_that_cannot_be_used(healthy: World) -> None:
    healthy.provider.problems = [Problem("Docker is not installed", "install it", "DOCKER_MISSING")]
    assert codes(healthy, "provider") == [("DOCKER_MISSING", "error")]


@pytest.mark.breaks("tools")
def test_a_missing_kubectl_is_a_warning_if_nothing_may_be_fetched(
    healthy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "find_kubectl", lambda *_arguments: None)
    # The first command that needs it compiles it.
    assert codes(healthy, "tools") == []
    (finding,) = diagnose(healthy, StackSpec(offline=True))["tools"].findings
    assert (finding.code, finding.severity) == ("KUBECTL_MISSING", "warning")
    assert "images load" in finding.remedy


def test_kubectl_is_that_of_the_stacks_version(
    healthy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(_runner: Runner, kubernetes: str) -> Path:
        return Path(f"kubectl-{kubernetes}")

    monkeypatch.setattr(tools, "find_kubectl", find)
    stack = healthy.open()
    stack.state.kubernetes = "1.34"
    stack.save()
    set_versions(healthy, kubectl="37", cluster="34")
    client = json.dumps({"clientVersion": {"major": "1", "minor": "34"}})
    healthy.runner.answer("kubectl-1.34", "version", stdout=client)
    assert codes(healthy, "tools") == []


@pytest.mark.breaks("tools")
@pytest.mark.parametrize(("kubectl", "expected"), [("35", 0), ("34", 1), ("38", 1), ("37+", 0)])
def test_a_kubectl_that_is_too_old_or_too_new_for_the_cluster(
    healthy: World, kubectl: str, expected: int
) -> None:
    set_versions(healthy, kubectl=kubectl, cluster="36")
    assert codes(healthy, "tools") == [("KUBECTL_SKEW", "warning")] * expected


@pytest.mark.breaks("tools")
def test_two_distributions_of_metaflow(healthy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_version_of", lambda _name: "1.0")
    (finding,) = diagnose(healthy)["tools"].findings
    assert finding.code == "METAFLOW_TWICE"
    assert "metaflow and ob-metaflow" in finding.cause


class RequirementsProvider(FakeProvider):
    """A provider with requirements on the machine."""

    def check_machine(self, spec: ClusterSpec) -> list[Problem]:
        """Return a requirement that is not met."""
        return [Problem("no swap", "add swap", "SWAP_MISSING", "warning")]


@pytest.mark.breaks("requirements")
def test_requirements_of_the_provider_are_checked(healthy: World) -> None:
    assert codes(healthy, "requirements") == []
    healthy.provider = RequirementsProvider()
    assert codes(healthy, "requirements") == [("SWAP_MISSING", "warning")]


def test_what_needs_the_provider_is_not_ok_if_it_cannot_be_used(healthy: World) -> None:
    healthy.provider = RequirementsProvider()
    healthy.provider.problems = [Problem("Docker is not installed", "install it", "DOCKER_MISSING")]
    made = diagnose(healthy)
    assert [made[name].state for name in ("requirements", "owner")] == ["skipped"] * 2


@pytest.mark.breaks("owner")
def test_a_cluster_of_another_owner_is_an_error(healthy: World) -> None:
    healthy.provider.foreign = Owner("/home/alice/stacks/state/devstack", "alice")
    (finding,) = diagnose(healthy)["owner"].findings
    assert (finding.code, finding.severity) == ("CLUSTER_FOREIGN", "error")
    assert "/home/alice/stacks/state/devstack" in finding.cause


@pytest.mark.breaks("disk")
def test_little_disk_space_is_a_warning_and_none_an_error(
    healthy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(0, 0, machine.GIB))
    assert codes(healthy, "disk") == [("DISK_FULL", "warning")] * 2
    # What is there need not be built.
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(0, 0, 3 * machine.GIB))
    assert codes(healthy, "disk") == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(0, 0, 0))
    assert codes(healthy, "disk") == [("DISK_FULL", "error")] * 2


@pytest.mark.breaks("disk")
@pytest.mark.parametrize(
    ("source", "absent", "reachable", "short"),
    [
        ("auto", ["node"], False, True),
        ("auto", ["node"], True, False),
        ("auto", ["gang"], False, False),  # devstack's own is small
        ("auto", [], False, False),
        ("build", ["node"], True, True),
        ("pull", ["node"], False, False),
    ],
)
def test_disk_space_for_compiling_is_needed_only_if_images_are_built(
    healthy: World,
    monkeypatch: pytest.MonkeyPatch,
    source: ImageSource,
    absent: list[str],
    reachable: bool,
    short: bool,
) -> None:
    healthy.open().dir.remove()
    errors = {} if reachable else {"docker.io": DevstackError("unreachable")}
    images = healthy.images
    monkeypatch.setattr(images, "present", lambda _names: dict.fromkeys(absent, False))
    monkeypatch.setattr(images, "find_unreachable", lambda _names: errors, raising=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(0, 0, 10 * machine.GIB))
    spec = StackSpec(images=source, given=frozenset({"images"}))
    findings = diagnose(healthy, spec)["disk"].findings
    assert [each.code for each in findings] == ["DISK_FULL"] * short
    assert all("building images needs 15" in each.cause for each in findings)


@pytest.mark.breaks("memory")
def test_little_memory_is_a_warning_only_before_up(
    healthy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(machine.GIB))
    assert codes(healthy, "memory") == []
    healthy.open().dir.remove()
    assert codes(healthy, "memory") == [("MEMORY_LOW", "warning")]
    # The nodes of another cluster are other machines.
    healthy.provider.owns_cluster = False
    assert diagnose(healthy)["memory"].state == "skipped"


@pytest.mark.breaks("certificates")
def test_a_missing_ca_bundle(healthy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVSTACK_CA_BUNDLE", "nowhere.pem")
    assert codes(healthy, "certificates") == [("CA_BUNDLE_MISSING", "error")]
    Path("nowhere.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    assert codes(healthy, "certificates") == []


@pytest.mark.breaks("phase")
@pytest.mark.parametrize("phase", ["creating", "deleting"])
def test_a_command_that_was_interrupted(healthy: World, phase: str) -> None:
    stack = healthy.open()
    stack.state.phase = phase
    stack.save()
    command = {"creating": "up", "deleting": "down"}[phase]
    (finding,) = diagnose(healthy)["phase"].findings
    assert finding.code == "INTERRUPTED"
    assert finding.cause == f"`devstack {command}` was interrupted"
    assert finding.remedy.startswith(f"devstack {command}")


def test_a_running_command_is_not_reported_as_interrupted(healthy: World) -> None:
    stack = healthy.open()
    stack.state.phase = "creating"
    stack.save()
    with stack.dir.lock():
        assert codes(healthy, "phase") == []


@pytest.mark.breaks("state")
def test_a_state_that_cannot_be_read(healthy: World) -> None:
    (healthy.open().dir.path / STATE_FILE).write_text("{")
    found = diagnose(healthy)
    assert [each.code for each in found["state"].findings] == ["STATE_BROKEN"]
    assert "devstack down" in found["state"].findings[0].remedy
    assert found["phase"].findings == []


@pytest.mark.breaks("cluster")
@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("absent", "CLUSTER_ABSENT"),
        ("stopped", "NODE_STOPPED"),
        ("unreachable", "CLUSTER_UNREACHABLE"),
    ],
)
def test_a_cluster_that_does_not_run(healthy: World, state: str, code: str) -> None:
    healthy.provider.state = state
    assert codes(healthy, "cluster") == [(code, "error")]


@pytest.mark.breaks("api")
def test_an_api_that_does_not_answer(healthy: World) -> None:
    healthy.break_api()
    assert codes(healthy, "api") == [("API_DOWN", "error")]


@pytest.mark.breaks("files")
def test_files_that_are_missing_or_open_to_others(healthy: World) -> None:
    stack = healthy.open()
    stack.dir.admin_kubeconfig.chmod(0o644)
    stack.dir.kubeconfig.unlink()
    assert codes(healthy, "files") == [("FILE_EXPOSED", "error"), ("FILE_MISSING", "error")]


@pytest.mark.breaks("ports")
def test_a_port_on_which_nothing_listens(healthy: World) -> None:
    stack = healthy.open()
    stack.state.ports["gone"] = 1
    stack.save()
    assert codes(healthy, "ports") == [("PORT_SILENT", "error")]


@pytest.mark.breaks("services")
def test_services_that_are_not_ready(healthy: World) -> None:
    healthy.services[0].observation = Waiting("no token yet")
    healthy.services[1].observation = Failed("crash loop", "see its logs", "CRASH_LOOP")
    assert codes(healthy, "services") == [("NOT_READY", "error"), ("CRASH_LOOP", "error")]


@pytest.mark.parametrize(
    ("fault", "code", "remedy"),
    [
        (DevstackError("cannot", remedy="do this", code="THAT"), "THAT", "do this"),
        (ZeroDivisionError("by zero"), "CHECK_FAILED", "report this as a bug"),
    ],
)
def test_an_exception_in_a_check_does_not_stop_the_others(
    healthy: World, fault: Exception, code: str, remedy: str
) -> None:
    checks = [Check("bad", "fails", failing(fault)), Check("good", "holds", lambda _stack: [])]
    bad, good = run_checks(checks, healthy.open())
    assert bad.state == "error"
    assert [(each.code, each.remedy) for each in bad.findings] == [(code, remedy)]
    assert good.state == "ok"


def failing(fault: Exception) -> Callable[[Stack], list[Finding]]:
    def probe(_stack: Stack) -> list[Finding]:
        raise fault

    return probe


def test_an_error_that_another_check_reports_is_not_repeated(healthy: World) -> None:
    stopped = DevstackError("Docker does not answer", code="DOCKER_STOPPED")
    reported = [Finding("Docker does not answer", "start it", "DOCKER_STOPPED")]
    checks = [
        Check("engine", "e", failing(stopped)),
        Check("provider", "p", lambda _stack: reported),
        Check("disk", "d", failing(stopped)),
    ]
    states = [each.state for each in run_checks(checks, healthy.open())]
    assert states == ["skipped", "error", "skipped"]
    first, second = run_checks([checks[0], checks[2]], healthy.open())
    assert (first.state, second.state) == ("error", "skipped")


def test_checks_that_need_the_api_are_skipped_while_it_is_down(healthy: World) -> None:
    down = UnreachableError("https://127.0.0.1:6443", "connection refused")
    reported = [Finding("the API does not respond", "devstack up", "API_DOWN")]
    checks = [
        Check("api", "a", lambda _stack: reported),
        Check("quota", "q", failing(down)),
    ]
    _, quota = run_checks(checks, healthy.open())
    assert (quota.state, quota.reason) == ("skipped", "the API does not respond")


def test_a_check_that_does_not_apply_is_skipped_with_the_reason(healthy: World) -> None:
    checks = [Check("vm", "v", failing(NotApplicableError("there is no virtual machine")))]
    (diagnosis,) = run_checks(checks, healthy.open())
    assert (diagnosis.state, diagnosis.reason) == ("skipped", "there is no virtual machine")


def test_a_check_that_hangs_delays_no_other_and_is_a_warning(healthy: World) -> None:
    released = threading.Event()

    def hang(_stack: Stack) -> list[Finding]:
        released.wait(60)
        return []

    hanging = [Check("hangs", "h", hang), Check("too", "t", hang)]
    checks = [hanging[0], Check("good", "g", lambda _stack: []), hanging[1]]
    started = time.monotonic()
    late, good, too = run_checks(checks, healthy.open(), deadline=0.2)
    assert time.monotonic() - started < 10
    (finding,) = late.findings
    assert (finding.code, finding.severity) == ("CHECK_TIMEOUT", "warning")
    assert finding.cause.endswith(": hangs, too")
    assert (good.state, too.state) == ("ok", "skipped")
    vital = [replace(hanging[0], is_vital=True)]
    assert run_checks(vital, healthy.open(), deadline=0.2)[0].state == "error"
    released.set()


def test_a_program_that_a_late_check_runs_is_ended(healthy: World, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"

    def run(_stack: Stack) -> list[Finding]:
        script = f"echo $$ >{pidfile}; exec sleep 60"
        SubprocessRunner().run(["sh", "-c", script], check=False)
        return []

    run_checks([Check("slow", "s", run)], healthy.open(), deadline=0.5)
    pid = int(pidfile.read_text())
    eventually("the program to end", lambda: not psutil.pid_exists(pid))


def test_checks_run_at_the_same_time(healthy: World) -> None:
    together = threading.Barrier(12, timeout=30)

    def meet(_stack: Stack) -> list[Finding]:
        together.wait()
        return []

    checks = [Check(str(number), "meets the others", meet) for number in range(12)]
    assert {each.state for each in run_checks(checks, healthy.open())} == {"ok"}


@pytest.mark.breaks("network-policies")
def test_a_kernel_that_cannot_enforce_network_policies_is_a_warning(healthy: World) -> None:
    metadata = {
        "name": "network-policies-abcde",
        "namespace": "network-policies",
        "annotations": {"devstack.dev/network-policies-unsupported": "no such file or directory"},
    }
    spec = {"nodeName": "mine-control-plane"}
    healthy.provider = FakePoolProvider(healthy.api)
    healthy.services.append(FakeService("network-policies"))
    healthy.api.add({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    found = codes(healthy, "network-policies")
    assert found == [("NETWORK_POLICIES_UNSUPPORTED", "warning")]


@pytest.mark.breaks("free-ports")
def test_a_port_that_another_program_has_taken(world: World) -> None:
    checks = [check for check in CHECKS if check.name == "free-ports"]
    world.provider = FakeProvider()
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        stack = world.open()
        stack.spec = replace(stack.spec, ports={"minio": port})
        (diagnosis,) = run_checks(checks, stack)
        assert [each.code for each in diagnosis.findings] == ["PORT_TAKEN"]
        assert f"port {port} (minio) is taken by process" in diagnosis.findings[0].cause
    (diagnosis,) = run_checks(checks, stack)
    assert diagnosis.findings == []
