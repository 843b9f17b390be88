"""Airflow: scheduler, web server and triggerer."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from devstack.airflow.client import ADMIN, AirflowClient
from devstack.airflow.health import get_activity, get_health
from devstack.errors import DevstackError
from devstack.kube import manifests
from devstack.kube.pods import observe_pod
from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.services import minio, postgres
from devstack.services.airflow import config as airflow_config
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.waits import Failed, Observation, Ready, Waiting

NAMESPACE = "airflow"
HOME = "/airflow"
"""AIRFLOW_HOME in its pods: one volume, with the DAG files in ``dags``."""

SCHEDULER = "component=scheduler"
"""Label selector of the scheduler's pod."""

COMPONENTS = ("scheduler", "webserver", "triggerer")
SECRET = "airflow"  # noqa: S105 - the Secret's name
ADMIN_SECRET = "airflow-admin"  # noqa: S105 - the Secret's name
S3_SECRET = "airflow-s3"  # noqa: S105 - the Secret's name
KUBECONFIG = "/etc/airflow/kubeconfig"
"""Kubeconfig in the scheduler's pod, for DAGs that name the cluster by one; see k8s/airflow."""

WORKERS = "airflow-workers"
"""Role that allows worker pods, which only KubernetesExecutor needs."""

_TIMEOUT_PARAMS = "?connect_timeout=5&tcp_user_timeout=15000"
"""A killed pod sends no FIN; without timeouts clients hang for 15 minutes. In seconds and
milliseconds."""

READY_TIMEOUT = 2.0
STATUS_TIMEOUT = 3.0

_TASK_NAMESPACE = "metaflow"
"""The task namespace in the files below k8s/."""


class AirflowService(Service):
    """Airflow, allowed to run pods in the task namespace only."""

    name = "airflow"
    about = "runs flows as DAGs, by LocalExecutor or KubernetesExecutor"
    needs = ("rbac", "minio", "postgres")
    optional = True
    images = ("airflow", "xcom")
    database = "airflow"
    samples = ("linear", "fanout", "flaky", "branches", "scheduled")
    host_ports = (HostPort("airflow", 8080, 30880, f"{NAMESPACE}/airflow:8080", "Airflow"),)

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/airflow, its Secrets, and its configuration."""
        namespace, *objects = _objects(ctx)
        env = _variables(ctx)
        admin = {"password": ctx.state.credential("airflow_admin_password")}
        setup_id = _setup_id(ctx, objects, {**env, **admin})
        env["DEVSTACK_SETUP"] = setup_id
        s3 = minio.pod_environment(ctx)
        secrets = [
            manifests.secret(SECRET, NAMESPACE, env),
            manifests.secret(ADMIN_SECRET, NAMESPACE, admin),
            manifests.secret(S3_SECRET, NAMESPACE, s3),
        ]
        config = next(item for item in objects if item["kind"] == "ConfigMap")
        settings = {**env, **s3, **config["data"]}
        objects = manifests.with_restarts(objects, settings)
        return [namespace, *secrets, *(_with_job_name(item, setup_id) for item in objects)]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Check that all components run and, if its port is mapped, that the web server answers."""
        for component in COMPONENTS:
            observation = observe_deployment(ctx.api, NAMESPACE, f"airflow-{component}")
            if not isinstance(observation, Ready):
                # The components wait for the Job; if it fails, that is the reason.
                return _setup_failure(ctx) or observation
        if not ctx.is_mapped("airflow"):
            return Ready()
        try:
            get_health(connect(ctx, timeout=READY_TIMEOUT))
        except DevstackError as error:
            return Waiting(f"{error}: {error.cause}")
        return Ready()

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return the UI's address, its login, and settings for the DAGs that Metaflow compiles."""
        return Outputs(
            # Metaflow's default, an hour, would hide a pod that cannot start.
            metaflow={"METAFLOW_AIRFLOW_KUBERNETES_STARTUP_TIMEOUT_SECONDS": "600"},
            urls={"airflow": url(ctx)},
            secrets={
                "airflow-user": ADMIN,
                "airflow-password": ctx.state.credential("airflow_admin_password"),
            },
        )

    def describe(self, ctx: ServiceContext) -> str:
        """Return the scheduler's heartbeat, the number of tasks, and DAG import errors."""
        try:
            return str(get_activity(connect(ctx, timeout=STATUS_TIMEOUT)))
        except DevstackError as error:
            return f"its REST API does not answer on {url(ctx)}: {error.cause}"


def connect(ctx: ServiceContext, *, timeout: float = 15.0) -> AirflowClient:
    """Return a client of the stack's Airflow; ``timeout`` in seconds for each request."""
    return AirflowClient(url(ctx), ctx.state.credential("airflow_admin_password"), timeout=timeout)


def url(ctx: ServiceContext) -> str:
    """Return the address of Airflow's UI and REST API on the host."""
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
    """Return a workload with the stack's image for the XCom sidecar."""
    if item["kind"] != "Deployment" or "xcom" not in images:
        return item
    changed = copy.deepcopy(item)
    for variable in changed["spec"]["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == "DEVSTACK_XCOM_IMAGE":
            variable["value"] = images["xcom"]
    return changed


def _variables(ctx: ServiceContext) -> dict[str, str]:
    database = postgres.url(ctx.state, "airflow", "postgresql+psycopg2") + _TIMEOUT_PARAMS
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        # Fernet requires 32 bytes in padded base64.
        "AIRFLOW__CORE__FERNET_KEY": ctx.state.credential("airflow_fernet_key", 32) + "=",
        "AIRFLOW__WEBSERVER__SECRET_KEY": ctx.state.credential("airflow_secret_key"),
    }


def _setup_id(ctx: ServiceContext, objects: list[Manifest], settings: Mapping[str, str]) -> str:
    """Return an id of this version of the setup; Airflow's components wait for it.

    It includes the cluster: data restored into a new cluster carries the id of an
    earlier setup, and no component may start before the new one.
    """
    specs = [item["spec"] for item in objects if item["kind"] == "Job"]
    return manifests.checksum([specs, dict(settings), ctx.state.cluster])[:8]


def _with_job_name(item: Manifest, setup_id: str) -> Manifest:
    """Return the Job with the setup's id in its name, since Jobs are immutable."""
    if item["kind"] != "Job":
        return item
    return {**item, "metadata": {**item["metadata"], "name": f"airflow-setup-{setup_id}"}}


def _setup_failure(ctx: ServiceContext) -> Failed | None:
    pods = ctx.api.list_objects("v1", "Pod", NAMESPACE, labels="component=setup")
    observations = [observe_pod(ctx.api, pod) for pod in pods]
    return next((each for each in observations if isinstance(each, Failed)), None)
