"""A kind provider with a fake Docker engine and a fake kind CLI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from devstack.docker.engine import DOCKER
from devstack.errors import DevstackError
from devstack.kube.client import KubeClient
from devstack.pools.instance_types import GIB
from devstack.ports import any_free
from devstack.providers.base import ClusterSpec
from devstack.providers.kind import provider as module
from devstack.providers.kind.provider import KindProvider
from devstack.state import StackDir, StackState
from tests.fakes.api import FakeApi
from tests.fakes.runner import Call, FakeClock, FakeRunner, Recorder
from tests.fakes.stack import FakeImages, kubeconfig
from tests.support.certificates import certificate_request

SPEC = ClusterSpec("ci", timeout=60)


class Node:
    """A node container, with the owner's file of this stack or of another directory mounted."""

    def __init__(
        self, name: str, status: str = "running", images: str = "", mount: str = ""
    ) -> None:
        self.name = name
        self.status = status
        self.images = images
        mount = mount or f"{StackDir('ci').path}/owner.json:/etc/devstack/owner.json:ro"
        self.labels: dict[str, str] = {}
        self.files = {"/etc/kubernetes/kubelet.conf"}
        self.attrs: dict[str, Any] = {
            "Image": "sha256:node",
            "Config": {"Env": ["KUBECONFIG=/etc/kubernetes/admin.conf"], "Labels": {}},
            "HostConfig": {"Binds": ["/lib/modules:/lib/modules:ro", mount]},
            "NetworkSettings": {"Networks": {"devstack-ci": {"IPAddress": "172.18.0.2"}}},
        }


class Network:
    def __init__(self, name: str, labels: Mapping[str, str]) -> None:
        self.name = name
        self.attrs = {"Labels": dict(labels)}


class FakeEngine:
    """The engine as kind leaves it."""

    def __init__(self) -> None:
        self.engine = DOCKER
        self.fault: DevstackError | None = None
        self.found: list[Node] = []
        self.all_networks: list[Network] = []
        self.volumes: dict[str, dict[str, str]] = {}

    def require_usable(self) -> None:
        if self.fault:
            raise self.fault

    def nodes(self, cluster: str) -> list[Node]:
        assert cluster == "devstack-ci"
        return list(self.found)

    def start(self, nodes: list[Node]) -> None:
        for node in nodes:
            node.status = "running"

    def remove(self, nodes: list[Node], labels: Mapping[str, str]) -> None:
        self.found = [node for node in self.found if node not in nodes]

    def info(self) -> dict[str, Any]:
        system = os.uname()
        return {
            "MemTotal": 16 * GIB,
            "NCPU": 2,
            "DockerRootDir": "/",
            "ServerVersion": "29.4.3",
            "KernelVersion": system.release,
            "Name": system.nodename,
        }

    def version(self) -> dict[str, Any]:
        return {"Version": "29.4.3"}

    def networks(self, name: str) -> list[Network]:
        return [network for network in self.all_networks if network.name == name]

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        self.all_networks.append(Network(name, labels))

    def remove_networks(self, networks: list[Network]) -> None:
        self.all_networks = [each for each in self.all_networks if each not in networks]

    def claim_volume(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        return self.volumes.setdefault(name, dict(labels))

    def volume_labels(self, name: str) -> dict[str, str] | None:
        return self.volumes.get(name)

    def remove_volume(self, name: str) -> None:
        self.volumes.pop(name)

    def has_file(self, node: Node, path: str) -> bool:
        return path in node.files

    def execute(self, node: Node, argv: list[str]) -> str:
        return node.images


class KindSetting:
    """A kind provider, and the effects of kind's commands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dir = StackDir("ci")
        self.ports = {"minio": any_free(set()), "api": any_free(set())}
        self.dir.write(StackState("ci", ports=self.ports))
        self.engine = FakeEngine()
        self.runner = FakeRunner()
        self.progress = Recorder()
        self.images = FakeImages()
        self.offline: list[bool] = []
        self.runner.answer("kind", effect=self.make, stdout=" • Starting control-plane …\n")
        self.api = api = FakeApi()
        api.objects["/readyz"] = {}
        monkeypatch.setattr(KubeClient, "from_kubeconfig", lambda *_a, **_o: api.client())
        monkeypatch.setattr(module, "engine_client", lambda _runner: self.engine)
        monkeypatch.setattr(module, "ensure_tool", self._ensure_tool)
        self.provider = KindProvider(
            self.dir,
            self.images,  # type: ignore[arg-type]
            self.runner,
            FakeClock(),
            self.progress,
        )

    def make(self, call: Call) -> None:
        if "create" not in call.argv:
            return
        path = Path(call.argv[call.argv.index("--kubeconfig") + 1])
        assert not path.exists()
        path.write_text(kubeconfig())
        self.engine.found = [Node("ci-control-plane")]
        self.api.add(certificate_request("ci-control-plane"))
        self.api.objects["/api/v1/nodes/ci-control-plane/proxy/healthz"] = {}
        # kind creates the network only if there is none.
        network = call.env["KIND_EXPERIMENTAL_DOCKER_NETWORK"]
        assert self.engine.networks(network)

    def _ensure_tool(
        self, _tool: object, _runner: object, _progress: object, offline: bool = False
    ) -> Path:
        self.offline.append(offline)
        return Path("kind")


def refused(act: Any, *arguments: object) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        act(*arguments)
    return caught.value
