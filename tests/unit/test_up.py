from __future__ import annotations

import socket
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from devstack.config import StackSpec
from devstack.errors import DevstackError, ExitStatus
from devstack.images.kubernetes_versions import SUPPORTED, node_image
from devstack.kube.pods import ImagePullFailed
from devstack.lifecycle.down import down
from devstack.lifecycle.step import pending_steps
from devstack.lifecycle.up import build_steps, up
from devstack.owner import Owner
from devstack.ports import PortTakenError, any_free, require_free
from devstack.providers.base import ClusterSpec, Problem
from devstack.services.base import ServiceUnreachableError
from devstack.waits import Failed, Ready, Waiting
from tests.fakes.api import namespace
from tests.fakes.stack import FakeLoadingProvider, FakeProvider, World, fails_with

FREE_PORT = any_free(set())

ALL = [
    "machine",
    "settings",
    "images",
    "cluster",
    "apply-rbac",
    "apply-minio",
    "node-images",
    "ready-rbac",
    "ready-minio",
    "access",
]


def given(**settings: object) -> StackSpec:
    return StackSpec(**settings, given=frozenset(settings))  # type: ignore[arg-type]


def refused(world: World, spec: StackSpec | None = None) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        up(world.open(spec))
    return caught.value


def test_the_first_up_performs_every_step_in_order_of_dependency(world: World) -> None:
    stack = world.open()
    assert up(stack) == ALL
    assert stack.state.phase == "up"
    unchanged = [title for title, state in world.progress.states.items() if state != "done"]
    assert unchanged == ["Get the remaining images"]


def test_the_second_up_changes_nothing_and_writes_nothing(world: World, home: Path) -> None:
    up(world.open())
    files = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    world.api.requests.clear()
    world.provider.calls.clear()
    assert up(world.open()) == []
    assert world.api.writes == []
    assert world.provider.calls == []
    assert set(world.progress.states.values()) == {"unchanged"}
    after = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert {path.name for path, time in after.items() if files.get(path) != time} <= {
        ".devstack.lock"
    }


def test_the_files_of_a_stack_are_private(world: World, home: Path) -> None:
    up(world.open())
    for path in home.rglob("*"):
        wanted = 0o700 if path.is_dir() else 0o600
        if "state" in path.relative_to(home).parts[:1]:
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_a_machine_that_cannot_run_a_cluster_is_not_changed(world: World, home: Path) -> None:
    world.provider.problems = [Problem("Docker is not installed", "install it", "DOCKER_MISSING")]
    error = refused(world)
    assert (error.code, error.exit_status) == ("DOCKER_MISSING", ExitStatus.ENVIRONMENT)
    assert str(error) == "cannot use provider 'kind': Docker is not installed"
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("fault", [DevstackError("cannot"), KeyboardInterrupt()])
def test_an_interrupted_up_is_continued(world: World, fault: BaseException) -> None:
    world.services[1].fails = fails_with(fault)
    with pytest.raises(type(fault)):
        up(world.open())
    assert world.progress.events[-1] == ("done", "Wait for minio", "failed")
    assert world.open().state.phase == "creating"
    credential = world.open().state.credentials["minio"]
    world.services[1].fails = None
    up(world.open())
    stack = world.open()
    assert stack.state.phase == "up"
    assert stack.state.credentials["minio"] == credential
    assert world.provider.clusters == 1


def test_up_waits_again_for_a_service_that_stops_answering_while_it_is_set_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    minio = world.services[1]
    observations = iter([Ready(), Waiting("its node is not ready"), Ready()])
    monkeypatch.setattr(minio, "observe", lambda _ctx: next(observations))

    def fail_once() -> None:
        minio.fails = None
        raise ServiceUnreachableError("MinIO does not answer")

    minio.fails = fail_once
    up(world.open())
    assert minio.prepared == 1
    assert next(observations, None) is None


@pytest.mark.parametrize("name", ALL)
def test_up_recovers_from_a_crash_after_any_step(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    class KilledError(BaseException):
        pass

    def killed_after(title: str, state: str = "done") -> None:
        if title == titles[name]:
            raise KilledError

    stack = world.open()
    titles = {step.name: step.title for step in build_steps(stack)}
    monkeypatch.setattr(stack.progress, "done", killed_after)
    with pytest.raises(KilledError):
        up(stack)
    up(world.open())
    assert up(world.open()) == []
    assert world.provider.clusters == 1
    assert world.services[1].prepared >= 1


def test_a_cluster_deleted_outside_devstack_is_recreated_with_its_contents(world: World) -> None:
    up(world.open())
    before = world.open()
    world.lose_cluster()
    for path in [path for path in world.api.objects if "configmaps" in path]:
        del world.api.objects[path]
    changed = up(world.open())
    after = world.open()
    assert {"cluster", "node-images", "apply-minio", "ready-minio", "access"} <= set(changed)
    assert world.services[1].prepared == 2
    assert after.state.ports == before.state.ports
    assert after.state.credentials == before.state.credentials
    assert "admin-2" in after.dir.admin_kubeconfig.read_text()


def test_capabilities_of_a_new_cluster_are_detected_again(world: World) -> None:
    stack = world.open()
    stack.state.capabilities = {"minio": "old"}
    stack.save()
    up(world.open())
    assert world.open().state.capabilities == {}


def test_a_crash_while_a_lost_cluster_is_recreated_loses_no_step(world: World) -> None:
    up(world.open())
    world.lose_cluster()
    stack = world.open()

    def killed(*_arguments: object) -> Path:
        # The provider may have written its kubeconfig before the crash.
        stack.dir.admin_kubeconfig.write_text("")
        raise KeyboardInterrupt

    stack.dir.write_file = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        up(stack)
    world.api.objects["/readyz"] = {}
    assert "node-images" in up(world.open())
    assert world.services[1].prepared == 2


def test_a_stopped_node_is_started_and_keeps_its_contents(world: World) -> None:
    up(world.open())
    world.provider.state = "stopped"
    world.break_api()
    changed = up(world.open())
    assert "cluster" in changed
    assert "node-images" not in changed
    assert world.provider.clusters == 1


def test_a_stopped_worker_is_started_although_the_api_answers(world: World) -> None:
    up(world.open(given(nodes=2)))
    world.provider.state = "stopped"
    assert "cluster" in up(world.open())
    assert world.provider.state == "running"
    assert up(world.open()) == []


def test_ports_and_credentials_never_change(world: World) -> None:
    up(world.open())
    first = world.open().state
    world.lose_cluster()
    up(world.open())
    assert world.open().state.ports == first.ports
    assert world.provider.ensured_spec is not None
    assert world.provider.ensured_spec.host_ports == {
        first.ports["minio"]: 30000 + world.port % 1000
    }


def test_only_missing_images_are_loaded_into_nodes(world: World) -> None:
    assert isinstance(world.provider, FakeLoadingProvider)
    world.provider.loaded = ["devstack/rbac:1", "devstack/task:1"]
    up(world.open())
    assert world.provider.loaded[2:] == ["devstack/minio:1"]
    assert world.images.ensured == [["node", "minio", "rbac", "task"]]


def test_a_new_image_is_loaded_by_the_next_up(world: World) -> None:
    up(world.open())
    world.images.tag = 2
    assert {"images", "node-images"} <= set(up(world.open()))
    assert isinstance(world.provider, FakeLoadingProvider)
    assert "devstack/minio:2" in world.provider.loaded


def test_a_cluster_that_pulls_by_itself_needs_no_image_on_this_machine(world: World) -> None:
    world.provider = FakeProvider()
    up(world.open())
    assert world.images.ensured == []


def test_a_requested_port_is_used(world: World) -> None:
    up(world.open(given(ports={"minio": FREE_PORT})))
    assert world.open().state.ports["minio"] == FREE_PORT


def test_unspecified_settings_do_not_change(world: World) -> None:
    world.api.add(namespace("team"))
    up(world.open(given(nodes=3, namespace="team")))
    assert up(world.open()) == []
    assert world.open().state.nodes == 3


@pytest.mark.parametrize(
    ("setting", "value"),
    [("nodes", 2), ("namespace", "other"), ("provider", "minikube"), ("kubernetes", "1.35")],
)
def test_settings_that_cannot_be_changed_are_rejected(
    world: World, setting: str, value: object
) -> None:
    up(world.open(given(name="ci")))
    error = refused(world, given(name="ci", **{setting: value}))
    assert (error.code, error.exit_status) == ("STACK_DIFFERS", ExitStatus.USAGE)
    assert setting in error.message.lower()
    assert "devstack down --name ci" in error.remedy
    assert world.open(given(name="ci")).state.phase == "up"


def test_a_stack_keeps_its_version_of_kubernetes_until_its_cluster_is_gone(world: World) -> None:
    up(world.open(given(kubernetes="1.35")))
    assert world.open().spec.kubernetes == world.open().cluster.kubernetes == "1.35"
    assert world.images.ensured[0][0] == node_image("1.35")
    assert up(world.open()) == []
    down(world.open())
    up(world.open(given(kubernetes="1.34")))
    assert world.open().state.kubernetes == "1.34"


@pytest.mark.parametrize("text", ["1.33", "2.0", "newest", "1.36.3", "v1.36"])
def test_an_unknown_version_of_kubernetes_is_an_error_with_the_choices(
    world: World, text: str
) -> None:
    error = refused(world, given(kubernetes=text))
    assert (error.code, error.exit_status) == ("KUBERNETES_UNSUPPORTED", ExitStatus.USAGE)
    assert all(minor in error.remedy for minor in SUPPORTED)
    assert ("only the minor version" in error.cause) == ("1.36" in text)


def test_the_version_of_an_existing_cluster_cannot_be_chosen(world: World) -> None:
    world.provider.owns_cluster = False
    assert refused(world, given(kubernetes="1.36")).code == "KUBERNETES_FIXED"
    assert world.provider.calls == []


def test_a_port_cannot_be_changed_once_the_cluster_maps_it(world: World) -> None:
    up(world.open())
    error = refused(world, given(ports={"minio": FREE_PORT}))
    assert error.code == "STACK_DIFFERS"
    assert "port minio" in error.message


def test_a_port_can_be_changed_as_long_as_there_is_no_cluster(world: World) -> None:
    world.provider.fails["ensure"] = PortTakenError("cannot use port 9000")
    assert refused(world).code == "PORT_TAKEN"
    world.provider.fails.clear()
    up(world.open(given(ports={"minio": FREE_PORT})))
    assert world.open().state.ports["minio"] == FREE_PORT


class PortRaceProvider(FakeProvider):
    """Another program takes the stack's ports right before its cluster is created."""

    def __init__(self, listener: socket.socket) -> None:
        super().__init__()
        self._listener = listener
        self.taken_port = 0

    def ensure(self, spec: ClusterSpec) -> str:
        """Reject ports in use, as Docker does."""
        if "ensure" not in self.calls:
            self.taken_port = next(iter(spec.host_ports))
            # If another program of this machine was faster, the port is taken as well.
            with suppress(OSError):
                # As the check for free ports does: earlier connections may be in TIME_WAIT.
                self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._listener.bind(("127.0.0.1", self.taken_port))
                self._listener.listen()
        self._record("ensure")
        require_free({"minio": next(iter(spec.host_ports))})
        return super().ensure(spec)


def test_a_port_taken_before_the_first_cluster_is_replaced(world: World) -> None:
    with socket.socket() as listener:
        world.provider = provider = PortRaceProvider(listener)
        up(world.open())
        assert world.open().state.ports["minio"] not in (0, provider.taken_port)


def test_a_port_that_the_user_named_is_not_replaced(world: World) -> None:
    with socket.socket() as listener:
        world.provider = PortRaceProvider(listener)
        assert refused(world, given(ports={"minio": any_free(set())})).code == "PORT_TAKEN"


def test_an_unknown_port_is_rejected_before_anything_is_written(world: World) -> None:
    error = refused(world, given(ports={"mino": 9000}))
    assert error.code == "PORT_UNKNOWN"
    assert not world.open().dir.exists()


def test_a_service_that_never_becomes_ready_is_named(world: World) -> None:
    world.services[1].observation = Waiting("pod minio-0: pulling")
    error = refused(world)
    assert error.message == "timed out after 300 s waiting for minio to become ready"
    assert error.exit_status == ExitStatus.TIMEOUT
    assert ("note", "pod minio-0: pulling") in world.progress.events
    assert world.progress.states["Wait for minio"] == "failed"


def test_a_service_that_cannot_become_ready_fails_immediately(world: World) -> None:
    world.services[1].observation = Failed(
        "pod minio-0 asks for 64 CPU", "ask for less", "POD_STUCK"
    )
    assert refused(world).code == "POD_STUCK"
    assert world.clock.slept == []


def test_a_service_that_is_no_longer_ready_is_awaited(world: World) -> None:
    up(world.open())
    observations = [Waiting("restarting"), Waiting("restarting"), Ready()]
    world.services[1].observe = lambda _ctx: observations.pop(0)  # type: ignore[method-assign]
    assert up(world.open()) == ["ready-minio"]


def test_a_manually_changed_object_is_restored(world: World) -> None:
    up(world.open())
    path = next(path for path in world.api.objects if path.endswith("configmaps/minio"))
    world.api.objects[path]["data"]["key"] = "changed"
    assert up(world.open()) == ["apply-minio"]


def test_the_second_of_two_concurrent_ups_is_rejected(world: World) -> None:
    with world.open().dir.lock():
        error = refused(world)
    assert error.code == "LOCKED"


def test_up_continues_after_an_interrupted_down(world: World) -> None:
    up(world.open())
    stack = world.open()
    stack.state.phase = "deleting"
    stack.save()
    up(world.open())
    assert world.open().state.phase == "up"


def test_a_plan_lists_every_step_and_changes_nothing(world: World, home: Path) -> None:
    steps = pending_steps(build_steps(world.open()))
    commands = {step.name: step.commands() for step in steps}
    # Images that are pulled or built in the background are complete before the step otherwise.
    assert list(commands) == [*ALL[:4], "remaining-images", *ALL[4:]]
    assert commands["apply-minio"] == ["apply ConfigMap minio in metaflow"]
    assert commands["cluster"] == [
        f"create a cluster with ports {{{world.port}: {30000 + world.port % 1000}}}"
    ]
    assert not home.exists()
    assert world.provider.calls == []


def test_a_plan_for_a_stack_that_is_up_is_empty(world: World) -> None:
    up(world.open())
    assert pending_steps(build_steps(world.open())) == []


def test_a_plan_for_a_stack_without_its_cluster_lists_the_pending_steps(world: World) -> None:
    up(world.open())
    world.lose_cluster()
    names = [step.name for step in pending_steps(build_steps(world.open()))]
    assert {"machine", "cluster"} <= set(names)
    assert "settings" not in names


def test_a_cluster_whose_state_was_lost_is_not_replaced(world: World) -> None:
    world.provider.state = "running"
    error = refused(world)
    assert (error.code, error.exit_status) == ("STATE_LOST", ExitStatus.ENVIRONMENT)
    assert "devstack down --name devstack" in error.remedy
    assert "ensure" not in world.provider.calls


@pytest.mark.parametrize("known", [True, False])
def test_a_cluster_of_another_owner_is_not_adopted(world: World, known: bool) -> None:
    if known:
        up(world.open())
        world.lose_cluster()
        world.provider.calls.clear()
    world.provider.state = "running"
    world.provider.foreign = Owner("/home/alice/stacks/state/devstack", "alice")
    error = refused(world)
    assert (error.code, error.exit_status) == ("CLUSTER_FOREIGN", ExitStatus.ENVIRONMENT)
    assert "user alice, state directory /home/alice/stacks/state/devstack" in error.cause
    assert "DEVSTACK_HOME=/home/alice/stacks" in error.remedy
    assert "down" not in error.remedy
    assert "ensure" not in world.provider.calls
    assert world.open().dir.exists() == known


@pytest.mark.parametrize(
    ("names", "loaded_again"),
    [
        ([["docker.io/devstack/minio:1"], ["devstack/rbac:1"], ["devstack/task:1"]], False),
        ([["docker.io/devstack/minio:1"], ["devstack/rbac:1"]], True),
        ([], False),  # the kubelet has not listed them yet
        ([[f"example/{number}"] for number in range(50)], False),  # it lists no more
    ],
)
def test_an_image_that_a_node_says_it_lost_is_loaded_again(
    world: World, names: list[list[str]], loaded_again: bool
) -> None:
    assert isinstance(world.provider, FakeLoadingProvider)
    up(world.open())
    status = {"images": [{"names": each} for each in names]}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": status}
    world.api.add(node)
    world.provider.calls.clear()
    world.provider.loaded.remove("devstack/task:1")
    up(world.open())
    assert ("load_images" in world.provider.calls) == loaded_again


def test_an_image_that_the_nodes_lost_is_loaded_again(world: World) -> None:
    up(world.open())
    assert isinstance(world.provider, FakeLoadingProvider)
    brought = list(world.provider.loaded)
    world.provider.loaded = []
    lost = ImagePullFailed("pod minio cannot get its image")
    observations = [lost, lost, Ready()]
    world.services[1].observe = lambda _ctx: observations.pop(0)  # type: ignore[method-assign]
    assert up(world.open()) == ["ready-minio"]
    assert sorted(world.provider.loaded) == sorted(brought)


def test_after_a_restart_services_are_probed_even_if_that_up_is_interrupted(
    world: World,
) -> None:
    up(world.open())
    world.break_api()
    minio = world.services[1]
    minio.fails = fails_with(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        up(world.open())
    minio.fails = None
    world.api.objects["/readyz"] = {}
    restarted: list[bool] = []
    minio.observe = lambda ctx: (restarted.append(ctx.restarted), Ready())[1]  # type: ignore[method-assign]
    assert up(world.open()) == ["ready-minio"]
    assert restarted == [True]
