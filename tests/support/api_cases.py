"""What an API server rejects: cases for the fake of the unit tests and for a real server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devstack.kube.client import KubeClient, Object

Case = Callable[[KubeClient, str], Any]


@dataclass(frozen=True)
class Rejected:
    """A request that a server rejects.

    Attributes:
        request: sends it, with the client and a namespace that exists.
        status: the HTTP status of the answer.
        reason: the reason in it.
        says: a part of its message.
    """

    request: Case
    status: int
    reason: str
    says: str = ""


def config_map(namespace: str, name: str = "settings", **data: Any) -> Object:
    """Return a ConfigMap."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def job(namespace: str, image: str = "x:1") -> Object:
    """Return a Job that is not to start."""
    container = {"name": "main", "image": image}
    spec = {"containers": [container], "restartPolicy": "Never"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": namespace},
        "spec": {"suspend": True, "template": {"spec": spec}},
    }


def deployment(namespace: str, selected: str, labelled: str) -> Object:
    """Return a Deployment without pods, with the label it selects and the one they would have."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "server", "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": selected}},
            "template": {
                "metadata": {"labels": {"app": labelled}},
                "spec": {"containers": [{"name": "main", "image": "x:1"}]},
            },
        },
    }


def binding(namespace: str, role: str) -> Object:
    """Return a RoleBinding without subjects."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "bound", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
    }


def claim(namespace: str, mode: str) -> Object:
    """Return a claim of a volume of a class that no cluster has."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {
            "accessModes": [mode],
            "storageClassName": "none",
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }


def apply_unforced(client: KubeClient, item: Object, manager: str, **query: str) -> Object:
    """Apply as another manager than devstack, and without taking fields over."""
    path = client.resource(item["apiVersion"], item["kind"]).path(
        item["metadata"]["name"], item["metadata"]["namespace"]
    )
    return client._json(
        "PATCH",
        path,
        query={"fieldManager": manager, **query},
        body=item,
        content_type="application/apply-patch+yaml",
    )


def _twice(first: Callable[[str], Object], second: Callable[[str], Object]) -> Case:
    def request(client: KubeClient, namespace: str) -> None:
        client.apply(first(namespace))
        client.apply(second(namespace))

    return request


def _stale(client: KubeClient, namespace: str) -> None:
    old = client.apply(config_map(namespace, key="a"))["metadata"]["resourceVersion"]
    client.apply(config_map(namespace, key="b"))
    stale = config_map(namespace, key="c")
    stale["metadata"]["resourceVersion"] = old
    client.apply(stale)


def _of_another_manager(client: KubeClient, namespace: str) -> None:
    client.apply(config_map(namespace, key="a"))
    apply_unforced(client, config_map(namespace, key="b"), "other")


def _exists(client: KubeClient, namespace: str) -> None:
    client.create(config_map(namespace))
    client.create(config_map(namespace))


def _unlike_its_path(client: KubeClient, namespace: str) -> None:
    client._json(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/configmaps/another",
        query={"fieldManager": "devstack"},
        body=config_map(namespace),
        content_type="application/apply-patch+yaml",
    )


REJECTED: dict[str, Rejected] = {
    "an object that exists": Rejected(_exists, 409, "AlreadyExists"),
    "a stale version": Rejected(_stale, 409, "Conflict", "the object has been modified"),
    "a field of another manager": Rejected(
        _of_another_manager, 409, "Conflict", 'conflict with "devstack"'
    ),
    "a namespace that does not exist": Rejected(
        lambda client, _: client.create(config_map("nowhere")),
        404,
        "NotFound",
        'namespaces "nowhere" not found',
    ),
    "a namespace that does not exist, applied": Rejected(
        lambda client, _: client.apply(config_map("nowhere")), 404, "NotFound", "nowhere"
    ),
    "an invalid name": Rejected(
        lambda client, namespace: client.create(config_map(namespace, "Not_a_name")),
        422,
        "Invalid",
        "metadata.name",
    ),
    "an invalid name on dry run": Rejected(
        lambda client, namespace: client.create(config_map(namespace, "No_name"), dry_run=True),
        422,
        "Invalid",
        "metadata.name",
    ),
    "a value of the wrong type": Rejected(
        lambda client, namespace: client.create(config_map(namespace, number=1)),
        400,
        "BadRequest",
    ),
    "a value of the wrong type on dry run": Rejected(
        lambda client, namespace: client.create(config_map(namespace, number=1), dry_run=True),
        400,
        "BadRequest",
    ),
    "an unknown field, applied": Rejected(
        lambda client, namespace: client.apply({**config_map(namespace), "datum": {}}),
        500,
        "",
        "field not declared in schema",
    ),
    "a missing field": Rejected(
        lambda client, namespace: client.create(
            {**deployment(namespace, "a", "a"), "spec": {"replicas": 0}}
        ),
        422,
        "Invalid",
        "selector",
    ),
    "a selector that misses its own pods": Rejected(
        lambda client, namespace: client.create(deployment(namespace, "a", "b"), dry_run=True),
        422,
        "Invalid",
        "does not match template",
    ),
    "another template of a Job": Rejected(
        _twice(job, lambda namespace: job(namespace, "x:2")), 422, "Invalid", "immutable"
    ),
    "another selector of a Deployment": Rejected(
        _twice(
            lambda namespace: deployment(namespace, "a", "a"),
            lambda namespace: deployment(namespace, "b", "b"),
        ),
        422,
        "Invalid",
        "immutable",
    ),
    "another role of a binding": Rejected(
        _twice(
            lambda namespace: binding(namespace, "a"), lambda namespace: binding(namespace, "b")
        ),
        422,
        "Invalid",
        "roleRef",
    ),
    "another mode of a volume claim": Rejected(
        _twice(
            lambda namespace: claim(namespace, "ReadWriteOnce"),
            lambda namespace: claim(namespace, "ReadOnlyMany"),
        ),
        422,
        "Invalid",
        "immutable",
    ),
    "an object unlike its path": Rejected(_unlike_its_path, 400, "BadRequest"),
    "the version of a new object": Rejected(
        lambda client, namespace: client.create(
            {
                **config_map(namespace),
                "metadata": {**config_map(namespace)["metadata"], "resourceVersion": "1"},
            }
        ),
        500,
        "",
        "resourceVersion",
    ),
    "an unknown field selector": Rejected(
        lambda client, namespace: client.list_objects(
            "v1", "ConfigMap", namespace, fields="data.key=a"
        ),
        400,
        "BadRequest",
        "is not a known field selector",
    ),
    "an unknown field selector of pods": Rejected(
        lambda client, namespace: client.list_objects(
            "v1", "Pod", namespace, fields="spec.image=a"
        ),
        400,
        "BadRequest",
        "field label not supported",
    ),
    "an object that is not there": Rejected(
        lambda client, namespace: client.get("v1", "ConfigMap", "none", namespace),
        404,
        "NotFound",
    ),
}


def check_ownership(client: KubeClient, namespace: str) -> None:
    """Fields that a manager no longer applies go, unless another manager applies them too."""
    client.apply(config_map(namespace, mine="1", ours="1"))
    apply_unforced(client, config_map(namespace, ours="1", theirs="1"), "other")
    client.apply(config_map(namespace))
    live = client.get("v1", "ConfigMap", "settings", namespace)
    assert live["data"] == {"ours": "1", "theirs": "1"}
    managers = {entry["manager"] for entry in live["metadata"]["managedFields"]}
    assert "other" in managers


def check_dry_run(client: KubeClient, namespace: str) -> None:
    """A dry run returns what would be stored, and stores nothing."""
    made = client.create(config_map(namespace, key="a"), dry_run=True)
    assert made["data"] == {"key": "a"}
    assert client.find("v1", "ConfigMap", "settings", namespace) is None


def check_unchanged(client: KubeClient, namespace: str) -> None:
    """An apply that changes nothing leaves the version as it was."""
    first = client.apply(config_map(namespace, key="a"))
    second = client.apply(config_map(namespace, key="a"))
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


ACCEPTED: dict[str, Case] = {
    "ownership": check_ownership,
    "dry run": check_dry_run,
    "unchanged": check_unchanged,
}
