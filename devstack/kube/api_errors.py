"""The errors of the Kubernetes API."""

from __future__ import annotations

import json

from devstack.errors import DevstackError, ExitStatus


class ApiError(DevstackError):
    """The API server refused a request.

    Args:
        request: method and path, such as ``GET /api/v1/pods``.
        status: the HTTP status.
        reason: the reason of the Status object, such as ``NotFound``.
        detail: its message.
    """

    remedy_text = "run `devstack status`; `devstack kubectl` reaches the cluster directly"
    code_text = "API_REFUSED"

    def __init__(self, request: str, status: int, reason: str, detail: str) -> None:
        super().__init__(
            f"the Kubernetes API refused `{request}` with status {status}",
            cause=detail or reason,
            remedy=self.remedy_text,
            code=self.code_text,
        )
        self.status = status
        self.reason = reason
        self.detail = detail


class NotFoundError(ApiError):
    """There is no such object, or no such kind."""

    code_text = "API_NOT_FOUND"


class ForbiddenError(ApiError):
    """The identity lacks a permission."""

    code_text = "API_FORBIDDEN"
    remedy_text = "use an identity that has the permission, or check `devstack kubectl auth can-i`"


class UnauthorizedError(ApiError):
    """The identity is not known to the API server."""

    code_text = "API_UNAUTHORIZED"
    remedy_text = "run `devstack up` to renew the stack's kubeconfig"


class ConflictError(ApiError):
    """The object already exists, has changed, or is being deleted."""

    code_text = "API_CONFLICT"
    remedy_text = "run the command again"


class InvalidError(ApiError):
    """The object is invalid; most often, an immutable field changed."""

    code_text = "API_INVALID"
    remedy_text = "if a field is immutable: `devstack down`, then `devstack up`"


class ServerFaultError(ApiError):
    """The server cannot answer now; most often, a webhook is not ready yet."""

    code_text = "API_SERVER_FAULT"
    remedy_text = "run the command again; if it fails again, see `devstack logs`"


class UnreachableError(DevstackError):
    """No API server answers at the address."""

    def __init__(self, server: str, cause: str) -> None:
        super().__init__(
            f"cannot reach the Kubernetes API at {server}",
            cause=cause,
            remedy="run `devstack up`; it starts or repairs the cluster",
            code="API_UNREACHABLE",
            exit_status=ExitStatus.ENVIRONMENT,
        )


_BY_STATUS: dict[int, type[ApiError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: InvalidError,
}


def from_answer(request: str, status: int, body: bytes) -> ApiError:
    """Return the error for an answer with a status of 400 or more."""
    kind = _BY_STATUS.get(status, ServerFaultError if status >= 500 or status == 429 else ApiError)
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        answer = {"message": body.decode(errors="replace").strip()[:500]}
    return kind(request, status, answer.get("reason", ""), answer.get("message", ""))
