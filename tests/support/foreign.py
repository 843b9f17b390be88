"""A kind cluster that the user created without devstack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from devstack import tools
from devstack.docker.client import DockerClient
from devstack.images import ImageStore
from devstack.process import SubprocessRunner
from devstack.progress import Silent
from devstack.providers.kind.cli import KIND


@dataclass(frozen=True)
class ForeignCluster:
    """A cluster of one node, from devstack's own node image.

    Attributes:
        name: kind's name for it.
        kubeconfig: the file that names it.
    """

    name: str
    kubeconfig: Path

    @property
    def context(self) -> str:
        """Its context in the kubeconfig."""
        return f"kind-{self.name}"

    @property
    def node(self) -> str:
        """Its node's name, for Kubernetes and for Docker."""
        return f"{self.name}-control-plane"

    @property
    def network(self) -> str:
        """Docker's network of it, named as that of another stack: tests run at the same time."""
        return f"devstack-{self.name}"

    @property
    def container(self) -> Any:
        """Its node's container."""
        return docker.from_env().containers.get(self.node)

    def create(self, config: str) -> None:
        """Create it, after deleting an old one.

        Args:
            config: kind's configuration file.
        """
        # As in most clusters, kubelets sign their certificates themselves: nothing approves others.
        config = config.replace("serverTLSBootstrap: true", "serverTLSBootstrap: false")
        self.kubeconfig.parent.mkdir(parents=True)
        self.delete()
        image = ImageStore(SubprocessRunner(), Silent()).ensure(["node"])["node"]
        kind = tools.ensure_tool(KIND, SubprocessRunner(), Silent())
        argv = ["create", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig)]
        SubprocessRunner().run(
            [str(kind), *argv, "--image", image, "--config", "-", "--wait", "5m"],
            input=config,
            env={"KIND_EXPERIMENTAL_DOCKER_NETWORK": self.network},
            timeout=600,
        )

    def delete(self) -> None:
        """Delete it if it exists; kind itself fails if a process in it is frozen."""
        engine = DockerClient(SubprocessRunner())
        engine.remove(engine.nodes(self.name), {})
        engine.remove_networks(engine.networks(self.network))

    def execute(self, *argv: str) -> None:
        """Run a program on its node."""
        code, output = self.container.exec_run(list(argv))
        assert code == 0, output
