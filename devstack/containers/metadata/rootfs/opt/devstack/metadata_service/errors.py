"""A request that is not served, and why."""

from __future__ import annotations


class ServiceError(Exception):
    """Why a request is not served.

    Args:
        status: the HTTP status; Metaflow reads 404 as "none yet", 409 as "made
            by another", 422 as a tag that cannot be, 503 as "come again".
        message: for whoever reads the answer.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
