"""Pods that cannot become ready, on a real node: what is reported of each, and how soon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from devstack.errors import DevstackError
from devstack.images.catalogue import IMAGES
from devstack.kube.client import KubeClient, Object
from devstack.kube.readiness import observe_deployment
from devstack.waits import SystemClock, wait_until
from tests.support.commandline import Devstack

NAMESPACE = "metaflow"
NEVER_READY = {"tcpSocket": {"port": 1}, "periodSeconds": 1}


@dataclass(frozen=True)
class BrokenPod:
    """A pod that cannot become ready, and the expected report."""

    code: str
    says: str
    output: str = ""
    timeout: float = 120.0
    container: Object = field(default_factory=dict)
    pod: Object = field(default_factory=dict)


BROKEN_PODS = {
    "memory": BrokenPod(
        "POD_UNSCHEDULABLE",
        "MiB memory (8,388,608 MiB requested)",
        container={"resources": {"requests": {"memory": "8Ti"}}},
    ),
    "device": BrokenPod(
        "POD_UNSCHEDULABLE",
        "offers 0 amd.com/gpu (1 requested)",
        container={"resources": {"limits": {"amd.com/gpu": "1"}}},
    ),
    "label": BrokenPod(
        "POD_UNSCHEDULABLE",
        "has no label disk=ssd",
        pod={"nodeSelector": {"disk": "ssd"}},
    ),
    "image": BrokenPod(
        "IMAGE_PULL_FAILED",
        "cannot get its image devstack/no-such-image:1",
        container={"image": "devstack/no-such-image:1"},
    ),
    "secret": BrokenPod(
        "POD_CONFIG_MISSING",
        'secret "no-such-secret" not found',
        container={"envFrom": [{"secretRef": {"name": "no-such-secret"}}]},
    ),
    "crash": BrokenPod(
        "POD_CRASHES",
        "ended with status 3",
        output="last words",
        container={"command": ["sh", "-c", "echo last words; exit 3"]},
    ),
    "probe": BrokenPod(
        "WAIT_TIMEOUT",
        "Readiness probe failed",
        output="not serving",
        timeout=10.0,
        container={"command": ["sh", "-c", "echo not serving; exec sleep 600"]},
    ),
    "mount": BrokenPod(
        "WAIT_TIMEOUT",
        'secret "no-such-secret" not found',
        timeout=10.0,
        container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        pod={"volumes": [{"name": "v", "secret": {"secretName": "no-such-secret"}}]},
    ),
    "claim": BrokenPod(
        "WAIT_TIMEOUT",
        f"volume claim {NAMESPACE}/no-such-claim does not exist",
        timeout=5.0,
        pod={"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "no-such-claim"}}]},
    ),
}


def deployment(name: str, broken: BrokenPod) -> Object:
    container: dict[str, Any] = {
        "name": "main",
        "image": IMAGES["task"].reference,
        "command": ["sleep", "600"],
        "readinessProbe": NEVER_READY,
        **broken.container,
    }
    pod = {"terminationGracePeriodSeconds": 0, "containers": [container], **broken.pod}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


@pytest.fixture
def kube(stack: Devstack) -> KubeClient:
    return KubeClient.from_kubeconfig((stack.directory / "admin.kubeconfig").read_text())


@pytest.fixture
def start(kube: KubeClient) -> Iterator[Callable[[str], None]]:
    started: list[str] = []

    def apply(name: str) -> None:
        started.append(name)
        kube.apply(deployment(name, BROKEN_PODS[name]))

    yield apply
    for name in started:
        kube.delete("apps/v1", "Deployment", name, NAMESPACE, propagation="Foreground")


@pytest.mark.parametrize("name", BROKEN_PODS)
def test_the_culprit_is_named(kube: KubeClient, start: Callable[[str], None], name: str) -> None:
    start(name)
    expected = BROKEN_PODS[name]
    with pytest.raises(DevstackError) as caught:
        wait_until(
            lambda: observe_deployment(kube, NAMESPACE, name),
            what=name,
            timeout=expected.timeout,
            clock=SystemClock(),
        )
    error = caught.value
    assert error.code == expected.code
    assert f"pod {NAMESPACE}/{name}-" in error.cause
    assert expected.says in error.cause
    assert expected.output in error.output
    assert error.remedy
