"""Errors that become HTTP responses."""

from __future__ import annotations


class ServiceError(Exception):
    """A request that fails.

    Args:
        status: the HTTP status; Metaflow interprets 404 as "none yet", 409 as "exists
            already", 422 as an invalid tag, 503 as "retry".
        message: a sentence for people.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
