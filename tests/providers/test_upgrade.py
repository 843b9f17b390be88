"""A stack that an earlier release brought up: `status`, `up`, `run` and `down` work on it."""

from __future__ import annotations

import json

from devstack.errors import ExitStatus
from devstack.kube.manifests import OWNER_ANNOTATION
from devstack.migrations import STATE_VERSION
from tests.support.cluster import remove_annotation
from tests.support.commandline import DATABASE_SERVICES, Devstack
from tests.support.datastore import read, write
from tests.support.refusal import refused

RELEASE_0_1 = {"version", "owner", "included", "initialized_services"}
"""Fields that release 0.1 did not write; it called the last one ``prepared``."""


def state_of_release_0_1(stack: Devstack, phase: str) -> None:
    """Rewrite the state file, and mark the objects, as release 0.1 did."""
    if phase == "up":
        remove_annotation(stack, OWNER_ANNOTATION)
    file = stack.directory / "stack.json"
    state = json.loads(file.read_text())
    old = {key: value for key, value in state.items() if key not in RELEASE_0_1}
    # A command that changes nothing leaves the file as it is.
    old["prepared"] = state.get("initialized_services", state.get("prepared", []))
    old["phase"] = phase
    file.write_text(json.dumps(old, indent=2, sort_keys=True))


def test_a_stack_of_an_earlier_release_is_used_and_removed(fresh: Devstack) -> None:
    fresh.leave_out(*DATABASE_SERVICES)
    fresh.run("up")
    write(fresh, "data/before", "written before the upgrade")
    state_of_release_0_1(fresh, "up")

    status = fresh.json("status")["data"]
    assert status["state"] == "up"
    assert {service["state"] for service in status["services"]} == {"ready"}
    # Flows may use buckets of their own since.
    assert fresh.json("up")["data"]["changed"] == ["ready-minio"]
    assert read(fresh, "data/before") == "written before the upgrade"
    assert fresh.json("run", "hello")["data"]["samples"][0]["ok"]

    state_of_release_0_1(fresh, "up")
    fresh.run("down", "--keep-data")
    assert json.loads((fresh.directory / "stack.json").read_text())["version"] == STATE_VERSION
    state_of_release_0_1(fresh, "kept")
    assert fresh.json("status", check=False)["data"]["state"] == "retained"
    fresh.run("up")
    assert read(fresh, "data/before") == "written before the upgrade"

    state_of_release_0_1(fresh, "up")
    fresh.run("down")
    assert not fresh.directory.exists()


def test_a_stack_of_a_later_release_is_not_changed(fresh: Devstack) -> None:
    fresh.directory.mkdir(parents=True)
    file = fresh.directory / "stack.json"
    file.write_text(json.dumps({"name": "fresh", "version": STATE_VERSION + 1}))
    before = file.read_text()
    for command in ("up", "down", "status", "doctor"):
        refused(fresh, command, code="STATE_NEWER", status=ExitStatus.ENVIRONMENT)
    assert file.read_text() == before
    file.unlink()
