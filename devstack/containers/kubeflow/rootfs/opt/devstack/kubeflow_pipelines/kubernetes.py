"""The Kubernetes API, as far as workflows need it."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from database_service.errors import ServiceError

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_GROUP = "/apis/argoproj.io/v1alpha1"
_PLURALS = {"Workflow": "workflows", "CronWorkflow": "cronworkflows"}
_TIMEOUT = 10.0
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE = 500

Object = dict[str, Any]


class Kubernetes:
    """Workflows and cron workflows of one namespace.

    Args:
        namespace: the namespace.
        address: the API's address; empty for that of the pod's cluster, with the pod's account.
    """

    def __init__(self, namespace: str, address: str = "") -> None:
        self._namespace = namespace
        self._address = address

    async def create(self, item: Object) -> Object:
        """Create an object; return it as the API has it.

        Raises:
            ServiceError: 409 if it exists, 400 if the API refuses it, 503 without an answer.
        """
        return await self._send("POST", self._path(item["kind"]), item)

    async def metadata(self, kind: str, name: str) -> Object | None:
        """Return the metadata of an object, which has its phase as a label; None without one."""
        return await self._find(kind, name, _METADATA)

    async def find(self, kind: str, name: str) -> Object | None:
        """Return an object; None if there is none."""
        return await self._find(kind, name, "application/json")

    async def list_metadata(self, kind: str, label: str) -> list[Object]:
        """Return the metadata of all objects that have a label."""
        found: list[Object] = []
        following = ""
        while True:
            query = f"?labelSelector={quote(label, safe='')}&limit={_PAGE}"
            path = self._path(kind) + query + (f"&continue={quote(following)}" if following else "")
            page = await self._send("GET", path, accept=_METADATA_LIST)
            found += page.get("items") or []
            following = page.get("metadata", {}).get("continue", "")
            if not following:
                return found

    async def patch(self, kind: str, name: str, changes: Object) -> None:
        """Change fields of an object; do nothing if there is none."""
        await self._send_if_there("PATCH", self._path(kind, name), changes)

    async def delete(self, kind: str, name: str, *, keep_owned: bool = False) -> None:
        """Delete an object; do nothing if there is none.

        Args:
            kind: its kind.
            name: its name.
            keep_owned: True to keep what it has created.
        """
        policy = "Orphan" if keep_owned else "Background"
        await self._send_if_there("DELETE", self._path(kind, name), {"propagationPolicy": policy})

    async def _find(self, kind: str, name: str, accept: str) -> Object | None:
        return await self._send_if_there("GET", self._path(kind, name), accept=accept)

    def _path(self, kind: str, name: str = "") -> str:
        path = f"{_GROUP}/namespaces/{self._namespace}/{_PLURALS[kind]}"
        return f"{path}/{quote(name)}" if name else path

    async def _send_if_there(
        self, method: str, path: str, body: Object | None = None, *, accept: str = ""
    ) -> Object | None:
        try:
            return await self._send(method, path, body, accept=accept)
        except ServiceError as error:
            if error.status == 404:
                return None
            raise

    async def _send(
        self, method: str, path: str, body: Object | None = None, *, accept: str = ""
    ) -> Object:
        return await asyncio.to_thread(self._request, method, path, body, accept)

    def _request(self, method: str, path: str, body: Object | None, accept: str) -> Object:
        patch = "application/merge-patch+json"
        headers = {
            "Accept": accept or "application/json",
            "Content-Type": patch if method == "PATCH" else "application/json",
        }
        connection = self._connect(headers)
        try:
            text = json.dumps(body) if body is not None else None
            connection.request(method, path, text, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            raise ServiceError(503, f"the Kubernetes API does not respond: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise _refused(response.status, content)
        found: Object = json.loads(content)
        return found

    def _connect(self, headers: dict[str, str]) -> HTTPConnection:
        """Return a new connection; add the account's token, which the kubelet renews."""
        if self._address:
            parts = urlsplit(self._address)
            return HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT)
        token = (_ACCOUNT / "token").read_text().strip()
        headers["Authorization"] = f"Bearer {token}"
        context = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
        host = os.environ["KUBERNETES_SERVICE_HOST"]
        port = int(os.environ["KUBERNETES_SERVICE_PORT"])
        return HTTPSConnection(host, port, timeout=_TIMEOUT, context=context)


def _refused(status: int, content: bytes) -> ServiceError:
    """Return the error for an answer of the API; its own outages are 503."""
    try:
        message = str(json.loads(content).get("message"))
    except ValueError:
        message = content[:200].decode(errors="replace")
    if status in (400, 404, 409, 422):
        return ServiceError(400 if status == 422 else status, message)
    return ServiceError(503, f"the Kubernetes API answers {status}: {message}")
