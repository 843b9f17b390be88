"""Airflow, which runs flows as DAGs: scheduler, web server and triggerer."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from devstack.kube import manifests
from devstack.kube.pods import observe_pod
from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.services import minio, postgres
from devstack.services.airflow import config as airflow_config
from devstack.services.airflow import health as airflow_health
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.services.http_probe import answers
from devstack.waits import Failed, Observation, Ready, Waiting

NAMESPACE = "airflow"
ADMINISTRATOR = "admin"
HOME = "/airflow"
"""Airflow's home in its pods; DAG files lie in ``dags`` below it, on one volume with all else."""

SCHEDULER = "component=scheduler"
"""The label of the scheduler's pod."""

PARTS = ("scheduler", "webserver", "triggerer")
SECRET = "airflow"  # noqa: S105 - the Secret's name
ADMIN_SECRET = "airflow-admin"  # noqa: S105 - the Secret's name
S3_SECRET = "airflow-s3"  # noqa: S105 - the Secret's name
KUBECONFIG = "/etc/airflow/kubeconfig"
"""A kubeconfig in the scheduler's pod, for DAGs that name the cluster by one; see k8s/airflow."""

WORKERS = "airflow-workers"
"""The right to run worker pods, which KubernetesExecutor alone needs."""

_TIMEOUT_PARAMS = "?connect_timeout=5&tcp_user_timeout=15000"
"""Nobody says goodbye for a database pod that is killed: without this (the second in
milliseconds) its clients would wait for an answer for a quarter of an hour."""

_TASK_NAMESPACE = "metaflow"
"""The task namespace as the files under k8s/ have it."""


class AirflowService(Service):
    """Airflow, with rights to run pods in the task namespace and nowhere else."""

    name = "airflow"
    about = "runs flows as DAGs, by LocalExecutor or KubernetesExecutor"
    needs = ("rbac", "minio", "postgres")
    optional = True
    images = ("airflow", "xcom")
    database = "airflow"
    samples = ("linear", "fanout", "flaky", "branches", "scheduled")
    host_ports = (HostPort("airflow", 8080, 30880, f"{NAMESPACE}/airflow:8080", "Airflow"),)

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/airflow, its Secrets, and its configuration as wanted."""
        namespace, *objects = _objects(ctx)
        keys, admin = _keys(ctx), {"password": ctx.state.credential("airflow_admin_password")}
        mark = _mark(ctx, objects, {**keys, **admin})
        keys["DEVSTACK_SETUP"] = mark
        s3 = minio.pod_environment(ctx)
        secrets = [
            manifests.secret(SECRET, NAMESPACE, keys),
            manifests.secret(ADMIN_SECRET, NAMESPACE, admin),
            manifests.secret(S3_SECRET, NAMESPACE, s3),
        ]
        config = next(item for item in objects if item["kind"] == "ConfigMap")
        settings = {**keys, **s3, **config["data"]}
        objects = manifests.with_restarts(objects, settings)
        return [namespace, *secrets, *(_named(item, mark) for item in objects)]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Look whether all parts run, and whether the web page answers where its port is mapped."""
        for part in PARTS:
            seen = observe_deployment(ctx.api, NAMESPACE, f"airflow-{part}")
            if not isinstance(seen, Ready):
                # They wait for the Job; where that fails, it is what there is to tell.
                return _setup_failure(ctx) or seen
        if not ctx.host_mapped or answers(ctx.state.ports.get("airflow", 0), "/health"):
            return Ready()
        return Waiting(f"Airflow does not answer on {url(ctx)} yet")

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return the web page and how to log in; what DAG files are to leave to their pods."""
        return Outputs(
            # Metaflow's own hour would hide a pod that never starts.
            metaflow={"METAFLOW_AIRFLOW_KUBERNETES_STARTUP_TIMEOUT_SECONDS": "600"},
            urls={"airflow": url(ctx)},
            secrets={
                "airflow-user": ADMINISTRATOR,
                "airflow-password": ctx.state.credential("airflow_admin_password"),
            },
        )

    def describe(self, ctx: ServiceContext) -> str:
        """Return the scheduler's heartbeat, tasks at work, and files that cannot be imported."""
        password = ctx.state.credential("airflow_admin_password")
        health = airflow_health.look(ctx.state.ports.get("airflow", 0), ADMINISTRATOR, password)
        return str(health) if health else f"its REST API does not answer on {url(ctx)}"


def url(ctx: ServiceContext) -> str:
    """Return the address of Airflow's web page and REST API on the host."""
    return f"http://{LOOPBACK}:{ctx.state.ports.get('airflow', 0)}"


def _objects(ctx: ServiceContext) -> list[Manifest]:
    settings = ctx.state.airflow
    objects = manifests.with_namespace(
        manifests.load("airflow"), _TASK_NAMESPACE, ctx.state.namespace
    )
    objects = [
        _with_sidecar(item, ctx.state.images)
        for item in manifests.with_images(objects, ctx.state.images)
    ]
    by_name = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    plain = by_name["ConfigMap", "airflow-config"]
    config = airflow_config.with_settings(plain, settings)
    if airflow_config.executor(settings) == airflow_config.KUBERNETES_EXECUTOR:
        config = airflow_config.with_worker(config, by_name["Deployment", "airflow-scheduler"])
    else:
        objects = [item for item in objects if item["metadata"]["name"] != WORKERS]
    return [config if item is plain else item for item in objects]


def _with_sidecar(item: Manifest, images: Mapping[str, str]) -> Manifest:
    """Return a workload that names the sidecar's image as the stack has it."""
    if item["kind"] != "Deployment" or "xcom" not in images:
        return item
    changed = copy.deepcopy(item)
    for variable in changed["spec"]["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == "DEVSTACK_XCOM_IMAGE":
            variable["value"] = images["xcom"]
    return changed


def _keys(ctx: ServiceContext) -> dict[str, str]:
    database = postgres.url(ctx.state, "airflow", "postgresql+psycopg2") + _TIMEOUT_PARAMS
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        # Fernet wants 32 bytes in base64, to the last character.
        "AIRFLOW__CORE__FERNET_KEY": ctx.state.credential("airflow_fernet_key", 32) + "=",
        "AIRFLOW__WEBSERVER__SECRET_KEY": ctx.state.credential("airflow_secret_key"),
    }


def _mark(ctx: ServiceContext, objects: list[Manifest], settings: Mapping[str, str]) -> str:
    """Return what tells one set-up from another; Airflow's parts wait for theirs.

    The cluster counts: data that outlived its cluster has the mark of an
    earlier set-up, beside which nothing should start.
    """
    specs = [item["spec"] for item in objects if item["kind"] == "Job"]
    return manifests.checksum([specs, dict(settings), ctx.state.cluster])[:8]


def _named(item: Manifest, mark: str) -> Manifest:
    """Return the Job under a name of its own: a Job cannot be changed."""
    if item["kind"] != "Job":
        return item
    return {**item, "metadata": {**item["metadata"], "name": f"airflow-setup-{mark}"}}


def _setup_failure(ctx: ServiceContext) -> Failed | None:
    pods = ctx.api.list_objects("v1", "Pod", NAMESPACE, labels="component=setup")
    seen = [observe_pod(ctx.api, pod) for pod in pods]
    return next((each for each in seen if isinstance(each, Failed)), None)
