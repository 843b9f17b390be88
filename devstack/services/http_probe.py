"""HTTP readiness probes from the host.

The API reports a pod as ready for a while after its node went down.
"""

from __future__ import annotations

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from devstack.ports import LOOPBACK

TIMEOUT = 2.0
"""Seconds in which a service has to respond."""


def answers(port: int, path: str) -> bool:
    """Return True if a GET of ``path`` returns status 200.

    Args:
        port: on loopback; 0 if none is mapped.
        path: the service's readiness endpoint.
    """
    connection = HTTPConnection(LOOPBACK, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
