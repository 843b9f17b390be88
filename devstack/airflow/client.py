"""A thin JSON client of Airflow's stable REST API.

docs/adr/0010-airflow-client.md compares it with ``apache-airflow-client``. Every
request carries the administrator's name and password (HTTP basic authentication).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from devstack.errors import DevstackError, ExitStatus

ADMIN = "admin"
"""Name of the administrator; each stack has its own password."""

API = "/api/v1"
PAGE_SIZE = 1000
"""The largest page (maximum_page_limit in k8s/airflow): a foreach may have thousands of tasks."""

CONNECT_TIMEOUT = 3.0

_LOGIN_FAILED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
"""Airflow answers with 403 to a wrong password; the administrator has every permission."""


class AirflowApiError(DevstackError):
    """Airflow rejected a request.

    Args:
        request: the method and the path.
        status: the HTTP status.
        detail: Airflow's reason.
    """

    def __init__(self, request: str, status: int, detail: str) -> None:
        super().__init__(
            f"Airflow rejected {request}",
            cause=f"status {status}: {detail}",
            remedy="devstack logs airflow",
            code="AIRFLOW_REFUSED",
        )
        self.status = status
        self.detail = detail


class AirflowUnavailableError(DevstackError):
    """Airflow cannot be reached, or answers with a server error while it or its database starts.

    Args:
        url: the web server's address.
        cause: what happened instead of an answer.
        status: the HTTP status of a server error; 0 if there was no answer.
    """

    def __init__(self, url: str, cause: str, status: int = 0) -> None:
        super().__init__(
            f"Airflow does not answer at {url}",
            cause=cause,
            remedy="check `devstack status` and `devstack logs airflow`",
            code="AIRFLOW_UNREACHABLE",
            exit_status=ExitStatus.ENVIRONMENT,
        )
        self.status = status


class AirflowClient:
    """Sends requests to one Airflow as its administrator; may be used by several threads.

    Args:
        url: address of the web server, without a trailing slash.
        password: the administrator's password.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, url: str, password: str, *, timeout: float = 15.0) -> None:
        self.url = url
        self._credentials = urllib3.make_headers(basic_auth=f"{ADMIN}:{password}")
        self._timeout = urllib3.Timeout(connect=min(CONNECT_TIMEOUT, timeout), read=timeout)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the resource at ``path`` below the API's root.

        Raises:
            AirflowApiError: it does not exist, or Airflow rejected the request.
            AirflowUnavailableError: there was no answer.
        """
        return self._json("GET", path, query=query)

    def find(self, path: str, **query: Any) -> dict[str, Any] | None:
        """Return the resource at ``path``, or None if it does not exist."""
        try:
            return self.get(path, **query)
        except AirflowApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def list_all(self, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield all items of a collection, page by page.

        Args:
            path: the collection.
            key: the field of the answer that holds the items.
            query: filters and order.
        """
        count = 0
        while True:
            page = self.get(path, limit=PAGE_SIZE, offset=count, **query)
            yield from page[key]
            count += len(page[key])
            if not page[key] or count >= page["total_entries"]:
                return

    def text(self, path: str, **query: Any) -> str:
        """Return the resource at ``path`` as plain text: a log, or a DAG's source."""
        return self._send("GET", path, query=query, accept="text/plain").decode(errors="replace")

    def post(
        self, path: str, body: Mapping[str, Any], *, timeout: float | None = None
    ) -> dict[str, Any]:
        """Create a resource and return it.

        Args:
            path: the collection.
            body: the resource.
            timeout: seconds to wait for the answer; the client's if None.
        """
        return self._json("POST", path, body=body, timeout=timeout)

    def patch(
        self, path: str, body: Mapping[str, Any], *, timeout: float | None = None, **query: Any
    ) -> dict[str, Any]:
        """Change a resource and return it.

        Args:
            path: the resource.
            body: the changed fields.
            timeout: seconds to wait for the answer; the client's if None.
            query: further settings of the request.
        """
        return self._json("PATCH", path, body=body, query=query, timeout=timeout)

    def delete(self, path: str, *, timeout: float | None = None) -> bool:
        """Delete a resource; return False if it did not exist.

        Args:
            path: the resource.
            timeout: seconds to wait for the answer; the client's if None.
        """
        try:
            self._send("DELETE", path, timeout=timeout)
        except AirflowApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        answer = self._send(method, path, query=query, body=body, timeout=timeout)
        decoded: dict[str, Any] = json.loads(answer) if answer else {}
        return decoded

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        accept: str = "application/json",
        timeout: float | None = None,
    ) -> bytes:
        headers = {"Accept": accept, **self._credentials}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            # Only with a body: Airflow rejects a request that has this header and no body.
            headers["Content-Type"] = "application/json"
        url = f"{self.url}{API}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        answer = self._request(method, url, headers, content, timeout)
        if answer.status >= 300:
            raise self._error(f"{method} {path}", answer)
        return answer.data

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float | None,
    ) -> urllib3.BaseHTTPResponse:
        # A connection per request: the web server closes idle connections after two seconds. If
        # that coincides with the next request, a client cannot know whether it was processed.
        try:
            limit = urllib3.Timeout(CONNECT_TIMEOUT, timeout) if timeout else self._timeout
            with urllib3.PoolManager(timeout=limit, retries=False) as pool:
                return pool.request(method, url, headers=headers, body=body, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise AirflowUnavailableError(self.url, str(error).rpartition(">: ")[2]) from error

    def _error(self, request: str, answer: urllib3.BaseHTTPResponse) -> DevstackError:
        if answer.status >= 500:
            cause = f"status {answer.status} for {request}"
            return AirflowUnavailableError(self.url, cause, answer.status)
        if answer.status in _LOGIN_FAILED:
            return DevstackError(
                f"cannot log in to Airflow at {self.url} as {ADMIN!r}",
                cause=f"status {answer.status} for {request}",
                remedy="run `devstack up`: it resets the administrator's password",
                code="AIRFLOW_LOGIN_FAILED",
            )
        return AirflowApiError(request, answer.status, _detail(answer))


def quoted(name: str) -> str:
    """Return a name escaped for a path: run ids contain colons and plus signs."""
    return quote(name, safe="")


def _detail(answer: urllib3.BaseHTTPResponse) -> str:
    try:
        problem = json.loads(answer.data)
        return str(problem.get("detail") or problem.get("title") or problem)
    except (ValueError, AttributeError):
        return answer.data.decode(errors="replace")[:200]
