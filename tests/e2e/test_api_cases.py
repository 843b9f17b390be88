"""A real API server rejects what the fake of the unit tests rejects."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient
from tests.support.api_cases import ACCEPTED, REJECTED, Case, Rejected
from tests.support.commandline import Devstack


@pytest.fixture(scope="module")
def client(stack: Devstack) -> KubeClient:
    return KubeClient.from_kubeconfig((stack.directory / "admin.kubeconfig").read_text())


@pytest.fixture
def namespace(client: KubeClient) -> Iterator[str]:
    name = f"cases-{secrets.token_hex(3)}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    client.delete("v1", "Namespace", name)


@pytest.mark.parametrize("case", REJECTED.values(), ids=REJECTED)
def test_the_server_rejects(client: KubeClient, namespace: str, case: Rejected) -> None:
    with pytest.raises(ApiError) as caught:
        case.request(client, namespace)
    assert (caught.value.status, caught.value.reason) == (case.status, case.reason)
    assert case.says in caught.value.detail


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=ACCEPTED)
def test_the_server_stores_objects_as_the_cases_expect(
    client: KubeClient, namespace: str, case: Case
) -> None:
    case(client, namespace)
