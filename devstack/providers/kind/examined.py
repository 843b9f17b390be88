"""What `doctor` looks at in the engine that runs a kind cluster."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from devstack.docker.client import DockerClient
from devstack.docker.examination import engine_address, list_owned, read_subnets
from devstack.errors import DevstackError
from devstack.parallel import in_parallel
from devstack.providers.base import ClusterSpec, EngineObject


class ExaminedEngine:
    """The part of the provider that implements `devstack.providers.base.HasEngine`."""

    _engine: DockerClient
    cluster: str

    def engine_info(self) -> dict[str, Any]:
        """Return what `docker info` shows."""
        return self._engine.info()

    def engine_address(self) -> str:
        """Return the URL of Docker's API."""
        return engine_address()

    def engine_subnets(self) -> dict[str, list[str]]:
        """Return the subnets of all of Docker's networks, by the network's name."""
        return read_subnets()

    def engine_objects(self) -> list[EngineObject]:
        """Return what stacks, of any user, created in Docker."""
        return [EngineObject(kind, name, owner) for kind, name, owner in list_owned()]

    def run_on_nodes(self, spec: ClusterSpec, script: str, timeout: float) -> dict[str, str]:
        """Run a script by bash on each running node; return its output by the node's name."""
        nodes = [node for node in self._engine.nodes(self.cluster) if node.status == "running"]
        outputs: dict[str, str] = {}

        def run(node: Any) -> None:
            with suppress(DevstackError):
                done = self._engine.run(node, script, timeout)
                if done.ok:
                    outputs[node.name] = done.stdout

        in_parallel(run, nodes)
        return outputs
