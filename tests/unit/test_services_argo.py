"""Argo Workflows as a service: what it applies, its permissions, and what flows get."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from devstack.images import versions
from devstack.images.programs import CONTAINERS, PROGRAMS
from devstack.kube.client import Object
from devstack.kube.resources import ARGO, KNOWN
from devstack.paths import project_file
from devstack.services import SERVICES, argo, minio
from devstack.services.argo import EXECUTOR_TOKEN, USER_TOKEN, ArgoService
from devstack.services.base import ServiceContext
from devstack.services.selection import disabled_services, enabled_services
from devstack.state import StackState
from devstack.waits import Ready, Waiting
from tests.fakes.api import FakeApi, available, decoded
from tests.fakes.api_schema import schema_errors, unknown_fields

MODULE = "github.com/argoproj/argo-workflows/v3"


def context(api: FakeApi | None = None, **state: Any) -> ServiceContext:
    known = {
        "namespace": "flows",
        "ports": {"argo": 42746},
        "images": {"argo": "mirror/argo:1", "argoexec": "mirror/argoexec:1"},
    }
    return ServiceContext(StackState("mine", **(known | state)), api.client() if api else None)


def find(ctx: ServiceContext, kind: str, name: str, namespace: str = "") -> Object:
    (found,) = (
        item
        for item in ArgoService().manifests(ctx)
        if (item["kind"], item["metadata"]["name"]) == (kind, name)
        and namespace in ("", item["metadata"].get("namespace"))
    )
    return found


def setting(name: str) -> Any:
    """One table of the controller's configuration."""
    data = find(context(), "ConfigMap", "workflow-controller-configmap")["data"]
    return yaml.safe_load(data[name])


def container(name: str) -> Object:
    deployment = find(context(), "Deployment", name)
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    found: Object = only
    return found


def token(name: str, value: str = "") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "flows"},
        "data": {"token": base64.b64encode(value.encode()).decode()} if value else {},
    }


def test_it_is_included_on_request_with_what_it_needs() -> None:
    assert "argo" in disabled_services(SERVICES)
    off = disabled_services(SERVICES, included=["argo"])
    names = {service.name for service in enabled_services(SERVICES, off)}
    assert {"argo", "minio", "metadata", "jobset"} <= names


def test_controller_and_server_work_in_the_stacks_namespace_only() -> None:
    for name in argo.DEPLOYMENTS:
        arguments = container(name)["args"]
        assert "--namespaced" in arguments
        assert "--managed-namespace=flows" in arguments
    kinds = {item["kind"] for item in ArgoService().manifests(context())}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}


def test_controller_and_executor_have_the_stacks_images() -> None:
    assert container("argo-controller")["image"] == "mirror/argo:1"
    assert container("argo-server")["image"] == "mirror/argo:1"
    assert "--executor-image=mirror/argoexec:1" in container("argo-controller")["args"]


def test_clients_of_the_server_log_in_with_a_token_of_their_own() -> None:
    assert [each for each in container("argo-server")["args"] if "auth" in each] == [
        "--auth-mode=client"
    ]


def test_artifacts_are_in_a_bucket_of_their_own_with_keys_of_their_own() -> None:
    ctx = context()
    repository = setting("artifactRepository")["s3"]
    assert f"http://{repository['endpoint']}" == minio.ENDPOINT_IN_CLUSTER
    assert repository["bucket"] == argo.BUCKET != minio.BUCKET
    keys = decoded(find(ctx, "Secret", "argo-artifacts", "flows"))
    for reference in (repository["accessKeySecret"], repository["secretKeySecret"]):
        assert reference["name"] == "argo-artifacts"
        assert reference["key"] in keys
    assert not set(keys.values()) & set(minio.pod_environment(ctx).values())


def test_the_user_of_artifacts_has_no_access_to_other_buckets() -> None:
    policy = minio._allow(minio._of_bucket(argo.BUCKET))
    resources = {resource for each in policy["Statement"] for resource in each["Resource"]}
    assert resources == {"arn:aws:s3:::argo-workflows", "arn:aws:s3:::argo-workflows/*"}


def test_only_the_executors_container_gets_a_token() -> None:
    defaults = setting("workflowDefaults")["spec"]
    name = defaults["executor"]["serviceAccountName"]
    account = find(context(), "ServiceAccount", name)
    assert account["automountServiceAccountToken"] is False
    # Argo: the name that the controller looks for.
    assert f"{name}.service-account-token" == EXECUTOR_TOKEN
    secret = find(context(), "Secret", EXECUTOR_TOKEN, "flows")
    assert secret["metadata"]["annotations"]["kubernetes.io/service-account.name"] == name
    # Pods whose template names no account, such as that of a JobSet.
    assert defaults["serviceAccountName"] == name


def test_an_executor_may_write_where_argo_mounts_no_volume() -> None:
    """The init container of a `resource` template writes /tmp/manifest.yaml to the image's /tmp."""
    context_of_executor = setting("executor")["securityContext"]
    assert context_of_executor["runAsNonRoot"] is True
    assert not context_of_executor.get("readOnlyRootFilesystem")


def test_the_controller_does_not_watch_its_configuration() -> None:
    # argoproj/argo-workflows#11657; `up` restarts it instead.
    variables = {each["name"]: each["value"] for each in container("argo-controller")["env"]}
    assert variables["WATCH_CONTROLLER_SEMAPHORE_CONFIGMAPS"] == "false"
    deployment = find(context(), "Deployment", "argo-controller")
    assert "devstack/credentials" in deployment["spec"]["template"]["metadata"]["annotations"]


def test_the_programs_know_time_zones() -> None:
    for name in ("workflow-controller", "argo", "argoexec"):
        (tags,) = (flag for flag in PROGRAMS[name].flags if flag.startswith("-tags="))
        assert "timetzdata" in tags.split(",")
    assert not any("timetzdata" in flag for flag in PROGRAMS["minio"].flags)


def permissions(role: str, namespace: str = "flows") -> set[tuple[str, str]]:
    rules = find(context(), "Role", role, namespace)["rules"]
    return {
        (verb, resource)
        for rule in rules
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if "resourceNames" not in rule
    }


def test_an_executor_may_report_results_and_start_gangs_and_nothing_else() -> None:
    assert permissions("argo-executor") == {
        ("create", "workflowtaskresults"),
        ("patch", "workflowtaskresults"),
        ("create", "jobsets"),
        ("get", "jobsets"),
    }


@pytest.mark.parametrize("role", ["argo-controller", "argo-server", "argo-submitter", "argo-user"])
def test_no_account_may_read_secrets_or_grant_rights(role: str) -> None:
    resources = {resource for _, resource in permissions(role)}
    assert not resources & {"secrets", "*", "roles", "rolebindings", "serviceaccounts/token"}
    assert "*" not in {verb for verb, _ in permissions(role)}


def test_in_its_own_namespace_the_controller_reads_one_config_map() -> None:
    for role in ("argo-controller", "argo-server"):
        assert permissions(role, "argo") == set()


def test_the_server_may_not_write() -> None:
    assert {verb for verb, _ in permissions("argo-server")} == {"get", "list", "watch"}


def test_submitters_may_do_what_metaflow_calls() -> None:
    binding = find(context(), "RoleBinding", "argo-submitter")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "metaflow-submitter", "namespace": "flows"}
    ]
    verbs = permissions("argo-submitter")
    # metaflow/plugins/argo/argo_client.py
    for verb in ("create", "get", "patch"):
        assert (verb, "workflows") in verbs
    for verb in ("create", "get", "list", "update", "delete"):
        assert (verb, "workflowtemplates") in verbs
    for verb in ("create", "get", "update", "delete"):
        assert (verb, "cronworkflows") in verbs
    assert ("delete", "sensors") in verbs


def test_the_objects_are_valid_and_the_kinds_that_flows_use_are_defined() -> None:
    objects = ArgoService().manifests(context())
    for item in objects:
        assert schema_errors(item) == unknown_fields(item) == [], item["metadata"]["name"]
    defined = {
        item["spec"]["names"]["kind"]: item["spec"]["names"]["plural"]
        for item in objects
        if item["kind"] == "CustomResourceDefinition"
    }
    assert {"Workflow", "WorkflowTemplate", "CronWorkflow", "WorkflowTaskResult"} <= set(defined)
    for kind in ("Workflow", "WorkflowTemplate", "CronWorkflow"):
        assert KNOWN[ARGO, kind].plural == defined[kind]


@pytest.mark.parametrize("kind", ["Workflow", "WorkflowTemplate", "CronWorkflow"])
def test_what_argo_understands_is_not_pruned(kind: str) -> None:
    (definition,) = (
        item
        for item in ArgoService().manifests(context())
        if item["kind"] == "CustomResourceDefinition" and item["spec"]["names"]["kind"] == kind
    )
    (version,) = definition["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert spec["x-kubernetes-preserve-unknown-fields"] is True


def references() -> Iterator[tuple[str, str]]:
    """Where the version is stated, apart from versions.py."""
    text = (CONTAINERS / "argo" / "go.mod").read_text()
    (line,) = (each for each in text.splitlines() if f"{MODULE} v" in each)
    yield "go.mod", line.split(f"{MODULE} ")[1].split()[0]
    for name in argo.DEPLOYMENTS:
        file = project_file("k8s", "argo", f"{name.removeprefix('argo-')}.yaml")
        for line in file.read_text().splitlines():
            if "devstack/argo" in line:
                yield name, line.rpartition(":")[2]


def test_one_version_is_compiled_run_and_described() -> None:
    assert {version for _, version in references()} == {versions.ARGO}


def test_metaflows_conditionals_work_in_this_version() -> None:
    # Netflix/metaflow#3043: they hang from 3.7.11 on.
    major, minor, patch = (int(each) for each in versions.ARGO.removeprefix("v").split("."))
    assert (major, minor) == (3, 7)
    assert patch <= 10


@pytest.fixture
def api() -> FakeApi:
    up = FakeApi()
    up.add(*(available(name, "argo") for name in argo.DEPLOYMENTS))
    up.add(token(EXECUTOR_TOKEN, "executor"), token(USER_TOKEN, "user"))
    return up


def test_it_is_ready_when_both_run_and_the_tokens_exist(api: FakeApi) -> None:
    assert ArgoService().observe(context(api)) == Ready()
    api.add(token(EXECUTOR_TOKEN))
    observation = ArgoService().observe(context(api))
    assert observation == Waiting(f"Secret flows/{EXECUTOR_TOKEN} has no token yet")


def test_a_mapped_port_has_to_answer(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str]] = []

    def answers(port: int, path: str) -> bool:
        asked.append((port, path))
        return len(asked) > 1

    monkeypatch.setattr("devstack.services.argo.answers", answers)
    ctx = context(api, mapped_ports=["argo"])
    assert isinstance(ArgoService().observe(ctx), Waiting)
    assert ArgoService().observe(ctx) == Ready()
    assert asked[0] == (42746, "/")


def test_the_users_token_is_kept_for_status(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str]] = []
    monkeypatch.setattr(minio, "ensure_bucket", lambda _, name, key: made.append((name, key)))
    ctx = context(api)
    assert not ArgoService().is_prepared(ctx)
    assert ArgoService().outputs(ctx).secrets == {}
    ArgoService().prepare(ctx)
    assert ArgoService().is_prepared(ctx)
    assert ArgoService().outputs(ctx).secrets == {"argo-token": "user"}
    keys = decoded(find(ctx, "Secret", "argo-artifacts"))
    assert made == [(keys["accesskey"], keys["secretkey"])]


def test_metaflow_prints_links_to_the_stacks_server() -> None:
    outputs = ArgoService().outputs(context())
    assert outputs.metaflow == {"METAFLOW_ARGO_WORKFLOWS_UI_URL": "http://127.0.0.1:42746"}
    assert outputs.urls == {"argo": "http://127.0.0.1:42746"}
