"""A Kubernetes API in memory, accessed through the client's own transport.

It keeps objects by path, rejects what a server rejects, and remembers every request.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import KNOWN
from devstack.kube.transport import Answer
from tests.fakes.api_schema import (
    immutable_errors,
    naming_errors,
    schema_errors,
    selector_errors,
    unknown_fields,
)
from tests.fakes.field_owners import (
    BEFORE_FIRST_APPLY,
    Path,
    conflicts,
    leaves,
    merge,
    owned_fields,
    remove,
)
from tests.fakes.selectors import RejectionError, matches, require_field_labels


class FakeApi:
    """A Transport whose server is a dictionary.

    A write is checked as a server checks it: the namespace and the kind exist, names and
    fields are valid, immutable fields stay the same, no other manager owns an applied field.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.queries: list[Mapping[str, str]] = []
        self.logs: dict[str, str] = {}
        self.on_apply: Callable[[Object], None] | None = None
        self._refusals: list[tuple[str, str, int, str, str]] = []
        self._owners: dict[str, dict[str, set[Path]]] = {}
        self._versions = count(1)

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that change something."""
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
        """Refuse the next request of that method whose path ends with this suffix, once."""
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
        if content_type.startswith("application/merge-patch"):
            return self._merge_patch(path, json.loads(body or b"{}"))
        if path.endswith("/eviction"):
            return self._evict(path.removesuffix("/eviction"))
        handlers = {
            "GET": self._get,
            "PATCH": self._patch,
            "POST": self._post,
            "PUT": self._put,
            "DELETE": self._delete,
        }
        try:
            return handlers[method](path, query or {}, json.loads(body) if body else {})
        except RejectionError as rejection:
            return _status(rejection.status, rejection.reason, rejection.message)

    def _get(self, path: str, query: Mapping[str, str], _: Object) -> Answer:
        if path.endswith("/log"):
            return Answer(200, self.logs.get(path, "").encode())
        if path in self.objects:
            return _ok(self.objects[path])
        if _is_list(path):
            require_field_labels(path, query)
            return _ok({"items": self._select(path, query)})
        raise _not_found(path)

    def _select(self, path: str, query: Mapping[str, str]) -> list[Object]:
        scope, _, plural = path.rpartition("/")
        return [
            item
            for key, item in self.objects.items()
            if key.startswith(f"{scope}/")
            and key.rsplit("/", 2)[1] == plural
            and matches(item, query)
        ]

    def _post(self, path: str, query: Mapping[str, str], body: Object) -> Answer:
        if "name" not in body["metadata"]:
            name = f"{body['metadata']['generateName']}{next(self._versions):05}"
            body["metadata"]["name"] = name
        where = f"{path}/{body['metadata']['name']}"
        self._require_place(where, body)
        if body["metadata"].get("resourceVersion"):
            text = "resourceVersion should not be set on objects to be created"
            raise RejectionError(500, "", text)
        if where in self.objects:
            raise RejectionError(409, "AlreadyExists", f"{where} already exists")
        # Of a field that it does not know, a server only warns.
        self._require_valid(None, body)
        made = self._stored(where, {}, body)
        if "dryRun" not in query:
            self.objects[where] = made
            self._owners[where] = {query["fieldManager"]: set(owned_fields(body))}
        return _ok(made)

    def _patch(self, path: str, query: Mapping[str, str], body: Object) -> Answer:
        manager = query.get("fieldManager")
        if not manager:
            raise RejectionError(422, "Invalid", "fieldManager: Required value")
        live = self.objects.get(path)
        self._require_place(path, body)
        _require_current(live, body)
        if unknown := unknown_fields(body):
            text = (
                f"failed to create typed patch object: {unknown[0]}: field not declared in schema"
            )
            raise RejectionError(500, "", text)
        owners = self._owners_of(path, live)
        wanted = owned_fields(body)
        self._require_ownership(live, owners, query, wanted)
        dropped = owners.get(manager, set()) - set(wanted)
        shared = {field for other, fields in owners.items() if other != manager for field in fields}
        merged = merge(live or {}, body)
        for field in sorted(dropped - shared, key=len, reverse=True):
            merged = remove(merged, field)
        self._require_valid(live, merged)
        made = self._stored(path, live or {}, merged)
        if "dryRun" in query:
            return _ok(made)
        kept = {other: fields - set(wanted) for other, fields in owners.items() if other != manager}
        has = leaves(live or {})
        for other, fields in owners.items():
            if other != manager:
                kept[other] |= {
                    field for field in fields & set(wanted) if has.get(field) == wanted[field]
                }
        self._owners[path] = {**kept, manager: set(wanted)}
        made["metadata"]["managedFields"] = [
            {"manager": each}
            for each, fields in self._owners[path].items()
            if fields or each == manager
        ]
        self.objects[path] = made
        if self.on_apply:
            self.on_apply(made)
        return _ok(made)

    def _merge_patch(self, path: str, changes: Object) -> Answer:
        if path not in self.objects:
            return _status(404, "NotFound", f"{path} not found")
        made = _merged(self.objects[path], changes)
        self.objects[path] = made
        metadata = made.get("metadata", {})
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            # The last finalizer of an object that is being deleted is gone.
            del self.objects[path]
        return _ok(made)

    def _evict(self, path: str) -> Answer:
        """Delete a pod at once, or mark one that takes its time, as its finalizers say."""
        if path not in self.objects:
            return _status(404, "NotFound", f"{path} not found")
        return self._delete(path, {}, {})

    def _put(self, path: str, query: Mapping[str, str], body: Object) -> Answer:
        """Replace an object, or its status, the only part that its subresources change."""
        item = path.rsplit("/", 1)[0]
        if path in self.objects:
            _require_current(self.objects[path], body)
            self._require_valid(self.objects[path], body)
            self.objects[path] = self._stored(path, self.objects[path], body)
            return _ok(self.objects[path])
        self.objects[item] = {**self.objects[item], "status": body["status"]}
        return _ok(self.objects[item])

    def _delete(self, path: str, query: Mapping[str, str], _: Object) -> Answer:
        item = self.objects.get(path)
        if item is None:
            raise _not_found(path)
        if item.get("metadata", {}).get("finalizers"):
            item["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
            return _ok(item)
        del self.objects[path]
        self._owners.pop(path, None)
        if item.get("kind") == "Namespace":
            for inner in [each for each in self.objects if each.startswith(f"{path}/")]:
                del self.objects[inner]
        return _ok({})

    def _owners_of(self, path: str, live: Object | None) -> dict[str, set[Path]]:
        """Return which fields of an object each manager owns."""
        if live is None:
            return {}
        if path in self._owners:
            return self._owners[path]
        managers = [each["manager"] for each in live["metadata"].get("managedFields", [])]
        # Of what a test puts into the store, only a single manager can own all fields.
        manager = managers[0] if len(managers) == 1 else BEFORE_FIRST_APPLY
        return {manager: set(owned_fields(live))}

    def _require_ownership(
        self,
        live: Object | None,
        owners: dict[str, set[Path]],
        query: Mapping[str, str],
        wanted: dict[Path, Any],
    ) -> None:
        if live is None or query.get("force") == "true":
            return
        found = conflicts(live, owners, query["fieldManager"], wanted)
        if found:
            lines = [f'conflict with "{who}": {", ".join(what)}' for who, what in found.items()]
            number = sum(map(len, found.values()))
            text = f"Apply failed with {number} conflicts: {'; '.join(lines)}"
            raise RejectionError(409, "Conflict", text)

    def _require_place(self, path: str, body: Object) -> None:
        """Reject an object that does not belong to the path, or whose namespace or kind is
        not there."""
        if "managedFields" in body["metadata"]:
            raise RejectionError(400, "BadRequest", "metadata.managedFields must be nil")
        if path != path_of(body):
            text = f"the object ({path_of(body)}) does not match what the URL says ({path})"
            raise RejectionError(400, "BadRequest", text)
        group = body["apiVersion"].rpartition("/")[0]
        if group.endswith("x-k8s.io") and not self._is_served(body):
            raise RejectionError(
                404, "NotFound", "the server could not find the requested resource"
            )
        namespace = body["metadata"].get("namespace")
        if not namespace:
            return
        home = f"/api/v1/namespaces/{namespace}"
        if home not in self.objects and not any(
            key.startswith(f"{home}/") or f"/namespaces/{namespace}/" in key for key in self.objects
        ):
            raise RejectionError(404, "NotFound", f'namespaces "{namespace}" not found')
        if self.objects.get(home, {}).get("metadata", {}).get("deletionTimestamp"):
            name = body["metadata"]["name"]
            text = (
                f"{name} is forbidden: unable to create new content in namespace {namespace} "
                "because it is being terminated"
            )
            if path not in self.objects:
                raise RejectionError(403, "Forbidden", text)

    def _is_served(self, body: Object) -> bool:
        """Return True if the kind of a custom resource is defined."""
        resource = KNOWN[body["apiVersion"], body["kind"]]
        group = resource.api_version.partition("/")[0]
        name = f"{resource.plural}.{group}"
        root = f"/apis/{resource.api_version}/"
        definition = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        return definition in self.objects or any(key.startswith(root) for key in self.objects)

    def _require_valid(self, live: Object | None, item: Object) -> None:
        errors = naming_errors(item)
        if wrong := schema_errors(item):
            missing = [each for each in wrong if "Required" in each]
            if len(missing) < len(wrong):
                raise RejectionError(400, "BadRequest", "; ".join(wrong))
            errors += missing
        else:
            errors += selector_errors(item)
        errors += immutable_errors(live, item) if live else []
        if errors:
            raise RejectionError(422, "Invalid", f"{item['kind']} is invalid: {'; '.join(errors)}")

    def _stored(self, path: str, live: Object, item: Object) -> Object:
        """Return an object as the store keeps it, with what the server adds."""
        made: Object = json.loads(json.dumps(item))
        metadata = made["metadata"]
        if live and _without_version(live) == _without_version(made):
            return made
        version = next(self._versions)
        metadata.setdefault("uid", f"uid-{version}")
        metadata["resourceVersion"] = str(version)
        return made


def _merged(item: Any, changes: Any) -> Any:
    """Return the result of a JSON merge patch (RFC 7396)."""
    if not isinstance(changes, dict):
        return changes
    kept = dict(item) if isinstance(item, dict) else {}
    for key, value in changes.items():
        kept[key] = _merged(kept.get(key), value)
    return {key: value for key, value in kept.items() if value is not None}


def _not_found(path: str) -> RejectionError:
    return RejectionError(404, "NotFound", f"{path} not found")


def _require_current(live: Object | None, body: Object) -> None:
    """Reject a patch of another object, or of another version of it, than the one stored."""
    for field in ("resourceVersion", "uid"):
        wanted = body["metadata"].get(field)
        has = (live or {}).get("metadata", {}).get(field)
        if wanted and wanted != has:
            text = f"metadata.{field}: the object has been modified; please apply your changes"
            raise RejectionError(409, "Conflict", text)


def _without_version(item: Object) -> Object:
    ignored = ("resourceVersion", "managedFields")
    metadata = {key: value for key, value in item["metadata"].items() if key not in ignored}
    return {**item, "metadata": metadata}


def path_of(item: Object) -> str:
    """Return where the API has an object."""
    metadata = item["metadata"]
    resource = KNOWN[item["apiVersion"], item["kind"]]
    return resource.path(metadata["name"], metadata.get("namespace"))


def namespace(name: str) -> Object:
    """Return a namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def definition(api_version: str, kind: str) -> Object:
    """Return the definition by which an API server serves a custom kind."""
    resource = KNOWN[api_version, kind]
    group, _, version = api_version.partition("/")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": resource.plural},
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [{"name": version, "served": True, "storage": True}],
        },
    }


def deployment(name: str, namespace: str = "devstack", **status: Any) -> Object:
    """Return a Deployment of one replica with the given status."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "devstack/x:1"}]},
            },
        },
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


def event(
    involved: str,
    reason: str,
    message: str,
    stamp: str,
    kind: str = "Warning",
    involved_kind: str = "Pod",
) -> Object:
    """Return an event of an object, by default of a pod."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{involved}.{reason}", "namespace": "devstack"},
        "involvedObject": {"kind": involved_kind, "name": involved},
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


def _ok(body: Object) -> Answer:
    return Answer(200, json.dumps(body).encode())


def _status(status: int, reason: str, message: str) -> Answer:
    return Answer(status, json.dumps({"reason": reason, "message": message}).encode())
