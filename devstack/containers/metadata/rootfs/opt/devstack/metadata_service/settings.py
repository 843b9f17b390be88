"""What the service is told by its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How the service runs.

    Attributes:
        key: what callers must send as ``x-api-key``; empty lets everyone in.
        host: the address to listen on.
        port: the port to listen on; 0 for any free one.
        database: where Postgres is, as a URL; empty for libpq's variables
            (``PGHOST``, ``PGUSER``, ``PGPASSWORD``, ``PGDATABASE`` ...).
        connections: how many connections to hold at most.
        patience: seconds that a request waits for a database that does not
            answer, before it is told to come again.
    """

    key: str = ""
    host: str = "0.0.0.0"  # noqa: S104 - in a pod, where a Service leads to it
    port: int = 8080
    database: str = ""
    connections: int = 8
    patience: float = 10.0


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that the variables ``METADATA_*`` make."""
    return Settings(
        key=environment.get("METADATA_KEY", ""),
        host=environment.get("METADATA_HOST", Settings.host),
        port=int(environment.get("METADATA_PORT", Settings.port)),
        database=environment.get("METADATA_DATABASE", ""),
        connections=int(environment.get("METADATA_CONNECTIONS", Settings.connections)),
    )
