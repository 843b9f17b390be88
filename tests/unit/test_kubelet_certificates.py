from __future__ import annotations

import pytest

from devstack.errors import DevstackError
from devstack.kube.api_errors import UnreachableError
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
        approve_kubelet_certificates(api.client())
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
    approve_kubelet_certificates(api.client())
    assert (api.writes, conditions(api, "a")) == ([], [])


def test_a_request_that_was_denied_stays_denied() -> None:
    api = FakeApi()
    request = certificate_request("a")
    request["status"] = {"conditions": [{"type": "Denied", "status": "True"}]}
    api.add(request)
    approve_kubelet_certificates(api.client())
    assert api.writes == []


def test_a_new_node_is_awaited_until_its_kubelet_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restarted kubelet requests another certificate after the first one was approved."""
    api = FakeApi()
    approved = certificate_request("a")
    approved["status"] = {"conditions": [{"type": "Approved", "status": "True"}]}
    api.add(approved)
    healthz = "/api/v1/nodes/a/proxy/healthz"
    api.objects[healthz] = {}
    for _ in range(3):
        api.refuse("GET", healthz, 503, "ServiceUnavailable", "remote error: tls: internal error")
    clock = FakeClock()
    monkeypatch.setattr(KubeClient, "from_kubeconfig", lambda _text, **_options: api.client())
    late = {**certificate_request("a"), "metadata": {"name": "csr-late"}}
    monkeypatch.setattr(clock, "sleep", lambda _seconds: api.add(late))
    ensure_kubelet_certificates("", ["a"], 5, clock)
    assert api.objects[path_of(late)]["status"]["conditions"][0]["type"] == "Approved"


def test_a_kubelet_that_does_not_serve_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi()
    monkeypatch.setattr(KubeClient, "from_kubeconfig", lambda _text, **_options: api.client())
    error = "remote error: tls: internal error"
    for _ in range(1000):
        api.refuse("GET", "/proxy/healthz", 503, "ServiceUnavailable", error)
    with pytest.raises(DevstackError, match=f"kubelet of b does not serve yet: .*{error}"):
        ensure_kubelet_certificates("", ["b"], 5, FakeClock())


def test_a_kubelet_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server may use a connection to the node as it was before it was stopped."""
    api = FakeApi()
    client = api.client()
    monkeypatch.setattr(KubeClient, "from_kubeconfig", lambda _text, **_options: client)
    answers: list[Exception | None] = [UnreachableError("https://a", "no answer in time"), None]

    def healthz(_node: str) -> None:
        if answer := answers.pop(0):
            raise answer

    monkeypatch.setattr(client, "kubelet_healthz", healthz)
    notes: list[str] = []
    ensure_kubelet_certificates("", ["a"], 5, FakeClock(), notes.append)
    assert answers == []
    assert notes == ["the kubelet of a does not serve yet: no answer in time"]


def test_a_request_that_another_thread_has_approved_is_no_error() -> None:
    api = FakeApi()
    api.add(certificate_request("a"))
    api.refuse("PUT", "/approval", 409, "Conflict", "the object has been modified")
    approve_kubelet_certificates(api.client())
