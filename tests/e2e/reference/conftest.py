"""The runs whose pods the tests here look at: each takes place once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.reference.objects import prepared
from tests.e2e.reference.runs import (
    ATTRIBUTES_FLOW,
    VARIABLES,
    VARIABLES_FLOW,
    with_variables,
)
from tests.e2e.reference.task_pods import Pods, read_pods
from tests.support.commandline import Devstack


@pytest.fixture(scope="package")
def cluster(stack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devstack]:
    """The stack, with the pools and objects that the flows name."""
    with prepared(stack, tmp_path_factory.mktemp("reference")):
        yield stack


@pytest.fixture(scope="package")
def attributes(cluster: Devstack) -> Pods:
    """The pods of a run whose steps have every attribute."""
    done = cluster.run("run", "--local", str(ATTRIBUTES_FLOW))
    return read_pods(cluster, done.stdout)


@pytest.fixture(scope="package")
def variables(attributes: Pods, cluster: Devstack) -> Pods:
    """The pods of a run in `devstack shell`, after the one with every attribute."""
    done = cluster.run(*with_variables(cluster, VARIABLES_FLOW, VARIABLES), timeout=300)
    return read_pods(cluster, done.stdout)
