"""The client of Podman: what its Docker-compatible API lacks, by commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from devstack.docker.client import ABSENT, INSPECT_TIMEOUT, DockerClient
from devstack.docker.engine import PODMAN
from devstack.docker.errors import command_failed, translate_docker_errors
from devstack.docker.podman import engine_of
from devstack.docker.podman_nodes import build_create_command, named_volumes
from devstack.docker.recognition import CONTROLLERS
from devstack.process import Completed, Runner


def engine_client(runner: Runner, owner: str = "") -> DockerClient:
    """Return the client of the engine by which a runner runs Docker's commands.

    Args:
        runner: runs the engine's command.
        owner: see :class:`DockerClient`.
    """
    client = PodmanClient if engine_of(runner) == PODMAN else DockerClient
    return client(runner, owner)


class PodmanClient(DockerClient):
    """A client of Podman; see :class:`DockerClient`."""

    def info(self) -> dict[str, Any]:
        """Return what `docker info` shows, with the cgroup controllers that Podman may use."""
        return {**super().info(), **self._controllers()}

    def _controllers(self) -> dict[str, Any]:
        """Return the cgroup controllers, unless Podman does not name them."""
        argv = ["docker", "info", "--format", "{{json .Host.CgroupControllers}}"]
        done = self._run(argv, check=False, timeout=INSPECT_TIMEOUT)
        try:
            return {CONTROLLERS: list(json.loads(done.stdout))} if done.ok else {}
        except (ValueError, TypeError):
            return {}

    def create(self, name: str, body: Mapping[str, Any], model: Any) -> Any:
        """Create a container like ``model``, with a volume of its own for /var."""
        with translate_docker_errors(self.engine):
            volume = self._connect().volumes.create(labels={name: "true"})
        done = self._run(build_create_command(model.attrs, name, volume.name, body), check=False)
        with translate_docker_errors(self.engine):
            if not done.ok:
                volume.remove()
                raise command_failed(done, self.engine)
            return self._connect().containers.get(name)

    def kill(self, node: Any) -> None:
        """End a container at once: the API waits much longer for the end."""
        if node.status == "running":
            self._run(["docker", "kill", node.name])

    def set_cpu_shares(self, node: Any, shares: int) -> None:
        """Set a container's CPU weight: the API has no such request before version 5."""
        self._run(["docker", "update", "--cpu-shares", str(shares), node.name])

    def _execute(self, node: Any, argv: Sequence[str]) -> Completed:
        """Run a program in a container: one that the API starts stays for five minutes."""
        return self._run(["docker", "exec", node.name, *argv], check=False)

    def remove(self, containers: Iterable[Any], labels: Mapping[str, str]) -> None:
        """Remove containers at once, and volumes that kind named."""
        removed = list(containers)
        for each in removed:
            # The API waits ten seconds for the container to stop.
            argv = ["docker", "rm", "--force", "--time", "0", "--volumes", each.name]
            done = self._run(argv, check=False)
            if not done.ok and not ABSENT.search(done.stderr):
                raise command_failed(done, self.engine)
        for name in {name for each in removed for name in named_volumes(each.attrs)}:
            self.remove_volume(name)
