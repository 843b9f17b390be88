"""How Airflow is, by its own REST API: heartbeats, files it cannot import, tasks at work."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import PurePosixPath
from typing import Any

from devstack.ports import LOOPBACK

ANSWER_SECONDS = 3.0
_PATHS = ("/health", "/api/v1/importErrors?limit=3", "/api/v1/pools")


@dataclass(frozen=True)
class Health:
    """Airflow as it is now.

    Attributes:
        healthy: by part ("scheduler", "triggerer", "metadatabase"), whether it is.
        heartbeat: seconds since the scheduler was last heard of; None where it never was.
        broken: files that cannot be imported, the first few.
        errors: how many files cannot be imported.
        running: task instances at work.
        queued: task instances that wait for a slot, or to be started.
    """

    healthy: Mapping[str, bool]
    heartbeat: float | None
    broken: tuple[str, ...]
    errors: int
    running: int
    queued: int

    def __str__(self) -> str:
        ill = [part for part, well in self.healthy.items() if not well]
        parts = [f"{part} is unhealthy" for part in ill]
        if self.heartbeat is not None:
            parts.append(f"scheduler heard of {self.heartbeat:.0f} s ago")
        parts.append(f"{self.running} running, {self.queued} queued")
        parts.append(self._about_errors())
        return "; ".join(parts)

    def _about_errors(self) -> str:
        if not self.errors:
            return "no import errors"
        count = "1 import error" if self.errors == 1 else f"{self.errors} import errors"
        return f"{count}: {', '.join(self.broken)}"


def look(port: int, user: str, password: str) -> Health | None:
    """Ask the web server on this machine; None where it does not answer as it should.

    Args:
        port: of the web server on loopback.
        user: who asks.
        password: the user's.
    """
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {token}"}
    try:
        with ThreadPoolExecutor(len(_PATHS)) as pool:
            answers = list(pool.map(lambda path: _get(port, path, headers), _PATHS))
        return _read(*answers)
    except (OSError, HTTPException, ValueError, KeyError):
        return None


def _get(port: int, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    connection = HTTPConnection(LOOPBACK, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        if answer.status != HTTPStatus.OK:
            raise ValueError(f"{path} answered {answer.status}")
        found: dict[str, Any] = json.loads(answer.read())
        return found
    finally:
        connection.close()


def _read(health: dict[str, Any], errors: dict[str, Any], pools: dict[str, Any]) -> Health:
    # A part that this Airflow does not have, such as a processor of its own for files, is null.
    healthy = {part: told["status"] == "healthy" for part, told in health.items() if told["status"]}
    slots = pools["pools"]
    return Health(
        healthy=healthy,
        heartbeat=_age(health["scheduler"]["latest_scheduler_heartbeat"]),
        broken=tuple(PurePosixPath(each["filename"]).name for each in errors["import_errors"]),
        errors=int(errors["total_entries"]),
        running=sum(int(pool["running_slots"]) for pool in slots),
        queued=sum(int(pool["queued_slots"]) + int(pool["scheduled_slots"]) for pool in slots),
    )


def _age(heartbeat: str | None) -> float | None:
    if not heartbeat:
        return None
    return max(
        0.0, (datetime.now(timezone.utc) - datetime.fromisoformat(heartbeat)).total_seconds()
    )
