from __future__ import annotations

import json
import os
from dataclasses import asdict

import pytest

from devstack.config import StackSpec
from devstack.errors import DevstackError
from devstack.lifecycle.status import stack_status, status_by_name
from devstack.lifecycle.up import up
from devstack.stack import not_up, require_up
from devstack.state import STATE_FILE
from devstack.waits import Failed, Waiting
from tests.fakes.api import namespace
from tests.fakes.pools import FakePoolProvider
from tests.fakes.stack import World


def test_a_missing_stack_is_absent(world: World) -> None:
    status = stack_status(world.open())
    assert (status.state, status.detail) == ("absent", "there is no stack 'devstack'")
    assert not status.healthy


def test_a_stack_that_is_up_shows_services_and_addresses(world: World) -> None:
    up(world.open())
    world.api.requests.clear()
    status = stack_status(world.open())
    assert status.healthy
    assert [(each.name, each.state) for each in status.services] == [
        ("rbac", "ready"),
        ("minio", "ready"),
    ]
    assert status.urls == {"minio": f"http://127.0.0.1:{world.open().state.ports['minio']}"}
    assert world.api.writes == []
    assert world.open().state.credentials["minio"] not in json.dumps(asdict(status))


@pytest.mark.parametrize(
    ("observation", "state"),
    [(Waiting("pod minio-0: pulling"), "waiting"), (Failed("crash loop"), "failed")],
)
def test_an_unhealthy_service_is_shown_with_the_reason(
    world: World, observation: Waiting | Failed, state: str
) -> None:
    up(world.open())
    world.services[1].observation = observation
    status = stack_status(world.open())
    assert status.state == "degraded"
    assert (status.services[1].state, status.services[1].detail) == (state, observation.reason)


def test_a_service_that_cannot_be_observed_does_not_hide_the_others(world: World) -> None:
    up(world.open())

    def fail(_ctx: object) -> None:
        raise DevstackError("cannot list pods", cause="forbidden")

    world.services[0].observe = fail  # type: ignore[assignment,method-assign]
    services = stack_status(world.open()).services
    assert [each.state for each in services] == ["unknown", "ready"]
    assert services[0].detail == "cannot list pods: forbidden"


@pytest.mark.parametrize("state", ["absent", "stopped"])
def test_a_missing_and_a_stopped_cluster_are_distinguished(world: World, state: str) -> None:
    up(world.open())
    world.break_api()
    world.provider.state = state
    status = stack_status(world.open())
    assert (status.state, status.detail) == (state, f"the cluster is {state}")


def test_an_api_that_does_not_answer_is_reported(world: World) -> None:
    up(world.open())
    world.break_api()
    status = stack_status(world.open())
    assert status.state == "unreachable"
    assert status.detail


def test_a_stopped_worker_is_reported_although_the_api_answers(world: World) -> None:
    up(world.open(StackSpec(nodes=2, given=frozenset({"nodes"}))))
    assert stack_status(world.open()).healthy
    world.provider.state = "stopped"
    status = stack_status(world.open())
    assert (status.state, status.detail) == ("degraded", "the cluster is stopped")


def test_a_docker_that_does_not_answer_is_reported(world: World) -> None:
    up(world.open())
    world.break_api()
    world.provider.fails["status"] = DevstackError("Docker does not answer")
    assert stack_status(world.open()).detail == "Docker does not answer"


def test_an_interrupted_command_is_distinguished_from_a_running_one(world: World) -> None:
    stack = world.open()
    stack.save()
    assert stack_status(world.open()).detail == "interrupted while creating"
    with stack.dir.lock():
        status = stack_status(world.open())
    assert (status.state, status.detail) == ("creating", f"process {os.getpid()} is working on it")


def test_a_broken_stack_does_not_hide_the_others(world: World) -> None:
    stack = world.open(StackSpec(name="broken"))
    stack.dir.write_file(STATE_FILE, "{")
    assert status_by_name("broken").state == "broken"
    assert status_by_name("other").state == "absent"


@pytest.mark.parametrize(
    ("phase", "cause", "remedy"),
    [
        ("", "there is no stack 'ci'", "devstack up --name ci"),
        ("creating", "`devstack up` of 'ci' was interrupted", "devstack up --name ci"),
        ("deleting", "`devstack down` of 'ci' was interrupted", "devstack down --name ci"),
        ("up", "stack 'ci' has no cluster", "devstack up --name ci"),
    ],
)
def test_commands_that_need_a_stack_name_the_remedy(phase: str, cause: str, remedy: str) -> None:
    error = not_up("ci", phase)
    assert (error.code, error.cause, error.remedy) == ("STACK_DOWN", cause, remedy)


@pytest.mark.parametrize("phase", ["creating", "deleting"])
def test_a_command_beside_one_that_changes_the_stack_is_told_to_wait(phase: str) -> None:
    error = not_up("ci", phase, holder=17)
    assert error.cause == "another devstack (process 17) is working on 'ci'"
    assert error.remedy == "wait for process 17 to end, then run the command again"


def test_the_default_stack_needs_no_name_in_the_remedy() -> None:
    assert not_up("devstack").remedy == "devstack up"


def test_an_incomplete_stack_is_rejected(world: World) -> None:
    with pytest.raises(DevstackError, match="there is no stack"):
        require_up(world.open())
    world.open().save()
    with pytest.raises(DevstackError, match=r"`devstack up` of .* was interrupted"):
        require_up(world.open())
    up(world.open())
    require_up(world.open())


def test_nodes_that_others_use_too_are_neither_shown_nor_judged(world: World) -> None:
    """A cluster of --context may have hundreds of them, of which one is not ready."""
    up(world.open())
    condition = {"type": "Ready", "status": "False"}
    world.api.add(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "other"},
            "status": {"conditions": [condition]},
        }
    )
    status = stack_status(world.open())
    assert (status.state, status.nodes, status.pools) == ("up", (), ())


def test_nodes_that_cannot_be_read_do_not_hide_the_services(world: World) -> None:
    world.provider = FakePoolProvider(world.api)
    world.api.add(namespace("kube-system"))
    up(world.open())
    world.api.refuse("GET", "/nodes", 403, "Forbidden", "ann cannot list nodes")
    status = stack_status(world.open())
    assert status.state == "degraded"
    assert "ann cannot list nodes" in status.detail
    assert [each.state for each in status.services] == ["ready", "ready"]
