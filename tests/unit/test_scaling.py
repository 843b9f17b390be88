"""Pools whose nodes appear when pods need them, and disappear when idle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psutil
import pytest

from devstack.config import StackSpec
from devstack.errors import DevstackError
from devstack.flows.pending_pods import PendingPods
from devstack.kube.client import Object
from devstack.kube.gangs import size_of
from devstack.kube.scale_down import REMOVING
from devstack.kube.scale_up import pending_units
from devstack.lifecycle import autoscaler
from devstack.lifecycle.down import build_undo, down
from devstack.lifecycle.new_nodes import POLICIES_TIMEOUT
from devstack.lifecycle.scaling import Scaler
from devstack.lifecycle.status import stack_status
from devstack.lifecycle.up import up
from devstack.pidfile import recorded_process
from devstack.pools.settings import PoolSettings
from devstack.stack import Stack
from devstack.waits import Failed, Waiting
from tests.fakes.api import namespace
from tests.fakes.pools import FakePoolProvider
from tests.fakes.stack import FakeService, World
from tests.support.gang_objects import gang, gang_pods
from tests.support.task_objects import RUN, local_volume, task_pod, unschedulable_pod

SPEC = StackSpec(
    pool=(
        PoolSettings(name="control-plane", cpu=4, memory="8Gi"),
        PoolSettings(name="burst", max=3, delay=10, idle=60, cpu=8, memory="32Gi"),
        PoolSettings(name="gpu", min=1, max=2, gpu={"count": 4}, taints=("gpu=a:NoSchedule",)),
    )
)
IS_SCALED = autoscaler.is_scaled
CREATED = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc)
NAMES = ["devstack-devstack-burst-0", "devstack-devstack-burst-1", "devstack-devstack-burst-2"]
FULL = "0/2 nodes are available: 2 Insufficient cpu. preemption: 1 Preemption is not helpful."


@pytest.fixture
def scaled(world: World) -> World:
    world.provider = FakePoolProvider(world.api)
    world.api.add(namespace("kube-system"))
    up(world.open(SPEC))
    world.provider.calls.clear()
    return world


class Clockwork:
    """A scaler, and the time as the API's server has it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stack: Stack = world.open(SPEC)
        self.after = 60.0
        self.said: list[str] = []
        provider: Any = world.provider
        self.scaler = Scaler(
            self.stack, provider, self.said.append, lambda: CREATED + timedelta(seconds=self.after)
        )

    def look(self, *items: Object) -> list[str]:
        """Look once; return which nodes were created and removed."""
        self.world.api.add(*items)
        self.world.provider.calls.clear()
        self.scaler.run_once()
        calls = self.world.provider.calls
        return [call for call in calls if call.startswith(("ensure ", "remove "))]


def pending(name: str, cpu: str) -> Object:
    pod = unschedulable_pod(name, FULL, cpu=cpu)
    pod["metadata"]["creationTimestamp"] = "2026-11-21T12:00:00Z"
    return pod


def bind(world: World, name: str, node: str) -> None:
    pod = world.api.objects[f"/api/v1/namespaces/metaflow/pods/{name}"]
    pod["spec"]["nodeName"] = node
    pod["status"] = {"phase": "Running"}


def test_without_pending_pods_nothing_is_added(scaled: World) -> None:
    assert Clockwork(scaled).look() == []


def test_a_node_is_added_for_a_pod_after_the_delay(scaled: World) -> None:
    clockwork = Clockwork(scaled)
    clockwork.after = 9
    assert clockwork.look(pending("t-1", "6")) == []
    clockwork.after = 10
    assert clockwork.look() == [f"ensure {NAMES[0]}"]
    node = clockwork.stack.kube().get("v1", "Node", NAMES[0])
    assert node["spec"]["taints"] == []
    assert node["metadata"]["labels"]["devstack.dev/pool"] == "burst"
    (event,) = clockwork.stack.kube().list_objects("v1", "Event", "metaflow")
    assert (event["reason"], event["involvedObject"]["name"]) == ("TriggeredScaleUp", "t-1")
    assert clockwork.look() == []


def test_a_new_node_waits_for_its_pod_of_network_policies_but_not_for_long(
    scaled: World,
) -> None:
    name = "network-policies"
    metadata = {"name": name, "namespace": name}
    scaled.api.add({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata})
    before = scaled.clock.now()
    clockwork = Clockwork(scaled)
    assert clockwork.look(pending("t-1", "6")) == [f"ensure {NAMES[0]}"]
    assert scaled.clock.now() - before == pytest.approx(POLICIES_TIMEOUT)
    assert clockwork.stack.kube().get("v1", "Node", NAMES[0])["spec"]["taints"] == []


def test_as_many_nodes_are_added_as_the_pods_need_and_no_more_than_max(scaled: World) -> None:
    pods = [pending(f"t-{number}", "5") for number in range(5)]
    assert Clockwork(scaled).look(*pods) == [f"ensure {name}" for name in NAMES]


def test_pods_that_fit_on_one_node_share_it(scaled: World) -> None:
    pods = [pending(f"t-{number}", "3") for number in range(2)]
    # One of them fits on the control plane.
    assert Clockwork(scaled).look(*pods, pending("t-9", "3")) == [f"ensure {NAMES[0]}"]


def test_a_pod_that_no_pool_can_hold_adds_nothing(scaled: World) -> None:
    assert Clockwork(scaled).look(pending("t-1", "9")) == []


def test_a_gang_gets_the_nodes_of_all_its_pods_or_none(scaled: World) -> None:
    clockwork = Clockwork(scaled)
    fits, too_large = gang("js-1", 3), gang("js-2", 4)
    for pod in [*gang_pods("js-1", 3, cpu="6"), *gang_pods("js-2", 4, cpu="6")]:
        pod["metadata"]["creationTimestamp"] = "2026-11-21T12:00:00Z"
        scaled.api.add(pod)
    assert clockwork.look(too_large, fits) == [f"ensure {name}" for name in NAMES]


def test_a_gang_of_which_pods_are_missing_is_no_unit_yet() -> None:
    whole = gang("js-1", 3)
    sizes = {("metaflow", "js-1"): size_of(whole)}
    assert pending_units(gang_pods("js-1", 2), sizes) == []
    assert len(pending_units(gang_pods("js-1", 3), sizes)) == 1


def test_an_idle_node_is_removed_and_one_with_pods_stays(scaled: World) -> None:
    clockwork = Clockwork(scaled)
    clockwork.look(pending("t-1", "6"), pending("t-2", "6"))
    bind(scaled, "t-1", NAMES[0])
    bind(scaled, "t-2", NAMES[1])
    del scaled.api.objects["/api/v1/namespaces/metaflow/pods/t-1"]
    assert clockwork.look() == []
    scaled.clock.sleep(60)
    assert clockwork.look() == [f"remove {NAMES[0]}"]
    scaled.clock.sleep(60)
    assert clockwork.look() == []


def idle_node(clockwork: Clockwork) -> Object:
    """Add a node whose pod has ended; return it."""
    clockwork.look(pending("t-1", "6"))
    del clockwork.world.api.objects["/api/v1/namespaces/metaflow/pods/t-1"]
    clockwork.look()
    node: Object = clockwork.world.api.objects[f"/api/v1/nodes/{NAMES[0]}"]
    return node


def test_a_node_with_the_data_of_a_claim_is_not_removed(scaled: World) -> None:
    clockwork = Clockwork(scaled)
    idle_node(clockwork)
    scaled.api.add(local_volume(NAMES[0]))
    for _ in range(3):
        scaled.clock.sleep(61)
        assert clockwork.look() == []
    assert clockwork.said[-1] == f"keeps {NAMES[0]}, which has the data of metaflow/data"
    del scaled.api.objects["/api/v1/persistentvolumes/pvc-1"]
    scaled.clock.sleep(61)
    assert [*clockwork.look(), *clockwork.look()] == [f"remove {NAMES[0]}"]


def test_a_node_that_a_user_took_away_is_not_removed(scaled: World) -> None:
    clockwork = Clockwork(scaled)
    idle_node(clockwork)["spec"]["unschedulable"] = True
    scaled.clock.sleep(61)
    assert clockwork.look() == []
    # `devstack node kill`, then `restore`.
    provider: Any = scaled.provider
    clockwork.stack.kube().patch("v1", "Node", NAMES[0], {"spec": {"unschedulable": None}})
    provider.kill_node(NAMES[0])
    scaled.clock.sleep(61)
    assert clockwork.look() == []
    provider.restore_node(NAMES[0])
    clockwork.look()
    scaled.clock.sleep(61)
    assert clockwork.look() == [f"remove {NAMES[0]}"]


def test_a_node_that_a_pending_pod_will_use_is_not_idle(scaled: World) -> None:
    clockwork = Clockwork(scaled)
    clockwork.look(pending("t-1", "6"))
    # The scheduler has not looked at the pod again yet.
    for _ in range(3):
        scaled.clock.sleep(60)
        assert clockwork.look() == []


def test_the_least_nodes_of_a_pool_stay(scaled: World) -> None:
    clockwork = Clockwork(scaled)
    clockwork.look()
    scaled.clock.sleep(600)
    assert clockwork.look() == []
    assert "/api/v1/nodes/devstack-devstack-gpu-0" in scaled.api.objects


def test_a_pod_placed_at_the_last_moment_keeps_its_node(
    scaled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clockwork = Clockwork(scaled)
    clockwork.look(pending("t-1", "6"))
    bind(scaled, "t-1", NAMES[0])
    scaled.api.objects["/api/v1/namespaces/metaflow/pods/t-1"]["status"] = {"phase": "Succeeded"}
    clockwork.look()
    scaled.clock.sleep(60)

    def place(_seconds: float) -> None:
        scaled.api.add(task_pod("t-2", node=NAMES[0]))

    monkeypatch.setattr(scaled.clock, "sleep", place)
    assert clockwork.look() == []
    node = clockwork.stack.kube().get("v1", "Node", NAMES[0])
    assert "unschedulable" not in node["spec"]
    assert REMOVING not in node["metadata"].get("annotations", {})


def test_a_killed_predecessor_left_a_node_that_is_removed(scaled: World) -> None:
    clockwork = Clockwork(scaled)
    clockwork.look(pending("t-1", "6"))
    del scaled.api.objects["/api/v1/namespaces/metaflow/pods/t-1"]
    node = scaled.api.objects[f"/api/v1/nodes/{NAMES[0]}"]
    node["metadata"]["annotations"] = {REMOVING: "true"}
    node["spec"]["unschedulable"] = True
    assert clockwork.look() == [f"remove {NAMES[0]}"]


def test_a_container_that_has_not_joined_is_removed(scaled: World) -> None:
    clockwork = Clockwork(scaled)
    clockwork.look(pending("t-1", "6"))
    del scaled.api.objects[f"/api/v1/nodes/{NAMES[0]}"]
    provider: Any = scaled.provider
    provider.remove_node = scaled.provider.calls.append
    scaled.provider.calls.clear()
    clockwork.scaler.continue_predecessor()
    assert scaled.provider.calls == [NAMES[0]]


def test_a_node_that_was_not_ready_for_pods_yet_is_finished(scaled: World) -> None:
    clockwork = Clockwork(scaled)
    clockwork.look(pending("t-1", "6"))
    taint = {"key": "devstack.dev/starting", "effect": "NoSchedule"}
    scaled.api.objects[f"/api/v1/nodes/{NAMES[0]}"]["spec"]["taints"] = [taint]
    assert clockwork.look() == [f"ensure {NAMES[0]}"]
    assert clockwork.stack.kube().get("v1", "Node", NAMES[0])["spec"]["taints"] == []


def test_a_node_is_finished_as_soon_as_what_kept_it_is_over(scaled: World) -> None:
    clockwork = Clockwork(scaled)
    scaled.provider.fails["load_images"] = DevstackError("Docker refused", code="DOCKER_REFUSED")
    loaded: Any = scaled.provider
    loaded.loaded = []
    with pytest.raises(DevstackError):
        clockwork.look(pending("t-1", "6"))
    node = clockwork.stack.kube().get("v1", "Node", NAMES[0])
    assert [each["key"] for each in node["spec"]["taints"]] == ["devstack.dev/starting"]
    scaled.provider.fails.clear()
    clockwork.look()
    assert clockwork.stack.kube().get("v1", "Node", NAMES[0])["spec"]["taints"] == []


def test_pods_that_came_before_their_images_are_replaced(scaled: World) -> None:
    early = task_pod("agent", node=NAMES[0])
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    early["status"] = {"phase": "Pending", "containerStatuses": [waiting]}
    Clockwork(scaled).look(pending("t-1", "6"), early)
    assert "/api/v1/namespaces/metaflow/pods/agent" not in scaled.api.objects


def test_new_nodes_know_mirrors_and_the_registry(
    scaled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    kind = type(scaled.provider)
    monkeypatch.setattr(kind, "registries_version", lambda *_: "1", raising=False)
    monkeypatch.setattr(
        kind,
        "configure_registries",
        lambda _self, _spec, settings: told.extend((*settings.mirrors, *settings.local)),
        raising=False,
    )
    scaled.services = [*scaled.services, FakeService("registry", port=scaled.port)]
    clockwork = Clockwork(scaled)
    clockwork.stack.state.ports["registry"] = 40500
    clockwork.stack.spec = replace(clockwork.stack.spec, mirror={"docker.io": "mirror.corp"})
    clockwork.look(pending("t-1", "6"))
    assert told == ["docker.io", "localhost:40500", "127.0.0.1:40500"]


def test_up_neither_removes_nor_creates_the_nodes_that_come_and_go(scaled: World) -> None:
    Clockwork(scaled).look(pending("t-1", "6"))
    up(scaled.open(SPEC))
    assert f"/api/v1/nodes/{NAMES[0]}" in scaled.api.objects
    assert f"/api/v1/nodes/{NAMES[1]}" not in scaled.api.objects


def test_a_run_waits_for_a_node_that_a_pool_adds(scaled: World) -> None:
    watch = PendingPods(scaled.api.client(), "metaflow", scaled.clock)
    pod = pending("t-1", "6")
    for _ in range(3):
        found = watch.observe(RUN, [pod])
        assert isinstance(found, Waiting)
        assert f"it fits on {NAMES[0]} as soon as that is ready" in found.reason
        scaled.clock.sleep(60)
    assert isinstance(watch.observe(RUN, [pending("t-2", "9")]), Failed)


def record_spawned(monkeypatch: pytest.MonkeyPatch) -> list[psutil.Popen]:
    """Start other processes as autoscalers; return the list of those that are started."""
    started: list[psutil.Popen] = []

    def spawn(_stack: Stack) -> psutil.Popen:
        started.append(psutil.Popen(["sleep", "600"], stdin=subprocess.PIPE))
        return started[-1]

    monkeypatch.setattr(autoscaler, "_spawn", spawn)
    monkeypatch.setattr(autoscaler, "is_scaled", IS_SCALED)
    return started


def test_the_process_is_started_by_up_and_stopped_by_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.provider = FakePoolProvider(world.api)
    world.api.add(namespace("kube-system"))
    started = record_spawned(monkeypatch)
    assert "autoscaler" in up(world.open(SPEC))
    stack = world.open(SPEC)
    assert up(stack) == []
    assert _autoscaler_state(stack) == "ready"
    # The user is about to change a pool.
    edited = (*SPEC.pool[:-1], PoolSettings({**SPEC.pool[-1], "max": 3}))
    edit = StackSpec(pool=edited, given=frozenset({"pool"}))
    assert _autoscaler_state(world.open(edit)) == "ready"
    # It would tell new nodes the mirrors, and the registry's port, that it knew at its start.
    for setting in ("mirror", "ports"):
        current = getattr(stack.state, setting)
        setattr(stack.state, setting, {**current, "quay.io": 5000})
        assert not autoscaler.autoscaler_runs(stack)
        setattr(stack.state, setting, current)
    os.kill(started[0].pid, signal.SIGKILL)
    started[0].wait()
    assert _autoscaler_state(stack) == "failed"
    assert up(world.open(SPEC)) == ["autoscaler"]
    assert _autoscaler_state(stack) == "ready"
    assert build_undo(world.open(SPEC))[0][0] == "Stop the autoscaler"
    pidfile = stack.dir.path / "autoscaler.json"
    assert recorded_process(pidfile) is not None
    down(world.open(SPEC))
    assert not started[1].is_running()


def test_a_process_that_was_not_recorded_does_nothing(tmp_path: Path) -> None:
    # Its `up` was killed before it had recorded it: its end of the pipe is closed.
    done = subprocess.run(
        [sys.executable, "-m", "devstack.lifecycle.scaling", "nameless"],
        env={**os.environ, "DEVSTACK_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_the_process_begins_once_it_is_recorded(
    scaled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoscaler, "is_scaled", IS_SCALED)
    stack = scaled.open(SPEC)
    seen: list[bool] = []
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    begin = autoscaler._let_begin

    def let_begin(process: subprocess.Popen[bytes]) -> None:
        seen.append(recorded_process(stack.dir.path / "autoscaler.json") is not None)
        begin(process)

    monkeypatch.setattr(autoscaler, "_spawn", lambda _stack: process)
    monkeypatch.setattr(autoscaler, "_let_begin", let_begin)
    autoscaler.ensure_autoscaler(stack)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.read() == b"recorded\n"
    process.wait()
    assert seen == [True]


def test_other_images_need_another_process(scaled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    started = record_spawned(monkeypatch)
    up(scaled.open(SPEC))
    scaled.images.tag = 2
    running: list[bool] = []
    provider: Any = scaled.provider
    load = provider.load_images

    def load_images(*arguments: Any) -> None:
        running.append(started[0].is_running())
        load(*arguments)

    monkeypatch.setattr(provider, "load_images", load_images)
    assert "autoscaler" in up(scaled.open(SPEC))
    # It does not load images at the same time.
    assert running == [False]
    down(scaled.open(SPEC))
    assert not started[1].is_running()


def test_a_relative_home_is_absolute_for_the_process(
    scaled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setenv("DEVSTACK_HOME", "ours")
    monkeypatch.setattr(subprocess, "Popen", lambda _argv, **options: given.update(options))
    autoscaler._spawn(scaled.open(SPEC))
    assert given["env"]["DEVSTACK_HOME"] == str(Path("ours").absolute())


def test_without_a_pool_that_scales_there_is_no_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoscaler, "is_scaled", IS_SCALED)
    world.provider = FakePoolProvider(world.api)
    world.api.add(namespace("kube-system"))
    assert "autoscaler" not in up(world.open())
    assert _autoscaler_state(world.open()) is None


def _autoscaler_state(stack: Stack) -> str | None:
    services = {each.name: each.state for each in stack_status(stack).services}
    return services.get("autoscaler")
