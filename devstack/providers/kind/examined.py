"""What `doctor` looks at in the engine that runs a kind cluster."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from devstack.docker.cgroup import uses_cgroup_v1
from devstack.docker.client import DockerClient
from devstack.docker.connection import engine_host
from devstack.docker.examination import list_owned, read_subnets
from devstack.docker.recognition import (
    is_plainly_local,
    missing_controllers,
    recognize,
    remote_fault,
)
from devstack.errors import DevstackError
from devstack.parallel import in_parallel
from devstack.providers.base import ClusterSpec, EngineDescription, EngineObject, Problem
from devstack.providers.kind.engine_check import to_problem


class ExaminedEngine:
    """The part of the provider that implements `devstack.providers.base.HasEngine`."""

    _engine: DockerClient
    _description: EngineDescription | None = None
    cluster: str

    def __init__(self) -> None:
        # Several threads examine the engine at once; a busy one takes seconds to answer.
        self._asking = threading.Lock()

    def engine_address_problem(self) -> Problem | None:
        """Return why the engine's address cannot be used; nothing is connected to."""
        fault = remote_fault(engine_host(self._engine.engine))
        return to_problem(fault) if fault else None

    def describe_engine(self) -> EngineDescription:
        """Return what the engine says about itself, which it is asked once."""
        with self._asking:
            if self._description is None:
                self._description = self._ask_engine()
        return self._description

    def _ask_engine(self) -> EngineDescription:
        info = self._engine.info()
        product = recognize(info, self._engine.version())
        local = is_plainly_local(product, info, engine_host(self._engine.engine))
        missing = missing_controllers(product, info)
        return EngineDescription(info, product.name, local, missing, uses_cgroup_v1(info))

    def engine_subnets(self) -> dict[str, list[str]]:
        """Return the subnets of all of the engine's networks, by the network's name."""
        return read_subnets(self._engine.engine)

    def engine_objects(self) -> list[EngineObject]:
        """Return what stacks, of any user, created in the engine."""
        return [
            EngineObject(kind, name, owner) for kind, name, owner in list_owned(self._engine.engine)
        ]

    def run_on_nodes(self, spec: ClusterSpec, script: str, timeout: float) -> dict[str, str | None]:
        """Run a script by bash on each running node; return its output by the node's name."""
        nodes = [node for node in self._engine.nodes(self.cluster) if node.status == "running"]
        outputs: dict[str, str | None] = dict.fromkeys(node.name for node in nodes)

        def run(node: Any) -> None:
            with suppress(DevstackError):
                done = self._engine.run(node, script, timeout)
                if done.ok:
                    outputs[node.name] = done.stdout

        in_parallel(run, nodes)
        return outputs
