"""The state of the synchronization, written to a ConfigMap that devstack reads."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

HEARTBEAT_SECONDS = 30.0
"""How often an unchanged state is written, so that a stopped synchronization is noticed."""
TIMEOUT_SECONDS = 10.0
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
KEY = "status"


class Report:
    """Writes the state when it changes, and now and then when it does not.

    Args:
        write: stores a text; raises OSError or ValueError.
        log: prints a line.
    """

    def __init__(self, write: Callable[[str], None], log: Callable[[str], None]) -> None:
        self._write = write
        self._log = log
        self._shown: dict[str, Any] = {}
        self._since = ""
        self._due = 0.0

    def show(self, state: str, **details: str) -> None:
        """Report a state.

        Args:
            state: "synced", "empty" or "failed".
            details: the repository, the branch, the commit, the reason.
        """
        shown = {"state": state, **details}
        if shown != self._shown:
            self._since = _now()
            self._due = 0.0
            self._log(" ".join(filter(None, (state, _line(details)))))
        self._shown = shown
        if time.monotonic() >= self._due:
            self._store()

    def repeat(self) -> None:
        """Write the state again, if it is time to: the next one may come after an hour."""
        # One that could not be written is written with the next one.
        if self._due and time.monotonic() >= self._due:
            self._store()

    def _store(self) -> None:
        self._due = 0.0
        now = _now()
        try:
            self._write(json.dumps({**self._shown, "since": self._since, "checked": now}))
            self._due = time.monotonic() + HEARTBEAT_SECONDS
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._log(f"cannot write the status: {error}")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _line(details: dict[str, str]) -> str:
    if "reason" in details:
        return f"{details['code']}: {details['reason']}"
    return f"{details.get('commit', '')[:10]} {details.get('subject', '')}".strip()


def write_config_map(name: str) -> Callable[[str], None]:
    """Return a function that writes a text to a ConfigMap of the pod's namespace."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    namespace = (ACCOUNT / "namespace").read_text().strip()
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))

    def write(text: str) -> None:
        connection = http.client.HTTPSConnection(
            host, int(port), timeout=TIMEOUT_SECONDS, context=trust
        )
        try:
            # The token is rotated.
            token = (ACCOUNT / "token").read_text().strip()
            connection.request(
                "PATCH",
                f"/api/v1/namespaces/{namespace}/configmaps/{name}",
                json.dumps({"data": {KEY: text}}),
                {
                    "Authorization": f"Bearer {token}",
                    "Content-Type": "application/merge-patch+json",
                },
            )
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.client.OK:
                raise ValueError(f"the API answers {answer.status} {answer.reason}")
        finally:
            connection.close()

    return write
