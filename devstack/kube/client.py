"""A thin JSON client of the Kubernetes API.

The official client takes longer to import than `devstack up` may take when there is
nothing to do; see docs/adr/0003-kube-client.md.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any

from devstack.config import StackSpec
from devstack.kube import api_errors, kubeconfig
from devstack.kube.login import log_in
from devstack.kube.resources import KNOWN, Resource
from devstack.kube.transport import HttpTransport, Transport
from devstack.process import Runner, SubprocessRunner

Object = dict[str, Any]
"""One Kubernetes object as decoded JSON."""

FIELD_MANAGER = "devstack"
"""The name under which the API server records the fields that devstack owns."""

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


class KubeClient:
    """Talks to one API server as one identity; may be used by several threads.

    Args:
        transport: sends the requests.
        context: the name of the kubeconfig context, for messages.

    Attributes:
        writes: the number of requests that change something.
        namespace: the namespace of the stack's tasks, for messages with commands.
    """

    def __init__(self, transport: Transport, context: str = "") -> None:
        self.context = context
        self.writes = 0
        self.namespace = StackSpec.namespace
        self._transport = transport
        self._discovered: dict[tuple[str, str], Resource] = {}

    @classmethod
    def from_kubeconfig(
        cls,
        text: str,
        context: str | None = None,
        *,
        timeout: float = 10.0,
        runner: Runner | None = None,
    ) -> KubeClient:
        """Return a client for one context of a kubeconfig.

        Args:
            text: the kubeconfig, YAML.
            context: the context; the current one if None.
            timeout: seconds for one request.
            runner: runs the login program, if the context has one.

        Raises:
            DevstackError: ``KUBECONFIG_BROKEN``, ``CONTEXT_UNKNOWN`` or
                ``LOGIN_FAILED``.
        """
        client_config = kubeconfig.client_config(kubeconfig.parse(text), context)
        client_config = log_in(client_config, runner or SubprocessRunner())
        try:
            transport = HttpTransport(client_config, timeout)
        except (ssl.SSLError, ValueError) as error:
            raise kubeconfig.broken(f"its certificates cannot be read: {error}") from error
        return cls(transport, client_config.context)

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        """Return one object.

        Raises:
            NotFoundError: it does not exist.
        """
        path = self.resource(api_version, kind).path(name, namespace)
        return self._json("GET", path)

    def find(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> Object | None:
        """Return one object, or None if it does not exist or its kind is not served."""
        try:
            return self.get(api_version, kind, name, namespace)
        except api_errors.NotFoundError:
            return None

    def list_objects(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
    ) -> list[Object]:
        """Return the objects of a kind.

        Args:
            api_version: such as ``apps/v1``.
            kind: such as ``Deployment``.
            namespace: the namespace; all namespaces if None.
            labels: a label selector.
            fields: a field selector.
        """
        query = {"labelSelector": labels, "fieldSelector": fields}
        path = self.resource(api_version, kind).path(namespace=namespace)
        answer = self._json("GET", path, query={k: v for k, v in query.items() if v})
        found: list[Object] = answer["items"]
        return [{"apiVersion": api_version, "kind": kind, **item} for item in found]

    def create(self, manifest: Object, *, dry_run: bool = False) -> Object:
        """Create an object; with ``dry_run`` only check that it would be accepted."""
        resource = self.resource(manifest["apiVersion"], manifest["kind"])
        path = resource.path(namespace=_namespace(manifest))
        query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
        return self._json("POST", path, query=query, body=manifest, write=not dry_run)

    def apply(self, manifest: Object, subresource: str = "") -> Object:
        """Apply ``manifest`` (server-side apply), or one of its subresources."""
        return self._json(
            "PATCH",
            self._path_of(manifest, subresource),
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            body=manifest,
            content_type=_APPLY,
            write=True,
        )

    def replace(self, manifest: Object, subresource: str = "") -> Object:
        """Replace an object, or one of its subresources, such as ``status`` or ``approval``."""
        path = self._path_of(manifest, subresource)
        query = {"fieldManager": FIELD_MANAGER}
        return self._json("PUT", path, query=query, body=manifest, write=True)

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        changes: Object,
        namespace: str | None = None,
    ) -> Object:
        """Change single fields, also of other field managers; null removes one (RFC 7396)."""
        path = self.resource(api_version, kind).path(name, namespace)
        query = {"fieldManager": FIELD_MANAGER}
        return self._json("PATCH", path, query=query, body=changes, content_type=_MERGE, write=True)

    def evict(self, pod: str, namespace: str) -> None:
        """Delete a pod if its disruption budget allows it.

        Raises:
            ServerFaultError: with status 429 if it does not.
            NotFoundError: there is no such pod.
        """
        path = KNOWN["v1", "Pod"].path(pod, namespace, "eviction")
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
        }
        self._json("POST", path, body=body, write=True)

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: str = "Background",
        grace_seconds: int | None = None,
    ) -> bool:
        """Delete an object and what it owns; return False if it did not exist.

        Args:
            api_version: such as ``v1``.
            kind: such as ``Pod``.
            name: the object's name.
            namespace: its namespace, if it has one.
            propagation: ``Background``, ``Foreground`` or ``Orphan``.
            grace_seconds: how long a pod may take to end; as the pod says if None.
        """
        query: dict[str, Any] = {"propagationPolicy": propagation}
        if grace_seconds is not None:
            query["gracePeriodSeconds"] = grace_seconds
        try:
            path = self.resource(api_version, kind).path(name, namespace)
            self._json("DELETE", path, query=query, write=True)
        except api_errors.NotFoundError:
            return False
        return True

    def logs(
        self,
        pod: str,
        namespace: str,
        *,
        container: str = "",
        tail: int = 20,
        previous: bool = False,
    ) -> str:
        """Return the last ``tail`` lines of a container's log.

        Args:
            pod: the pod's name.
            namespace: its namespace.
            container: the container; may be empty if the pod has only one.
            tail: number of lines.
            previous: the log of the run before the last restart.
        """
        query = {"tailLines": str(tail), "container": container}
        if previous:
            query["previous"] = "true"
        path = KNOWN["v1", "Pod"].path(pod, namespace, "log")
        body = self._send("GET", path, query={k: v for k, v in query.items() if v})
        return body.decode(errors="replace")

    def log_start(self, pod: str, namespace: str, size: int) -> str:
        """Return the first ``size`` bytes of the log of a pod with one container."""
        path = KNOWN["v1", "Pod"].path(pod, namespace, "log")
        return self._send("GET", path, query={"limitBytes": str(size)}).decode(errors="replace")

    def version(self) -> str:
        """Return the server's version, such as ``v1.36.3``."""
        return str(self._json("GET", "/version")["gitVersion"])

    def readyz(self) -> None:
        """Check that the API server is ready.

        Raises:
            UnreachableError: no answer.
            ServerFaultError: it is not ready yet.
        """
        self._send("GET", "/readyz")

    def kubelet_healthz(self, node: str) -> None:
        """Return if the API server reaches a node's kubelet, and it is healthy.

        Raises:
            NotFoundError: there is no such node.
            ServerFaultError: the kubelet does not serve, or is not healthy.
        """
        self._send("GET", KNOWN["v1", "Node"].path(node, subresource="proxy") + "/healthz")

    def resource(self, api_version: str, kind: str) -> Resource:
        """Return the path of a kind, by discovery if devstack does not know it.

        Raises:
            NotFoundError: the server does not serve that kind.
        """
        key = (api_version, kind)
        if key not in KNOWN and key not in self._discovered:
            self._discover(api_version)
        found = KNOWN.get(key) or self._discovered.get(key)
        if found is None:
            raise api_errors.NotFoundError(f"GET {api_version}", 404, "NotFound", f"no kind {kind}")
        return found

    def kinds(self, api_version: str) -> set[str]:
        """Return the kinds of a group and version; empty if it is not served."""
        try:
            self._discover(api_version)
        except api_errors.NotFoundError:
            return set()
        return {kind for version, kind in self._discovered if version == api_version}

    def _discover(self, api_version: str) -> None:
        root = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
        for entry in self._json("GET", root)["resources"]:
            if "/" not in entry["name"]:
                found = Resource(api_version, entry["name"], entry["namespaced"])
                self._discovered[api_version, entry["kind"]] = found

    def _path_of(self, manifest: Object, subresource: str = "") -> str:
        resource = self.resource(manifest["apiVersion"], manifest["kind"])
        return resource.path(manifest["metadata"]["name"], _namespace(manifest), subresource)

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
        write: bool = False,
    ) -> Object:
        if write:
            self.writes += 1
        sent = json.dumps(body).encode() if body is not None else None
        answer = self._send(method, path, query=query, body=sent, content_type=content_type)
        decoded: Object = json.loads(answer)
        return decoded

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        answer = self._transport.request(
            method, path, query=query, body=body, content_type=content_type
        )
        if answer.status >= 400:
            raise api_errors.from_answer(f"{method} {path}", answer.status, answer.body)
        return answer.body


def _namespace(manifest: Object) -> str | None:
    named: str | None = manifest["metadata"].get("namespace")
    return named
