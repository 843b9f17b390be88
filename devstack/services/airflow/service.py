"""Airflow: scheduler, web server and triggerer."""

from __future__ import annotations

from devstack.airflow.client import ADMIN, AirflowClient
from devstack.airflow.health import get_activity, get_health
from devstack.errors import DevstackError
from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.services import minio
from devstack.services.airflow import parts
from devstack.services.airflow.installation import DEFAULT, Installation
from devstack.services.airflow.objects import CONFIG, all_objects, key
from devstack.services.airflow.secrets import administrator, secrets, variables
from devstack.services.airflow.setup_job import setup_failure, setup_id, with_job_name
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.waits import Observation, Ready, Waiting

COMPONENTS = ("scheduler", "webserver", "triggerer")

READY_TIMEOUT = 2.0
STATUS_TIMEOUT = 3.0


class AirflowService(Service):
    """Airflow, allowed to run pods in the task namespace only."""

    name = "airflow"
    about = "runs flows as DAGs, by LocalExecutor or KubernetesExecutor"
    needs = ("rbac", "minio", "postgres")
    optional = True
    images = ("airflow", "xcom")
    database = DEFAULT.database
    samples = ("linear", "fanout", "flaky", "branches", "scheduled")
    host_ports = (HostPort("airflow", 8080, 30880, f"{DEFAULT.namespace}/airflow:8080", "Airflow"),)

    def __init__(self, installation: Installation = DEFAULT) -> None:
        self.installation = installation

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/airflow, its Secrets, and its configuration."""
        namespace, *objects = parts.needed(self._objects(ctx), ctx.state.airflow)
        env = variables(ctx, self.installation)
        version = setup_id(ctx, objects, {**env, **administrator(ctx, self.installation)})
        env["DEVSTACK_SETUP"] = version
        config = next(item for item in objects if key(item) == CONFIG)
        settings = {**env, **minio.pod_environment(ctx), **config["data"]}
        objects = [
            with_job_name(item, version) for item in manifests.with_restarts(objects, settings)
        ]
        return [namespace, *secrets(ctx, self.installation, env), *objects]

    def leftovers(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects that only other settings need."""
        return parts.not_needed(self._objects(ctx), ctx.state.airflow)

    def observe(self, ctx: ServiceContext) -> Observation:
        """Check that all components run and, if its port is mapped, that the web server answers."""
        for component in COMPONENTS:
            name = f"airflow-{component}"
            observation = observe_deployment(ctx.api, self.installation.namespace, name)
            if not isinstance(observation, Ready):
                # The components wait for the Job; if it fails, that is the reason.
                return setup_failure(ctx, self.installation) or observation
        if not ctx.is_mapped(self.installation.named("airflow")):
            return Ready()
        try:
            get_health(connect(ctx, self.installation, timeout=READY_TIMEOUT))
        except DevstackError as error:
            return Waiting(f"{error}: {error.cause}")
        return Ready()

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return the UI's address, its login, and settings for the DAGs that Metaflow compiles."""
        name = self.installation.named("airflow")
        password = administrator(ctx, self.installation)["password"]
        return Outputs(
            # Metaflow's default, an hour, would hide a pod that cannot start.
            metaflow={"METAFLOW_AIRFLOW_KUBERNETES_STARTUP_TIMEOUT_SECONDS": "600"},
            urls={name: url(ctx, self.installation)},
            secrets={f"{name}-user": ADMIN, f"{name}-password": password},
        )

    def describe(self, ctx: ServiceContext) -> str:
        """Return the scheduler's heartbeat, the number of tasks, and DAG import errors."""
        try:
            return str(get_activity(connect(ctx, self.installation, timeout=STATUS_TIMEOUT)))
        except DevstackError as error:
            address = url(ctx, self.installation)
            return f"its REST API does not answer on {address}: {error.cause}"

    def _objects(self, ctx: ServiceContext) -> list[Manifest]:
        return all_objects(ctx, self.installation)


def connect(
    ctx: ServiceContext, installation: Installation = DEFAULT, *, timeout: float = 15.0
) -> AirflowClient:
    """Return a client of an installation; ``timeout`` in seconds for each request."""
    password = administrator(ctx, installation)["password"]
    return AirflowClient(url(ctx, installation), password, timeout=timeout)


def url(ctx: ServiceContext, installation: Installation = DEFAULT) -> str:
    """Return the address of an installation's UI and REST API on the host."""
    return f"http://{LOOPBACK}:{installation.host_port(ctx.state, 'airflow')}"
