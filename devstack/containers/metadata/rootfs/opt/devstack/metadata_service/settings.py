"""Settings from environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The settings of the service.

    Attributes:
        key: the required header ``x-api-key``; empty accepts every request.
        host: the address to listen on.
        port: the port to listen on; 0 for any free one.
        database: connection URL of Postgres; empty for libpq's variables
            (``PGHOST``, ``PGUSER``, ``PGPASSWORD``, ``PGDATABASE`` ...).
        connections: the maximum number of connections.
        acquire_timeout: seconds that a request waits for a database connection,
            before it fails with 503.
    """

    key: str = ""
    host: str = "0.0.0.0"  # noqa: S104 - in a pod, behind a Service
    port: int = 8080
    database: str = ""
    connections: int = 8
    acquire_timeout: float = 10.0


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of the variables ``METADATA_*``."""
    return Settings(
        key=environment.get("METADATA_KEY", ""),
        host=environment.get("METADATA_HOST", Settings.host),
        port=int(environment.get("METADATA_PORT", Settings.port)),
        database=environment.get("METADATA_DATABASE", ""),
        connections=int(environment.get("METADATA_CONNECTIONS", Settings.connections)),
    )
