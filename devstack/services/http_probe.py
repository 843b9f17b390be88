"""Asking a service itself whether it serves.

The API calls a pod ready for a while after its node went down.
"""

from __future__ import annotations

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from devstack.ports import LOOPBACK

ANSWER_SECONDS = 2.0
"""How long a service may take to say that it is ready."""


def answers(port: int, path: str) -> bool:
    """Return True where ``path`` is there at once on a port of this machine.

    Args:
        port: on loopback; 0 where none is mapped.
        path: what the service serves when it is ready.
    """
    connection = HTTPConnection(LOOPBACK, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
