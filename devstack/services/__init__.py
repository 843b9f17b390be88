"""The services of a stack: ``SERVICES`` lists them, each file declares one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from devstack.services.airflow.installation import Installation
from devstack.services.airflow.service import AirflowService
from devstack.services.argo import ArgoService
from devstack.services.argo_events import ArgoEventsService
from devstack.services.base import Service
from devstack.services.gang import GangService
from devstack.services.git import GitService
from devstack.services.git_sync import GitSyncService
from devstack.services.jobset import JobSetService
from devstack.services.kubeflow import KubeflowService
from devstack.services.metadata import MetadataService
from devstack.services.metrics_server import MetricsServerService
from devstack.services.minio import MinioService
from devstack.services.network_policies import NetworkPoliciesService
from devstack.services.node_agent import NodeAgentService
from devstack.services.packages.service import PackagesService
from devstack.services.postgres import PostgresService
from devstack.services.rabbitmq import RabbitmqService
from devstack.services.rbac import RbacService
from devstack.services.redis import RedisService
from devstack.services.registry import RegistryService
from devstack.services.samples import SamplesService
from devstack.services.selection import sort_by_dependencies

SERVICES: tuple[Service, ...] = tuple(
    sort_by_dependencies(
        (
            RbacService(),
            MinioService(),
            PostgresService(),
            RabbitmqService(),
            RedisService(),
            AirflowService(),
            MetadataService(),
            JobSetService(),
            GangService(),
            MetricsServerService(),
            NodeAgentService(),
            NetworkPoliciesService(),
            PackagesService(),
            RegistryService(),
            GitService(),
            GitSyncService(),
            ArgoService(),
            ArgoEventsService(),
            KubeflowService(),
            SamplesService(),
        )
    )
)
"""All services, dependencies first.

Services that do not depend on each other keep the order above. It starts with
RBAC, whose token Kubernetes takes seconds to issue, and MinIO, whose volume takes
seconds. Airflow starts slowest, so JobSet, whose new kind the API serves after a
second, comes after it.
"""


def installations(airflow: Mapping[str, Any], known: Iterable[str]) -> list[AirflowService]:
    """Return Airflow's further installations: those of the settings, and those of before.

    Args:
        airflow: the table ``[airflow]`` of devstack.toml.
        known: the names of installations that the stack has or had.
    """
    names = {*airflow.get("installations", {}), *known}
    return [AirflowService(Installation(name)) for name in sorted(names)]
