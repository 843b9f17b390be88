"""The service `packages`: two Secrets, and the policy that adds them to task pods."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from devstack.kube import manifests
from devstack.kube.apply import apply_all
from devstack.kube.client import KubeClient, Object
from devstack.kube.differences import differs
from devstack.kube.transport import Answer
from devstack.services.base import ServiceContext
from devstack.services.packages import authorities
from devstack.services.packages.service import FOLDER, NO_POLICY, PackagesService
from devstack.state import StackState
from devstack.waits import Ready, Waiting
from tests.fakes.api import FakeApi, decoded
from tests.fakes.runner import FakeClock

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
    for name in [*os.environ]:
        if name.startswith(("PIP_", "UV_")) or name.lower().endswith(("_proxy", "_ca_bundle")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
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
    variables = decoded(of_kind(context(), "Secret")[0])
    assert not set(authorities.VARIABLES) & set(variables)


def test_the_cache_is_on_nodes_of_the_stack_only() -> None:
    own, shared = context(), context(owns_cluster=False)
    variables = decoded(of_kind(own, "Secret")[0])
    assert variables["DEVSTACK_PACKAGE_CACHE"] == "/var/cache/devstack"
    assert "DEVSTACK_PACKAGE_CACHE" not in decoded(of_kind(shared, "Secret")[0])
    assert cache_expression(shared) == "false"


def test_a_namespace_that_forbids_folders_of_the_node_gets_no_cache() -> None:
    label = '"pod-security.kubernetes.io/enforce"'
    assert cache_expression(context()) == (
        f"!({label} in namespaceObject.metadata.labels) "
        f'|| namespaceObject.metadata.labels[{label}] == "privileged"'
    )


def cache_expression(ctx: ServiceContext) -> str:
    (policy,) = of_kind(ctx, POLICY_KIND)
    (found,) = (v for v in policy["spec"]["variables"] if v["name"] == "cache")
    return str(found["expression"])


def test_an_image_s_own_folders_for_caches_are_not_overridden() -> None:
    variables = decoded(of_kind(context(), "Secret")[0])
    assert not {"UV_CACHE_DIR", "UV_LINK_MODE", "UV_PYTHON_INSTALL_DIR", "PIP_CACHE_DIR"} & set(
        variables
    )


@pytest.mark.parametrize("ctx", [context(), without_policy()], ids=["policy", "no policy"])
def test_a_setting_that_the_machine_no_longer_has_leaves_the_pods(
    ctx: ServiceContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    api = FakeApi()
    api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flows"}})
    client = api.client()
    apply_secrets(client, ctx)
    assert apply_secrets(client, ctx) == []
    monkeypatch.delenv("HTTP_PROXY")
    assert apply_secrets(client, ctx) == ["Secret flows/devstack-packages"]
    live = client.find("v1", "Secret", "devstack-packages", "flows")
    assert live
    assert "http_proxy" not in decoded(live)
    assert INDEX not in json.dumps(live["metadata"])


def test_certificates_that_the_machine_no_longer_has_leave_the_pods(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_kind(context(), "Secret")[1]
    monkeypatch.setattr(authorities, "_PRIVATE", ())
    machine.unlink()
    after = of_kind(context(), "Secret")[1]
    assert differs(after, before) == "metadata.annotations.devstack.dev/names"
    # The API returns no field for it.
    assert "data" not in after


def apply_secrets(client: KubeClient, ctx: ServiceContext) -> list[str]:
    secrets = manifests.with_owner(of_kind(ctx, "Secret"), "mine", "me")
    return apply_all(client, secrets, timeout=1, clock=FakeClock())


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
    assert "from 1.36 on" in PackagesService().adapt(ctx)
    assert ctx.state.capabilities["packages"] == NO_POLICY


@pytest.mark.parametrize(("applied", "expected"), [(True, Ready), (False, Waiting)])
def test_it_is_ready_when_a_new_pod_would_get_the_settings(applied: bool, expected: type) -> None:
    api = PolicyApi(applied=applied)
    ctx = context(kube=api.client(), restarted=True)
    assert isinstance(PackagesService().observe(ctx), expected)
    assert {query.get("dryRun") for query in api.queries} == {"All"}
