"""A client of Airflow's REST API.

Every request with a password costs Airflow a tenth of a second of hashing, so
the client logs in once, by the web page's form, and shows its cookie after that.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from devstack.errors import DevstackError, ExitStatus

ADMIN = "admin"
"""The administrator's name; the stack makes the password."""

API = "/api/v1"
PAGE = 100
"""Airflow hands out no more items at once."""

_SESSION_OVER = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


class AirflowApiError(DevstackError):
    """Airflow refused a request.

    Args:
        asked: the method and the path.
        status: the HTTP status.
        detail: Airflow's reason.
    """

    def __init__(self, asked: str, status: int, detail: str) -> None:
        super().__init__(
            f"Airflow refused {asked}",
            cause=f"status {status}: {detail}",
            remedy="devstack logs airflow",
            code="AIRFLOW_REFUSED",
        )
        self.status = status
        self.detail = detail


class AirflowUnavailableError(DevstackError):
    """Airflow does not answer, or cannot just now: it starts, or its database does.

    Args:
        url: where it should answer.
        cause: what happened instead.
    """

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(
            f"Airflow does not answer at {url}",
            cause=cause,
            remedy="`devstack status` shows whether it runs, `devstack logs airflow` what it said",
            code="AIRFLOW_UNREACHABLE",
            exit_status=ExitStatus.ENVIRONMENT,
        )


class AirflowClient:
    """Talks to one Airflow as one user; may be used by several threads.

    Args:
        url: where the web server answers, without a slash at the end.
        password: the user's password.
        user: the user's name.
        timeout: seconds for one request.
        cookie: the session of an earlier client; it is made anew where it is over.
        remember: told the session, once there is another.
    """

    def __init__(
        self,
        url: str,
        password: str,
        *,
        user: str = ADMIN,
        timeout: float = 15.0,
        cookie: str = "",
        remember: Callable[[str], None] | None = None,
    ) -> None:
        self.url = url
        self._login = (user, password)
        self._limits = urllib3.Timeout(connect=3.0, read=timeout)
        self._cookie = cookie
        self._mark_retained = remember
        self._authorization = ""

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return what is at ``path`` below the API's root.

        Raises:
            AirflowApiError: there is no such thing, or Airflow refused.
            AirflowUnavailableError: no answer came.
        """
        return self._json("GET", path, query=query)

    def find(self, path: str, **query: Any) -> dict[str, Any] | None:
        """Return what is at ``path``, or None where there is nothing."""
        try:
            return self.get(path, **query)
        except AirflowApiError as refused:
            if refused.status == 404:
                return None
            raise

    def every(self, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield all items of a list, however many pages it has.

        Args:
            path: the list.
            key: where its items stand in the answer.
            query: filters and order.
        """
        seen = 0
        while True:
            page = self.get(path, limit=PAGE, offset=seen, **query)
            yield from page[key]
            seen += len(page[key])
            if not page[key] or seen >= page["total_entries"]:
                return

    def text(self, path: str, **query: Any) -> str:
        """Return what is at ``path`` as plain text: a log, or a DAG's source."""
        return self._send("GET", path, query=query, accept="text/plain").decode(errors="replace")

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create something; return it as Airflow has it."""
        return self._json("POST", path, body=body)

    def patch(self, path: str, body: Mapping[str, Any], **query: Any) -> dict[str, Any]:
        """Change something; return it as Airflow has it."""
        return self._json("PATCH", path, body=body, query=query)

    def delete(self, path: str) -> bool:
        """Delete something; return False where there was nothing."""
        try:
            self._send("DELETE", path)
        except AirflowApiError as refused:
            if refused.status == 404:
                return False
            raise
        return True

    def health(self) -> dict[str, Any]:
        """Return what Airflow says of its own parts; needs no login."""
        answer = self._request("GET", f"{API}/health", headers={})
        if answer.status != 200:
            raise self._refused("GET /health", answer)
        found: dict[str, Any] = json.loads(answer.data)
        return found

    def log_in(self) -> None:
        """Get a session, unless there is one.

        Airflow takes five logins in forty seconds; beyond that, the password
        goes with each request.

        Raises:
            DevstackError: ``AIRFLOW_LOGIN_FAILED``.
            AirflowUnavailableError: no answer came.
        """
        if self._cookie or self._authorization:
            return
        page = self._request("GET", "/login/", headers={})
        if page.status != 200:
            raise self._refused("GET /login/", page)
        token = _TOKEN.search(page.data.decode(errors="replace"))
        user, password = self._login
        form = {
            "username": user,
            "password": password,
            "csrf_token": token.group(1) if token else "",
        }
        headers = {
            "Cookie": _session(page),
            "Content-Type": "application/x-www-form-urlencoded",
            "Referer": f"{self.url}/login/",
        }
        answer = self._request("POST", "/login/", headers=headers, body=urlencode(form).encode())
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            plain = f"{user}:{password}".encode()
            self._authorization = f"Basic {b64encode(plain).decode()}"
            return
        if answer.status >= 500:
            raise self._refused("POST /login/", answer)
        # A refused login shows the form again, or leads back to it.
        if answer.status != 302 or "/login" in answer.headers.get("Location", ""):
            raise DevstackError(
                f"cannot log in to Airflow at {self.url} as {user!r}",
                cause=f"it answered with status {answer.status}",
                remedy="the password may have been changed by hand; `devstack up` sets it again",
                code="AIRFLOW_LOGIN_FAILED",
            )
        self._cookie = _session(answer)
        if self._mark_retained:
            self._mark_retained(self._cookie)

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        answer = self._send(method, path, query=query, body=body)
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
    ) -> bytes:
        where = f"{API}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        sent = json.dumps(body).encode() if body is not None else None
        # Airflow calls a request bad that has the type of a body, and none.
        typed = {"Content-Type": "application/json"} if sent else {}
        headers = {"Accept": accept, **typed}
        answer = self._request(method, where, headers={**headers, **self._identity()}, body=sent)
        if answer.status in _SESSION_OVER and self._cookie:
            # Airflow was brought up anew; its user may be another of the same name.
            self._cookie = ""
            headers.update(self._identity())
            answer = self._request(method, where, headers=headers, body=sent)
        if answer.status >= 300:
            raise self._refused(f"{method} {path}", answer)
        return answer.data

    def _identity(self) -> dict[str, str]:
        self.log_in()
        if self._authorization:
            return {"Authorization": self._authorization}
        return {"Cookie": self._cookie}

    def _request(
        self, method: str, where: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        # The web server drops a connection that was idle for two seconds, perhaps just as the
        # next request goes out; whether it was heard, nobody could tell. So none is kept.
        try:
            with urllib3.PoolManager(timeout=self._limits, retries=False) as pool:
                return pool.request(
                    method, self.url + where, headers=dict(headers), body=body, redirect=False
                )
        except urllib3.exceptions.HTTPError as error:
            raise AirflowUnavailableError(self.url, str(error).rpartition(">: ")[2]) from error

    def _refused(self, asked: str, answer: urllib3.BaseHTTPResponse) -> DevstackError:
        if answer.status >= 500:
            return AirflowUnavailableError(self.url, f"status {answer.status} for {asked}")
        try:
            said = json.loads(answer.data)
            detail = str(said.get("detail") or said.get("title") or said)
        except (ValueError, AttributeError):
            detail = answer.data.decode(errors="replace")[:200]
        return AirflowApiError(asked, answer.status, detail)


def quoted(name: str) -> str:
    """Return a name as it stands in a path: DAG run ids have colons and pluses."""
    return quote(name, safe="")


def _session(answer: urllib3.BaseHTTPResponse) -> str:
    """Return the cookie that is Airflow's session."""
    for cookie in answer.headers.getlist("Set-Cookie"):
        if cookie.startswith("session="):
            return str(cookie.partition(";")[0])
    return ""
