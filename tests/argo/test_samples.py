"""The samples for Argo run successfully, and their results are correct."""

from __future__ import annotations

from typing import Any

import pytest

from devstack.samples.catalogue import ARGO_SAMPLES
from tests.argo.flows_on_argo import FLOWS, argo
from tests.support.commandline import Devstack

NAMES = [sample.name for sample in ARGO_SAMPLES]


@pytest.fixture(scope="module")
def ran(stack: Devstack) -> dict[str, Any]:
    """The results of `devstack run --argo` by the sample's name."""
    return stack.samples("--argo")


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_succeeds(ran: dict[str, Any], name: str) -> None:
    sample = ran[name]
    assert sample["ok"], sample["wrong"] or sample["error"]
    assert sample["checked"] >= 5
    assert sample["state"] == "succeeded"


def test_the_gang_is_checked_in_the_cluster(ran: dict[str, Any]) -> None:
    # Six checks of its results, one of its state, three of its JobSet.
    assert ran["argo-gang"]["checked"] == 10


@pytest.mark.usefixtures("ran")
def test_a_sample_that_passed_is_deleted(stack: Devstack) -> None:
    names = {each["name"] for each in argo(stack, "list")["data"]["deployments"]}
    files = [file for each in ARGO_SAMPLES for file in (each.file, each.starting_file) if file]
    assert not names & {file.stem.replace("_", "") + "flow" for file in files}


@pytest.mark.usefixtures("clean")
def test_a_flow_of_the_users_is_deployed_run_and_kept(stack: Devstack) -> None:
    done = stack.run("run", "--argo", str(FLOWS / "line.py"), "--", "--text", "hello")
    assert "succeeded" in done.stdout
    assert "seen: hello" in stack.run("argo", "logs", "ArgoLineFlow", "end").stdout
