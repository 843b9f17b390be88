"""Settings from environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from kubeflow_pipelines.translation.workflows import Target

NAMESPACE, ACCOUNT = "metaflow", "metaflow-task"


@dataclass(frozen=True)
class Settings:
    """The settings of the service.

    Attributes:
        token: what clients send as ``Authorization: Bearer``; empty accepts every request.
        target: where workflows run.
        kubernetes: address of the Kubernetes API; empty for that of the pod's cluster.
        host: the address to listen on.
        port: the port to listen on.
        database: connection URL of Postgres; empty for libpq's variables.
        connections: the maximum number of connections.
        acquire_timeout: seconds that a request waits for a database connection.
    """

    token: str = ""
    target: Target = field(default_factory=lambda: Target(NAMESPACE, ACCOUNT))
    kubernetes: str = ""
    host: str = "0.0.0.0"  # noqa: S104 - in a pod, behind a Service
    port: int = 8888
    database: str = ""
    connections: int = 4
    acquire_timeout: float = 10.0


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of the variables ``PIPELINES_*``."""
    return Settings(
        token=environment.get("PIPELINES_TOKEN", ""),
        target=Target(
            environment.get("PIPELINES_NAMESPACE", NAMESPACE),
            environment.get("PIPELINES_ACCOUNT", ACCOUNT),
        ),
        kubernetes=environment.get("PIPELINES_KUBERNETES", ""),
        host=environment.get("PIPELINES_HOST", Settings.host),
        port=int(environment.get("PIPELINES_PORT", Settings.port)),
        database=environment.get("PIPELINES_DATABASE", ""),
    )
