"""Two owners of one stack name: two state directories, or two users, on one Docker engine.

The other owner's cluster is a container with kind's label that never runs: what counts is
whom devstack reports as its owner, and that it is not removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from devstack.docker.client import CLUSTER_LABEL, DockerClient
from devstack.errors import ExitStatus
from devstack.owner import Owner
from devstack.process import SubprocessRunner
from devstack.providers.claim import Claim
from devstack.providers.kind.ownership import NODE_PATH
from devstack.state import StackDir
from tests.support.commandline import Devstack
from tests.support.refusal import refused

CLUSTER = "devstack-fresh"
OWNER_FILES = {
    "this release": ("owner.json", NODE_PATH),
    "the release before": ("scheduler.yaml", "/etc/kubernetes/devstack/scheduler.yaml"),
}


@pytest.fixture
def engine() -> Any:
    return docker.from_env()


@pytest.fixture
def empty_image(engine: Any) -> Iterator[str]:
    """An image without files: its containers can be created, and never started."""
    tag = "devstack-test-empty:1"
    engine.api.import_image_from_data(b"\0" * 1024, repository="devstack-test-empty", tag="1")
    yield tag
    engine.images.remove(tag)


@pytest.fixture(params=OWNER_FILES)
def other(
    request: pytest.FixtureRequest, engine: Any, empty_image: str, fresh: Devstack, tmp_path: Path
) -> Iterator[Devstack]:
    """Another home whose stack of the same name has a cluster."""
    name, target = OWNER_FILES[request.param]
    stack = Devstack(fresh.name, tmp_path / "other")
    stack.directory.mkdir(parents=True)
    (stack.directory / name).touch()
    node = engine.containers.create(
        empty_image,
        "none",
        name=f"{CLUSTER}-control-plane",
        labels={CLUSTER_LABEL: CLUSTER},
        volumes={str(stack.directory / name): {"bind": target, "mode": "ro"}},
    )
    network = engine.networks.create(CLUSTER)
    yield stack
    for leftover in (node, network):
        try:
            leftover.remove()
        except docker.errors.NotFound:
            continue


def remaining(engine: Any) -> tuple[list[str], list[str], list[str]]:
    """Return the containers, networks and volumes of the cluster's name."""
    return (
        [each.name for each in engine.containers.list(all=True) if CLUSTER in each.name],
        [each.name for each in engine.networks.list(names=[CLUSTER])],
        [each.name for each in engine.volumes.list(filters={"name": CLUSTER})],
    )


def test_down_does_not_remove_the_cluster_of_another_home(
    fresh: Devstack, other: Devstack, engine: Any
) -> None:
    before = remaining(engine)
    done = fresh.run("down")
    assert str(other.directory) in done.stdout
    assert "There is no stack 'fresh'" in done.stdout
    data = fresh.json("down")["data"]
    assert data["removed"] is False
    assert data["owner"]["directory"] == str(other.directory)
    fresh.run("down", "--keep-data")
    assert str(other.directory) in fresh.run("down", "--dry-run").stdout
    assert remaining(engine) == before


def test_up_rejects_the_cluster_of_another_home_and_names_it(
    fresh: Devstack, other: Devstack, engine: Any
) -> None:
    before = remaining(engine)
    refusal = refused(fresh, "up", code="CLUSTER_FOREIGN", status=ExitStatus.ENVIRONMENT)
    assert str(other.directory) in refusal.cause
    assert "another --name" in refusal.remedy
    assert f"DEVSTACK_HOME={other.home}" in refusal.remedy
    assert "devstack down" not in refusal.text
    assert remaining(engine) == before
    assert not fresh.directory.exists()


def test_status_and_logs_ignore_the_cluster_of_another_home(
    fresh: Devstack, other: Devstack, engine: Any, tmp_path: Path
) -> None:
    before = remaining(engine)
    assert fresh.json("status", check=False)["data"]["state"] == "absent"
    argv = ("logs", "--cluster", str(tmp_path / "logs"))
    refused(fresh, *argv, code="CLUSTER_FOREIGN", status=ExitStatus.ENVIRONMENT)
    assert remaining(engine) == before


def test_the_owner_can_remove_a_stack_whose_directory_was_deleted(
    fresh: Devstack, other: Devstack, engine: Any
) -> None:
    for file in other.directory.iterdir():
        file.unlink()
    other.directory.rmdir()
    fresh.run("down")
    assert remaining(engine)[0] != []
    refusal = refused(other, "up", code="STATE_LOST", status=ExitStatus.ENVIRONMENT)
    assert "devstack down --name fresh" in refusal.remedy
    assert "is removed" in other.run("down").stdout
    assert remaining(engine) == ([], [], [])


@pytest.fixture
def claimed(fresh: Devstack, tmp_path: Path) -> Iterator[Owner]:
    """Another home has claimed the name, and its cluster is not there yet."""
    owner = StackDir(fresh.name, tmp_path / "other" / "state").owner
    claim = Claim(DockerClient(SubprocessRunner()), CLUSTER)
    assert claim.acquire(owner) == owner
    yield owner
    claim.release(owner)


def test_a_name_that_another_home_has_just_claimed_is_rejected(
    fresh: Devstack, claimed: Owner, engine: Any
) -> None:
    refusal = refused(fresh, "up", code="CLUSTER_FOREIGN", status=ExitStatus.ENVIRONMENT)
    assert str(claimed) in refusal.cause
    fresh.run("down")
    assert remaining(engine) == ([], [], [f"{CLUSTER}.owner"])
    assert json.loads(claimed.to_json())["devstack.user"]


def test_of_many_concurrent_claims_exactly_one_succeeds(tmp_path: Path) -> None:
    owners = [StackDir("race", tmp_path / f"{number}").owner for number in range(8)]
    claims = [Claim(DockerClient(SubprocessRunner()), "devstack-race") for _ in owners]
    for _ in range(10):
        with ThreadPoolExecutor(len(owners)) as pool:
            holders = list(
                pool.map(lambda pair: pair[0].acquire(pair[1]), zip(claims, owners, strict=True))
            )
        assert len(set(holders)) == 1
        losers = [owner for owner in owners if owner != holders[0]]
        for owner in losers:
            claims[0].release(owner)
        assert claims[0].holder() == holders[0]
        claims[0].release(holders[0])
        assert claims[0].holder() is None
