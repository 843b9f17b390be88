"""Ctrl-C and kill -9 at every step of `up` and of `down`: `up` recovers, `down` removes everything.

One stack goes through it all.  Each `up` gets one step further than the last and is ended
there, by one signal or the other in turn, and by both at its start and while the cluster is
created, so that every step is interrupted while the cluster is created but a few times.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from devstack.errors import ExitStatus
from tests.support import footprint
from tests.support.commandline import DATABASE_SERVICES, Devstack
from tests.support.datastore import read, serves, write
from tests.support.eventually import eventually
from tests.support.interruption import (
    MOMENT_SECONDS,
    START,
    Interrupted,
    await_lock,
    interrupt,
    silent_docker,
)
from tests.support.refusal import findings, refused

CTRL_C, KILL = signal.SIGINT, signal.SIGKILL
CLUSTER = "Bring up the kind cluster"
DELETE = "Delete the kind cluster"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devstack]:
    """The stack that is interrupted."""
    folder = tmp_path_factory.mktemp("interrupted")
    (folder / "user").mkdir()
    devstack = Devstack("broken", folder / "home", {"HOME": str(folder / "user")})
    # Airflow's steps are like the others, and would double the time.
    devstack.leave_out(*DATABASE_SERVICES)
    devstack.run("down")
    yield devstack
    devstack.run("down")


@pytest.fixture(scope="module")
def before(stack: Devstack) -> footprint.Footprint:
    """The resources on the machine before the tests."""
    return footprint.take(stack, stack.home, Path(stack.environment["HOME"]))


def left(stack: Devstack, before: footprint.Footprint) -> dict[str, list[str]]:
    """Return what of the stack there is now, and was not before."""
    now = footprint.take(stack, stack.home, Path(stack.environment["HOME"]))
    return now.since(before)


def state(stack: Devstack) -> dict[str, Any]:
    """Return the stack's state file, which no interruption may leave incomplete."""
    found: dict[str, Any] = json.loads((stack.directory / "stack.json").read_text())
    return found


def check_ending(ended: Interrupted, sign: signal.Signals, command: str) -> None:
    """Ctrl-C prints the next step; kill -9 prints nothing."""
    assert "Traceback" not in ended.printed, ended.printed
    if sign == KILL:
        assert ended.returncode in (-KILL, 0), ended
    elif ended.returncode != 0:
        assert ended.returncode == ExitStatus.INTERRUPTED, ended
        assert "code: INTERRUPTED" in ended.printed
        assert f"`devstack {command}` continues" in ended.printed


def test_down_removes_an_incomplete_cluster(stack: Devstack, before: footprint.Footprint) -> None:
    titles = _titles(stack)
    before_cluster = titles[titles.index(CLUSTER) - 1]
    for when in (before_cluster, f"{CLUSTER}: Starting control-plane"):
        interrupt(stack, "up", "--verbose", when=when, sign=KILL)
        assert stack.json("status", check=False)["data"]["state"] == "creating"
        assert "INTERRUPTED" in findings(stack)
        assert stack.json("down")["data"]["removed"] is True
        assert left(stack, before) == {}, f"after kill -9 at {when!r}"


def test_up_continues_after_an_interruption_at_every_step(stack: Devstack) -> None:
    titles = _titles(stack)
    creation = f"{CLUSTER}: Starting control-plane"
    moments = [START, *titles[:-1]]
    moments.insert(moments.index(CLUSTER), creation)
    interruptions = [(when, sign) for when in (START, creation) for sign in (CTRL_C, KILL)]
    interruptions += zip(moments[1:], cycle((CTRL_C, KILL)), strict=False)
    interruptions.sort(key=lambda each: moments.index(each[0]))
    reached = set()
    kept: dict[str, Any] = {}
    for when, sign in dict.fromkeys(interruptions):
        ended = interrupt(stack, "up", "--verbose", when=when, sign=sign)
        check_ending(ended, sign, "up")
        reached |= {(when, sign)} if ended.returncode else set()
        kept = _check_kept(stack, kept)
    # The step after the last but one is so short that it may be done before the signal.
    assert {each for each in interruptions if each[0] != moments[-1]} <= reached
    stack.run("up")
    assert stack.json("status")["data"]["state"] == "up"
    assert _check_kept(stack, kept)
    assert serves(stack)
    assert stack.json("up")["data"]["changed"] == []


def _titles(stack: Devstack) -> list[str]:
    return [step["title"] for step in stack.json("up", "--dry-run")["data"]["steps"]]


def _check_kept(stack: Devstack, kept: dict[str, Any]) -> dict[str, Any]:
    """Return ports and credentials, which stay once they were chosen."""
    if not (stack.directory / "stack.json").exists():
        assert not kept
        return {}
    now = state(stack)
    assert {**now["credentials"], **kept.get("credentials", {})} == now["credentials"]
    assert kept.get("ports", now["ports"]) == now["ports"]
    return now


def test_interrupted_commands_leave_no_process(stack: Devstack) -> None:
    now = footprint.take(stack)
    assert not now.processes, now.processes


def test_a_down_that_was_interrupted_before_it_began_is_undone_by_up(
    stack: Devstack, tmp_path: Path
) -> None:
    """Docker answers slowly, so that nothing is removed before the signal."""
    write(stack, "probe", "still here")
    with silent_docker(tmp_path / "docker.sock") as host:
        slow = Devstack(stack.name, stack.home, {**stack.environment, "DOCKER_HOST": host})
        for sign in (CTRL_C, KILL):
            check_ending(interrupt(slow, "down", when=START, sign=sign), sign, "down")
    stack.run("up")
    assert read(stack, "probe") == "still here"


def test_of_two_commands_at_once_the_second_names_the_first(stack: Devstack) -> None:
    """While one `up` recreates the cluster, after a `down` that was killed half-way."""
    before = state(stack)
    _interrupt_in_delete(stack, KILL)
    first = stack.start("up")
    await_lock(stack, first)
    for command in ("up", "down"):
        refusal = refused(stack, command, code="LOCKED", status=ExitStatus.FAILED)
        assert f"process {first.pid}" in refusal.cause
        assert f"process {first.pid}" in refusal.remedy
    status = stack.json("status", check=False)["data"]
    assert f"process {first.pid} is working on it" in status["detail"]
    _, printed = first.communicate(timeout=300)
    assert first.returncode == 0, printed
    now = state(stack)
    assert (now["ports"], now["credentials"]) == (before["ports"], before["credentials"])
    assert serves(stack)


def test_down_removes_all_after_it_was_interrupted_in_every_way(
    stack: Devstack, before: footprint.Footprint
) -> None:
    check_ending(_interrupt_in_delete(stack, CTRL_C), CTRL_C, "down")
    _interrupt_in_delete(stack, KILL)
    stack.run("down")
    assert left(stack, before) == {}


def _interrupt_in_delete(stack: Devstack, sign: signal.Signals) -> Interrupted:
    """End a `down` while Docker removes the nodes: the kubeconfig goes right before that."""
    process = stack.start("down")
    kubeconfig = stack.directory / "admin.kubeconfig"

    def has_begun() -> bool:
        return not kubeconfig.exists() or process.poll() is not None

    eventually("the deletion to begin", has_begun, interval=MOMENT_SECONDS)
    process.send_signal(sign)
    _, printed = process.communicate(timeout=60)
    return Interrupted(process.returncode, printed)
