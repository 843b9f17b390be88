"""Commands that change one deployment take turns."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from devstack.airflow.client import AirflowClient
from devstack.deployers.airflow.compile import CompiledDag
from devstack.deployers.airflow.deployer import AirflowDeployer
from devstack.deployers.argo.compile import CompiledTemplate
from devstack.deployers.argo.deployer import ArgoDeployer
from devstack.deployers.deployment_lock import deployment_lock
from devstack.deployers.kubeflow.compile import CompiledPipeline
from devstack.deployers.kubeflow.deployer import KubeflowDeployer
from devstack.errors import DevstackError
from devstack.stack import Stack
from tests.fakes.airflow import airflow_stack
from tests.fakes.argo import template

COMPILED = {
    "airflow": CompiledDag("myflow", "MyFlow", "", "", (), False, "", ""),
    "argo": CompiledTemplate("MyFlow", template(), "", "", paused=False, output=""),
    "kubeflow": CompiledPipeline("myflow", "MyFlow", "", "", paused=False, output=""),
}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack of which no service answers."""
    return airflow_stack(1, tmp_path)


def deployer_of(engine: str, stack: Stack) -> Any:
    if engine == "airflow":
        return AirflowDeployer(stack, AirflowClient("http://127.0.0.1:1", ""))
    return (ArgoDeployer if engine == "argo" else KubeflowDeployer)(stack)


def test_a_command_waits_for_the_one_before_it(stack: Stack) -> None:
    began, waits = threading.Event(), threading.Event()
    order = []

    def first() -> None:
        with deployment_lock(stack, "airflow", "MyFlow"):
            began.set()
            assert waits.wait(10)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert began.wait(10)
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        waits.set()
        thread.join()

    with deployment_lock(stack, "airflow", "OtherFlow"), deployment_lock(stack, "argo", "MyFlow"):
        pass
    with deployment_lock(stack, "airflow", "MyFlow", note):
        order.append("second")
    assert order == ["first", "second"]
    assert notes == ["another command is changing MyFlow"]


@pytest.mark.parametrize("engine", COMPILED)
def test_nothing_is_delivered_or_deleted_meanwhile(stack: Stack, engine: str) -> None:
    deployer, reason = deployer_of(engine, stack), "other commands to finish with myflow"
    with deployment_lock(stack, engine, "myflow"):
        with pytest.raises(DevstackError, match=reason):
            deployer.deliver(COMPILED[engine], lambda _: None)
        with pytest.raises(DevstackError, match=reason):
            deployer.delete("myflow", force=True)
