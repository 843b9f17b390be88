from __future__ import annotations

import pytest

from devstack.errors import DevstackError
from devstack.kube.client import KubeClient
from devstack.providers.kind.kubelet_certificates import (
    approve_kubelet_certificates,
    ensure_kubelet_certificates,
)
from tests.fakes.api import FakeApi, path_of
from tests.fakes.runner import FakeClock
from tests.support.certificates import certificate_request


def conditions(api: FakeApi, node: str) -> list[str]:
    request = api.objects[path_of(certificate_request(node))]
    return [condition["type"] for condition in request["status"].get("conditions", [])]


def test_pending_requests_of_nodes_are_approved_once() -> None:
    api = FakeApi()
    api.add(certificate_request("a"), certificate_request("b"))
    for _ in range(2):
        assert approve_kubelet_certificates(api.client()) == {"a", "b"}
    assert [method for method, _ in api.writes] == ["PUT", "PUT"]
    assert conditions(api, "a") == conditions(api, "b") == ["Approved"]


@pytest.mark.parametrize(
    "spec",
    [
        {"username": "system:serviceaccount:metaflow:metaflow-submitter"},
        {"groups": ["system:authenticated"]},
        {"usages": ["server auth", "client auth"]},
    ],
)
def test_a_request_that_is_not_a_kubelets_is_left_pending(spec: dict[str, object]) -> None:
    api = FakeApi()
    api.add(certificate_request("a", **spec))
    assert approve_kubelet_certificates(api.client()) == set()
    assert (api.writes, conditions(api, "a")) == ([], [])


def test_a_request_that_was_denied_stays_denied() -> None:
    api = FakeApi()
    request = certificate_request("a")
    request["status"] = {"conditions": [{"type": "Denied", "status": "True"}]}
    api.add(request)
    assert approve_kubelet_certificates(api.client()) == set()
    assert api.writes == []


def test_a_new_node_that_requests_no_certificate_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi()
    api.add(certificate_request("a"))
    monkeypatch.setattr(KubeClient, "from_kubeconfig", lambda _text: api.client())
    ensure_kubelet_certificates("", ["a"], 5, FakeClock())
    with pytest.raises(DevstackError, match="b has not requested one yet"):
        ensure_kubelet_certificates("", ["a", "b"], 5, FakeClock())
