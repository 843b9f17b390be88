"""A thin JSON client of the pipelines API, v2beta1."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import urllib3

from devstack.errors import DevstackError, ExitStatus
from devstack.paths import document

API = "/apis/v2beta1"
_TIMEOUT = urllib3.Timeout(connect=3.0, read=30.0)
_PAGE = 200


class PipelinesError(DevstackError):
    """The pipelines API rejected a request.

    Args:
        request: the method and the path.
        status: the HTTP status.
        detail: the API's reason.
    """

    def __init__(self, request: str, status: int, detail: str) -> None:
        usage = status == HTTPStatus.BAD_REQUEST
        page = document("kubeflow.md")
        remedy = f"{page} lists what is supported" if usage else "devstack logs kubeflow"
        super().__init__(
            f"Kubeflow Pipelines rejected {request}",
            cause=detail,
            remedy=remedy,
            code="KUBEFLOW_REFUSED",
            exit_status=ExitStatus.USAGE if usage else ExitStatus.FAILED,
        )
        self.status = status


class PipelinesUnavailableError(DevstackError):
    """The pipelines API cannot be reached, or its database or Kubernetes does not answer.

    Args:
        url: its address.
        cause: what happened instead of an answer.
    """

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(
            f"Kubeflow Pipelines does not answer at {url}",
            cause=cause,
            remedy="check `devstack status` and `devstack logs kubeflow`",
            code="KUBEFLOW_UNREACHABLE",
            exit_status=ExitStatus.ENVIRONMENT,
        )


class PipelinesClient:
    """Sends requests to the API; may be used by several threads.

    Args:
        url: its address, without a trailing slash.
        token: the stack's token.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the record at ``path``, below the API's root.

        Raises:
            PipelinesError: there is none, or the request is wrong.
            PipelinesUnavailableError: there was no answer.
        """
        return self._send("GET", path, fields=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send an object; return the answer."""
        return self._send("POST", path, body=body or {})

    def delete(self, path: str, **query: Any) -> None:
        """Delete a record; do nothing if there is none."""
        try:
            self._send("DELETE", path, fields=query)
        except PipelinesError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    def upload(self, path: str, pipeline: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Upload a compiled pipeline.

        Args:
            path: of the call.
            pipeline: the file's content.
            query: names and ids.
        """
        form = {"uploadfile": ("pipeline.yaml", pipeline, "application/yaml")}
        return self._send("POST", path, fields=query, form=form)

    def list(
        self, path: str, field: str, conditions: Mapping[str, str] | None = None, **query: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield the records of a list, the newest first.

        Args:
            path: the list.
            field: the field of the answer with the records.
            conditions: values that fields of the records must have.
            query: further parameters.
        """
        predicates = [
            {"operation": "EQUALS", "key": key, "stringValue": value}
            for key, value in (conditions or {}).items()
        ]
        fields = {
            "page_size": _PAGE,
            "sort_by": "created_at desc",
            **({"filter": json.dumps({"predicates": predicates})} if predicates else {}),
            **query,
        }
        token = ""
        while True:
            page = self.get(path, **fields, page_token=token)
            yield from page.get(field) or ()
            token = page.get("next_page_token") or ""
            if not token:
                return

    def _send(
        self,
        method: str,
        path: str,
        *,
        fields: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        url = f"{self.url}{API}/{path}"
        if fields:
            url += "?" + urlencode(fields)
        options: dict[str, Any] = {"headers": dict(self._headers)}
        if form is not None:
            options["fields"] = form
        elif body is not None:
            options["body"] = json.dumps(body)
            options["headers"]["Content-Type"] = "application/json"
        try:
            answer = self._pool.request(method, url, **options)
        except urllib3.exceptions.HTTPError as error:
            raise PipelinesUnavailableError(self.url, str(error)) from error
        return self._content(f"{method} {path}", answer.status, answer.data)

    def _content(self, request: str, status: int, data: bytes) -> dict[str, Any]:
        try:
            content = json.loads(data)
        except ValueError:
            content = {"message": data[:200].decode(errors="replace")}
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise PipelinesUnavailableError(self.url, str(content.get("message")))
        if status >= HTTPStatus.BAD_REQUEST:
            raise PipelinesError(request, status, str(content.get("message")))
        found: dict[str, Any] = content
        return found
