"""The service `packages`: two Secrets, and the policy that adds them to task pods."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from devstack.kube.client import Object
from devstack.kube.transport import Answer
from devstack.services.base import ServiceContext
from devstack.services.packages import authorities
from devstack.services.packages.service import FOLDER, NO_POLICY, PackagesService
from devstack.state import StackState
from devstack.waits import Ready, Waiting
from tests.fakes.api import FakeApi, decoded

INDEX = "https://user:s3cret@index.example/simple"
POLICY_KIND = "MutatingAdmissionPolicy"


class PolicyApi(FakeApi):
    """An API server with admission policies, which apply to pods or do not yet."""

    def __init__(self, kinds: Sequence[str] = (POLICY_KIND,), *, applied: bool = True) -> None:
        super().__init__()
        self._kinds, self._applied = kinds, applied
        self.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flows"}})

    def request(self, method: str, path: str, **rest: Any) -> Answer:
        if path == "/version":
            return Answer(200, b'{"gitVersion": "v1.35.0"}')
        if path == "/apis/admissionregistration.k8s.io/v1":
            served = [
                {"name": each.lower(), "kind": each, "namespaced": False} for each in self._kinds
            ]
            return Answer(200, json.dumps({"resources": served}).encode())
        answer = super().request(method, path, **rest)
        if method != "POST" or not self._applied:
            return answer
        pod = json.loads(answer.body)
        pod["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "devstack-packages"}}]
        return Answer(answer.status, json.dumps(pod).encode())


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an index and a private certificate authority."""
    bundle = tmp_path / "corp.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("UV_DEFAULT_INDEX", INDEX)
    return bundle


def context(**fields: Any) -> ServiceContext:
    return ServiceContext(StackState("mine", namespace="flows"), **fields)


def without_policy() -> ServiceContext:
    return ServiceContext(
        StackState("mine", namespace="flows", capabilities={"packages": NO_POLICY})
    )


def of_kind(ctx: ServiceContext, kind: str) -> list[Object]:
    return [item for item in PackagesService().manifests(ctx) if item["kind"] == kind]


def test_settings_are_in_secrets_of_the_task_namespace_and_nowhere_else() -> None:
    objects = PackagesService().manifests(context())
    secrets = [item for item in objects if item["kind"] == "Secret"]
    variables, files = (decoded(item) for item in secrets)
    assert {item["metadata"]["namespace"] for item in secrets} == {"flows"}
    assert variables["UV_DEFAULT_INDEX"] == INDEX
    assert "BEGIN CERTIFICATE" in files[authorities.FILE]
    assert "s3cret" not in json.dumps([item for item in objects if item["kind"] != "Secret"])


def test_programs_in_pods_are_told_of_the_certificates() -> None:
    variables = decoded(of_kind(context(), "Secret")[0])
    for name in authorities.VARIABLES:
        assert variables[name] == f"{FOLDER}/{authorities.FILE}"


def test_without_private_certificates_pods_keep_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nosuch")
    monkeypatch.setattr(authorities, "_PRIVATE", ())
    for name in ("DEVSTACK_CA_BUNDLE", "PIP_CERT", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    variables = decoded(of_kind(context(), "Secret")[0])
    assert not set(authorities.VARIABLES) & set(variables)


def test_the_cache_is_on_nodes_of_the_stack_only() -> None:
    own, shared = context(), context(owns_cluster=False)
    assert decoded(of_kind(own, "Secret")[0])["UV_CACHE_DIR"].startswith("/var/cache/")
    assert "UV_CACHE_DIR" not in decoded(of_kind(shared, "Secret")[0])
    for ctx, cache in ((own, "true"), (shared, "false")):
        (policy,) = of_kind(ctx, "MutatingAdmissionPolicy")
        assert policy["spec"]["variables"][0] == {"name": "cache", "expression": cache}


def test_the_policy_is_for_the_stack_s_namespace() -> None:
    (policy,) = of_kind(context(), "MutatingAdmissionPolicy")
    (binding,) = of_kind(context(), "MutatingAdmissionPolicyBinding")
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert "flows" in policy["metadata"]["name"]
    selector = binding["spec"]["matchResources"]["namespaceSelector"]
    assert selector == {"matchLabels": {"kubernetes.io/metadata.name": "flows"}}


def test_a_cluster_without_policies_gets_the_variables_by_metaflow_s_setting() -> None:
    ctx = without_policy()
    (secret,) = PackagesService().manifests(ctx)
    assert decoded(secret) == {"UV_DEFAULT_INDEX": INDEX} | {
        name: value for name, value in decoded(secret).items() if name != "UV_DEFAULT_INDEX"
    }
    assert "SSL_CERT_FILE" not in decoded(secret)
    metaflow = PackagesService().outputs(ctx).metaflow
    assert metaflow["METAFLOW_KUBERNETES_SECRETS"] == "metaflow-s3,devstack-packages"
    assert PackagesService().outputs(context()).metaflow == {}
    assert isinstance(PackagesService().observe(ctx), Ready)


def test_what_does_not_work_in_pods_is_reported_once_until_it_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://localhost:3141/root")
    service, ctx = PackagesService(), context(kube=PolicyApi().client())
    assert not service.capabilities_detected(ctx)
    assert "localhost:3141" in service.adapt(ctx)
    assert service.capabilities_detected(ctx)
    monkeypatch.setenv("UV_DEFAULT_INDEX", INDEX)
    assert not service.capabilities_detected(ctx)
    assert service.adapt(ctx) == ""


def test_a_cluster_without_policies_is_reported() -> None:
    ctx = context(kube=PolicyApi(kinds=[]).client())
    assert "requires 1.36" in PackagesService().adapt(ctx)
    assert ctx.state.capabilities["packages"] == NO_POLICY


@pytest.mark.parametrize(("applied", "expected"), [(True, Ready), (False, Waiting)])
def test_it_is_ready_when_a_new_pod_would_get_the_settings(applied: bool, expected: type) -> None:
    api = PolicyApi(applied=applied)
    ctx = context(kube=api.client(), restarted=True)
    assert isinstance(PackagesService().observe(ctx), expected)
    assert {query.get("dryRun") for query in api.queries} == {"All"}
