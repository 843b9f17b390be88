"""Airflow: scheduler, web server, triggerer, and what Celery needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from devstack.airflow.client import ADMIN, AirflowClient
from devstack.airflow.health import get_activity, get_health
from devstack.airflow_settings import has_celery, is_scaled
from devstack.errors import DevstackError
from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.samples.catalogue import DAG_SAMPLES
from devstack.services import minio
from devstack.services.airflow import parts, routes
from devstack.services.airflow.address import flower_prefix, path_prefix, public_url
from devstack.services.airflow.celery import observe_workers, with_replicas
from devstack.services.airflow.config import require_usable_cfg
from devstack.services.airflow.installation import DEFAULT, Installation
from devstack.services.airflow.objects import CONFIG, all_objects, key
from devstack.services.airflow.secrets import (
    FLOWER_SECRET,
    FLOWER_USER,
    administrator,
    flower_password,
    secrets,
    variables,
)
from devstack.services.airflow.setup_job import setup_failure, setup_id, with_job_name
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.waits import Observation, Ready, Waiting

COMPONENTS = ("scheduler", "webserver", "triggerer")

READY_TIMEOUT = 2.0
STATUS_TIMEOUT = 3.0


class AirflowService(Service):
    """Airflow, allowed to run pods in the task namespace only."""

    name = "airflow"
    about = "runs flows as DAGs, by LocalExecutor, KubernetesExecutor or CeleryExecutor"
    needs = ("rbac", "minio", "postgres")
    optional = True
    images = ("airflow", "xcom")
    database = DEFAULT.database
    vhost = DEFAULT.database
    samples: tuple[str, ...] = tuple(sample.name for sample in DAG_SAMPLES)
    host_ports: tuple[HostPort, ...] = (
        HostPort("airflow", 8080, 30880, f"{DEFAULT.namespace}/airflow:8080", "Airflow"),
        HostPort("flower", 5555, 30555, f"{DEFAULT.namespace}/airflow-flower:5555", "Flower"),
    )

    def __init__(self, installation: Installation = DEFAULT) -> None:
        self.installation = installation
        if installation.prefix:
            self.name = installation.named("airflow")
            self.about = f"Airflow's installation {installation.prefix}"
            self.added = True
            self.database = self.vhost = installation.database
            self.samples = ()
            self.host_ports = tuple(_own_port(port, installation) for port in self.host_ports)

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/airflow, its Secrets, and its configuration."""
        namespace, *objects = parts.needed(self._objects(ctx), self._settings(ctx))
        env = variables(ctx, self.installation)
        version = setup_id(ctx, objects, {**env, **administrator(ctx, self.installation)})
        env["DEVSTACK_SETUP"] = version
        config = next(item for item in objects if key(item) == CONFIG)
        settings = {**env, **minio.pod_environment(ctx), **config["data"]}
        objects = [
            with_job_name(item, version) for item in manifests.with_restarts(objects, settings)
        ]
        objects = [with_replicas(item, self._settings(ctx)) for item in objects]
        has_flower = has_celery(self._settings(ctx))
        routed = self._routes(ctx, routes.backends(self._settings(ctx), flower=has_flower))
        return [namespace, *secrets(ctx, self.installation, env), *objects, *routed]

    def served_ports(self, ctx: ServiceContext) -> tuple[HostPort, ...]:
        """Return the host ports, without Flower's if no executor is Celery's."""
        flower = self.installation.named("flower")
        with_flower = has_celery(self._settings(ctx))
        return tuple(port for port in self.host_ports if with_flower or port.name != flower)

    def leftovers(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects that only other settings need."""
        settings = self._settings(ctx)
        unused = parts.not_needed(self._objects(ctx), settings)
        if not has_celery(settings):
            unused.append(manifests.secret(FLOWER_SECRET, self.installation.namespace, {}))
        routed = {each.name for each in routes.backends(settings, flower=has_celery(settings))}
        unrouted = [each for each in routes.ALL_BACKENDS if each.name not in routed]
        return [*self._routes(ctx, unrouted), *unused]

    def capabilities_detected(self, ctx: ServiceContext) -> bool:
        """Return True if the state records what routes requests for ``base_url``."""
        return not public_url(self._settings(ctx)) or bool(self._entry(ctx).kind)

    def adapt(self, ctx: ServiceContext) -> str:
        """Detect a Gateway or an IngressClass; return a warning if the cluster has neither."""
        settings = self._settings(ctx)
        entry = routes.find_entry(ctx.api, settings, self.installation)
        ctx.state.capabilities[self._capability] = str(entry)
        if entry.kind:
            return ""
        return (
            f"the cluster has neither a Gateway that accepts {public_url(settings)} nor an "
            f"IngressClass: {url(ctx, self.installation)} serves it on this machine"
        )

    def observe(self, ctx: ServiceContext) -> Observation:
        """Check that all components run and, if its port is mapped, that the web server answers."""
        settings, namespace = self._settings(ctx), self.installation.namespace
        for component in components(settings):
            name = f"airflow-{component}"
            observation = observe_deployment(ctx.api, namespace, name)
            if not isinstance(observation, Ready):
                # The components wait for the Job; if it fails, that is the reason.
                return setup_failure(ctx, self.installation) or observation
        if has_celery(settings):
            workers = observe_workers(ctx.api, namespace, settings)
            if not isinstance(workers, Ready):
                return workers
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
            metaflow={
                "METAFLOW_AIRFLOW_KUBERNETES_STARTUP_TIMEOUT_SECONDS": "600",
                # The engine of `DeployedFlow.from_deployment`; Metaflow's default is Argo.
                "METAFLOW_DEFAULT_FROM_DEPLOYMENT_IMPL": "airflow",
            },
            urls={name: url(ctx, self.installation), **self._flower_urls(ctx)},
            secrets={
                f"{name}-user": ADMIN,
                f"{name}-password": password,
                **self._flower_login(ctx),
            },
        )

    def _flower_urls(self, ctx: ServiceContext) -> dict[str, str]:
        if not has_celery(self._settings(ctx)):
            return {}
        return {self.installation.named("flower"): flower_url(ctx, self.installation)}

    def _flower_login(self, ctx: ServiceContext) -> dict[str, str]:
        if not has_celery(self._settings(ctx)):
            return {}
        name = self.installation.named("flower")
        password = flower_password(ctx, self.installation)
        return {f"{name}-user": FLOWER_USER, f"{name}-password": password}

    def describe(self, ctx: ServiceContext) -> str:
        """Return the scheduler's heartbeat, the number of tasks, and DAG import errors."""
        entry = self._entry(ctx) if public_url(self._settings(ctx)) else routes.Entry()
        routed = f"; {public_url(self._settings(ctx))} by {entry}" if entry.kind else ""
        try:
            activity = get_activity(connect(ctx, self.installation, timeout=STATUS_TIMEOUT))
            return f"{activity}{routed}"
        except DevstackError as error:
            address = url(ctx, self.installation)
            return f"its REST API does not answer on {address}: {error.cause}"

    @property
    def _capability(self) -> str:
        return f"{self.name}-routes"

    def _entry(self, ctx: ServiceContext) -> routes.Entry:
        return routes.parse_entry(ctx.state.capabilities.get(self._capability, ""))

    def _routes(self, ctx: ServiceContext, backends: list[routes.Backend]) -> list[Manifest]:
        return routes.routes(self._settings(ctx), self._entry(ctx), self.installation, backends)

    def _settings(self, ctx: ServiceContext) -> Mapping[str, Any]:
        return self.installation.settings(ctx.state.airflow)

    def _objects(self, ctx: ServiceContext) -> list[Manifest]:
        return all_objects(ctx, self.installation)


def components(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the components that are Deployments, with the table ``[airflow]``."""
    celery = ("flower",) if has_celery(settings) else ()
    return (*COMPONENTS, *celery, *(("autoscaler",) if is_scaled(settings) else ()))


def _own_port(port: HostPort, installation: Installation) -> HostPort:
    """Return an installation's port: it is forwarded, since a cluster maps a fixed set of ports."""
    target = port.target.replace(f"{DEFAULT.namespace}/", f"{installation.namespace}/", 1)
    return replace(
        port, name=installation.named(port.name), preferred=0, node_port=0, target=target
    )


def connect(
    ctx: ServiceContext, installation: Installation = DEFAULT, *, timeout: float = 15.0
) -> AirflowClient:
    """Return a client of an installation; ``timeout`` in seconds for each request."""
    password = administrator(ctx, installation)["password"]
    return AirflowClient(url(ctx, installation), password, timeout=timeout)


def url(ctx: ServiceContext, installation: Installation = DEFAULT) -> str:
    """Return the address of an installation's UI and REST API on the host."""
    port = installation.host_port(ctx.state, "airflow")
    return f"http://{LOOPBACK}:{port}{path_prefix(installation.settings(ctx.state.airflow))}"


def replaced_options(
    settings: Mapping[str, Any], installation: Installation = DEFAULT
) -> list[str]:
    """Check the user's airflow.cfg; return a sentence for each option that is replaced.

    Args:
        settings: the table ``[airflow]`` of devstack.toml, with the texts of its files.
        installation: whose file it is.

    Raises:
        DevstackError: ``AIRFLOW_CFG_INVALID`` or ``AIRFLOW_CFG_SECRET``.
    """
    config = next(item for item in manifests.load("airflow") if key(item) == CONFIG)
    return require_usable_cfg(config, settings, installation)


def flower_url(ctx: ServiceContext, installation: Installation = DEFAULT) -> str:
    """Return the address of an installation's Flower on the host."""
    port = installation.host_port(ctx.state, "flower")
    return f"http://{LOOPBACK}:{port}{flower_prefix(installation.settings(ctx.state.airflow))}"
