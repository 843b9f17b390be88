"""A Kubernetes API in memory, spoken to through the client's own transport.

It keeps objects by path, applies by merging, and remembers every request.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import KNOWN
from devstack.kube.transport import Answer


class FakeApi:
    """A Transport whose server is a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.queries: list[Mapping[str, str]] = []
        self.logs: dict[str, str] = {}
        self._refusals: list[tuple[str, str, int, str, str]] = []
        self.on_apply: Callable[[Object], None] | None = None

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that would have changed something."""
        return [request for request in self.requests if request[0] != "GET"]

    def client(self) -> KubeClient:
        """Return a client of this API."""
        return KubeClient(self, "fake")

    def add(self, *objects: Object) -> None:
        """Put objects into the store as they are."""
        for item in objects:
            self.objects[path_of(item)] = item

    def refuse(
        self, method: str, path: str, status: int, reason: str = "", message: str = ""
    ) -> None:
        """Refuse the next request of that method whose path ends so, once."""
        self._refusals.append((method, path, status, reason, message))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Answer one request."""
        self.requests.append((method, path))
        self.queries.append(query or {})
        for refusal in self._refusals:
            if refusal[0] == method and path.endswith(refusal[1]):
                self._refusals.remove(refusal)
                return _status(*refusal[2:])
        handler = {"GET": self._get, "PATCH": self._patch, "POST": self._post}.get(
            method, self._delete
        )
        return handler(path, query or {}, json.loads(body) if body else {})

    def _get(self, path: str, query: Mapping[str, str], _: Object) -> Answer:
        if path.endswith("/log"):
            return Answer(200, self.logs.get(path, "").encode())
        if path in self.objects:
            return _ok(self.objects[path])
        if _is_list(path):
            return _ok({"items": self._select(path, query)})
        return _status(404, "NotFound", f"{path} not found")

    def _select(self, path: str, query: Mapping[str, str]) -> list[Object]:
        plural = path.rsplit("/", 1)[1]
        scope = path.rsplit("/", 1)[0]
        return [
            item
            for key, item in self.objects.items()
            if key.startswith(scope) and key.rsplit("/", 2)[1] == plural and _matches(item, query)
        ]

    def _patch(self, path: str, query: Mapping[str, str], body: Object) -> Answer:
        merged = _merged(self.objects.get(path, {}), body)
        merged["metadata"]["managedFields"] = [{"manager": query["fieldManager"]}]
        self.objects[path] = merged
        if self.on_apply:
            self.on_apply(merged)
        return _ok(merged)

    def _post(self, path: str, query: Mapping[str, str], body: Object) -> Answer:
        if "dryRun" not in query:
            self.objects[f"{path}/{body['metadata']['name']}"] = body
        return _ok(body)

    def _delete(self, path: str, query: Mapping[str, str], _: Object) -> Answer:
        if self.objects.pop(path, None) is None:
            return _status(404, "NotFound", f"{path} not found")
        return _ok({})


def path_of(item: Object) -> str:
    """Return where the API has an object."""
    metadata = item["metadata"]
    resource = KNOWN[item["apiVersion"], item["kind"]]
    return resource.path(metadata["name"], metadata.get("namespace"))


def deployment(name: str, namespace: str = "devstack", **status: Any) -> Object:
    """Return a Deployment of one replica with the given status."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}},
        "status": status,
    }


def available(name: str, namespace: str = "devstack") -> Object:
    """Return a Deployment that is up."""
    return deployment(
        name,
        namespace,
        observedGeneration=1,
        replicas=1,
        updatedReplicas=1,
        availableReplicas=1,
    )


def replica_set(owner: str, revision: int, replicas: int, namespace: str = "devstack") -> Object:
    """Return the ReplicaSet of one revision of a Deployment."""
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{owner}-{revision}",
            "namespace": namespace,
            "labels": {"app": owner, "pod-template-hash": f"r{revision}"},
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        },
        "spec": {"replicas": replicas},
    }


def pod(
    name: str,
    namespace: str = "devstack",
    labels: Mapping[str, str] | None = None,
    spec: Object | None = None,
    **status: Any,
) -> Object:
    """Return a pod of one container ``main`` with the given status."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels or {})},
        "spec": spec or {"containers": [{"name": "main", "image": "devstack/x:1"}]},
        "status": {"phase": "Pending", **status},
    }


def waiting(reason: str, message: str = "", **more: Any) -> Object:
    """Return the status of the container ``main`` that waits for a reason."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"name": "main", "image": "devstack/x:1", "ready": False, "state": state, **more}


def event(involved: str, reason: str, message: str, stamp: str, kind: str = "Warning") -> Object:
    """Return an event of a pod."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{involved}.{reason}", "namespace": "devstack"},
        "involvedObject": {"kind": "Pod", "name": involved},
        "type": kind,
        "reason": reason,
        "message": message,
        "lastTimestamp": stamp,
    }


def decoded(secret: Object) -> dict[str, str]:
    """Return what a Secret holds."""
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def _is_list(path: str) -> bool:
    return path.rsplit("/", 1)[1] in {resource.plural for resource in KNOWN.values()}


def _matches(item: Object, query: Mapping[str, str]) -> bool:
    labels = item["metadata"].get("labels", {})
    wanted = [pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair]
    fields = dict(pair.split("=") for pair in query.get("fieldSelector", "").split(",") if pair)
    name = fields.get("involvedObject.name")
    involved = item.get("involvedObject", {}).get("name")
    return all(labels.get(key) == value for key, value in wanted) and name in (None, involved)


def _merged(old: Object, new: Object) -> Object:
    result = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result


def _ok(body: Object) -> Answer:
    return Answer(200, json.dumps(body).encode())


def _status(status: int, reason: str, message: str) -> Answer:
    return Answer(status, json.dumps({"reason": reason, "message": message}).encode())
