"""A stack with fakes of its cluster, services, images and programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from devstack.config import StackSpec
from devstack.errors import DevstackError
from devstack.images.kubernetes_versions import node_image
from devstack.images.store import Row
from devstack.kube.client import KubeClient
from devstack.lifecycle import autoscaler
from devstack.owner import Owner
from devstack.ports import any_free
from devstack.providers.base import ClusterSpec, ClusterStatus, Problem, RegistrySettings
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.services.rbac import TOKEN_SECRET
from devstack.stack import Stack, open_stack
from devstack.state import StackDir
from devstack.waits import Observation, Ready
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeClock, FakeRunner, Recorder


def kubeconfig(cluster: int = 1) -> str:
    """Return the kubeconfig of the ``cluster``-th cluster made."""
    return f"""\
apiVersion: v1
kind: Config
current-context: fake
clusters: [{{name: fake, cluster: {{server: "https://127.0.0.1:{6443 + cluster}"}}}}]
users: [{{name: fake, user: {{token: "admin-{cluster}"}}}}]
contexts: [{{name: fake, context: {{cluster: fake, user: fake}}}}]
"""


class PlainProvider:
    """A provider whose cluster is a name; each new one has a kubeconfig of its own.

    It can do no more than every provider: it maps no ports and loads no images.
    """

    name = "plain"
    owns_cluster = True

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.state = "absent"
        self.clusters = 0
        self.calls: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.ensured_spec: ClusterSpec | None = None
        self.foreign: Owner | None = None

    def check(self, spec: ClusterSpec) -> list[Problem]:
        """Return the problems set."""
        self._record("check")
        return self.problems

    def ensure(self, spec: ClusterSpec) -> str:
        """Create a cluster unless one is running."""
        self.ensured_spec = spec
        self._record("ensure")
        if self.state == "absent":
            self.clusters += 1
        self.state = "running"
        return kubeconfig(self.clusters)

    def status(self, spec: ClusterSpec) -> ClusterStatus:
        """Return the state set."""
        self._record("status")
        return ClusterStatus(self.state, f"the cluster is {self.state}")

    def owner(self, spec: ClusterSpec) -> Owner | None:
        """Return the other owner that was set, or this stack if there is a cluster."""
        if self.foreign or not self.owns_cluster or self.state == "absent":
            return self.foreign
        return StackDir(spec.name).owner

    def delete(self, spec: ClusterSpec) -> None:
        """Remove the cluster."""
        self._record("delete")
        self.state = "absent"

    def collect_logs(self, spec: ClusterSpec, into: Path) -> None:
        """Write one file."""
        self._record("collect_logs")
        (into / "kubelet.log").write_text("all is well\n")

    def plan(self, spec: ClusterSpec) -> list[str]:
        """Return one command."""
        return [f"create a cluster with ports {dict(spec.host_ports)}"]

    def _record(self, what: str) -> None:
        self.calls.append(what)
        if what in self.fails:
            raise self.fails[what]


class FakeProvider(PlainProvider):
    """A provider like kind that loads no images."""

    name = "kind"
    own_ports = ("api",)

    def ensure_programs(self, spec: ClusterSpec) -> Path:
        """Return a path; nothing is compiled."""
        self._record("ensure_programs")
        return Path("/usr/bin/kind")

    def node_image(self, spec: ClusterSpec) -> str:
        """Return the name of the default's image."""
        return node_image(spec.kubernetes)


class FakeLoadingProvider(FakeProvider):
    """A provider that loads images from the machine into its nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def images_present(self, spec: ClusterSpec) -> set[str]:
        """Return what was loaded."""
        return set(self.loaded)

    def load_images(
        self, spec: ClusterSpec, references: Sequence[str], note: Callable[[str], None]
    ) -> None:
        """Record the images."""
        self._record("load_images")
        self.loaded += references


class ConfiguringProvider(FakeLoadingProvider):
    """A provider that records what its nodes are told about registries."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = RegistrySettings()

    def registries_version(self, spec: ClusterSpec, settings: RegistrySettings) -> str:
        """Return all but the authorities, which are this machine's."""
        known = {**settings.mirrors, **settings.local}
        return str(sorted(known.items())) if known else ""

    def configure_registries(self, spec: ClusterSpec, settings: RegistrySettings) -> None:
        """Record the settings."""
        self._record("configure_registries")
        self.settings = settings


class FakeImages:
    """An image store that has every image."""

    def __init__(self) -> None:
        self.ensured: list[list[str]] = []
        self.started: list[list[str]] = []
        self.missing: set[str] = set()
        self.tag = 1

    def reference(self, name: str) -> str:
        """Return the image's reference."""
        return f"devstack/{name}:{self.tag}"

    def ensure(self, names: Sequence[str]) -> dict[str, str]:
        """Record the request."""
        self.ensured.append(list(names))
        return {name: self.reference(name) for name in names}

    def present(self, names: Sequence[str]) -> dict[str, bool]:
        """Return True for all but those that are missing."""
        return {name: name not in self.missing for name in names}

    def start(self, names: Sequence[str], first: str) -> None:
        """Record the request."""
        self.started.append(list(names))

    def arrived(self, names: Sequence[str]) -> list[str]:
        """Return all of them."""
        return list(names)

    def rows(self, names: Sequence[str] = ()) -> list[Row]:
        """Return images without a size."""
        return [Row(name, self.reference(name), "built", 0, "") for name in names]

    def finish(self) -> None:
        """All images are there."""

    def cancel(self) -> None:
        """Nothing is left to do."""


class FakeService(Service):
    """A service of one ConfigMap and one port."""

    def __init__(self, name: str, needs: Sequence[str] = (), port: int = 0) -> None:
        self.name = name
        self.needs = tuple(needs)
        self.images: tuple[str, ...] = (name,)
        self.host_ports: tuple[HostPort, ...] = ()
        if port:
            self.host_ports = (HostPort(name, port, 30000 + port % 1000, f"ns/{name}:80", name),)
        self.observation: Observation = Ready()
        self.prepared = 0
        self.fails: Callable[[], None] | None = None

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return one ConfigMap with a credential in it."""
        metadata = {"name": self.name, "namespace": ctx.state.namespace}
        data = {"key": ctx.state.credential(self.name)}
        return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}]

    def prepare(self, ctx: ServiceContext) -> None:
        """Count the calls."""
        if self.fails:
            self.fails()
        self.prepared += 1

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return what was set."""
        return self.observation

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return one of each kind."""
        name = self.name.upper()
        return Outputs(
            metaflow={f"METAFLOW_{name}": ctx.state.namespace},
            environment={f"{name}_KEY": ctx.state.credential(self.name)},
            urls={
                port.name: f"http://127.0.0.1:{ctx.state.ports.get(port.name, 0)}"
                for port in self.host_ports
            },
            secrets={f"{self.name}-password": ctx.state.credential(self.name)},
        )


class World:
    """Fakes of everything but the stack's files: cluster, API, programs, time.

    It outlives a command, as the real one does; :meth:`open` is what each
    command does first.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.provider: PlainProvider = FakeLoadingProvider()
        self.images = FakeImages()
        # Not the port of a real MinIO: tests run beside stacks, and beside each other.
        self.port = any_free(set())
        self.services = [FakeService("rbac"), FakeService("minio", ["rbac"], port=self.port)]
        self.runner = FakeRunner()
        self.clock = FakeClock()
        self.progress = Recorder()
        self.api = FakeApi()
        self.api.objects["/readyz"] = {}
        self.api.add(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": TOKEN_SECRET, "namespace": "metaflow"},
                "data": {"token": "c3VibWl0dGVy"},
            }
        )
        monkeypatch.setattr(KubeClient, "from_kubeconfig", self._connect)
        # No test leaves a process behind that looks for pods.
        monkeypatch.setattr(autoscaler, "is_scaled", lambda _stack: False)

    def open(self, spec: StackSpec | None = None, *, ignore_corrupt_state: bool = False) -> Stack:
        """Return the stack as a new command finds it."""
        self.progress = Recorder()
        stack = open_stack(
            spec or StackSpec(),
            self.progress,
            self.runner,
            self.clock,
            ignore_corrupt_state=ignore_corrupt_state,
        )
        stack.services, stack.disabled = self.services, []
        replaced: dict[str, Any] = {"provider": self.provider, "images": self.images}
        vars(stack).update(replaced)
        return stack

    def break_api(self) -> None:
        """Stop the API server."""
        self.api.objects.pop("/readyz", None)

    def lose_cluster(self) -> None:
        """Delete the cluster and everything in it, outside devstack."""
        self.provider.state = "absent"
        self.break_api()
        if isinstance(self.provider, FakeLoadingProvider):
            self.provider.loaded = []

    def _connect(self, text: str, *_arguments: object, **_options: object) -> KubeClient:
        if not text:
            raise DevstackError("cannot use the kubeconfig", code="KUBECONFIG_BROKEN")
        return self.api.client()


def fails_with(error: BaseException) -> Callable[[], None]:
    """Return a function that raises ``error``."""

    def act() -> None:
        raise error

    return act
