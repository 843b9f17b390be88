from __future__ import annotations

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.providers.base import ClusterSpec
from devstack.providers.kind.config import build_config
from devstack.services import SERVICES
from tests.golden.conftest import Golden

PLANS = {
    "kind": ("--provider", "kind"),
    "kind-3-nodes": ("--nodes", "3", "--name", "ci", "--namespace", "team"),
    "context": ("--context", "staging"),
    "minikube": ("--provider", "minikube", "--nodes", "2", "--port", "minio=9100"),
}

SHOWN = {"rbac", "minio", "postgres", "jobset", "gang", "metadata", "airflow", "samples"}
"""Services whose steps the plans show; a new one changes no golden file."""


@pytest.fixture(autouse=True)
def shown_services(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = tuple(service for service in SERVICES if service.name in SHOWN)
    assert len(shown) == len(SHOWN)
    monkeypatch.setattr("devstack.stack.SERVICES", shown)


@pytest.mark.parametrize("name", PLANS)
def test_the_dry_run_of_up(golden: Golden, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(("up", "--dry-run", *PLANS[name]), Output()) == 0
    golden(f"up-{name}.txt", capsys.readouterr().out)


def test_the_dry_run_of_up_as_json(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(("up", "--dry-run", "--json", "--context", "staging"), Output()) == 0
    golden("up-context.json", capsys.readouterr().out)


@pytest.mark.parametrize("nodes", [1, 3])
def test_the_configuration_of_kind(golden: Golden, nodes: int) -> None:
    spec = ClusterSpec("ci", nodes=nodes, host_ports={9000: 30900, 9001: 30901})
    golden(f"kind-{nodes}.yaml", build_config(spec, api_port=40000))
