"""Deploy a flow with any deployer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from devstack.deployers.base import Deployer, Deployment, DeployOptions, Note
from devstack.flows.environment import FlowEnvironment
from devstack.waits import Clock


def deploy(
    deployer: Deployer[Any, Any],
    options: DeployOptions,
    env: FlowEnvironment,
    clock: Clock,
    note: Note,
) -> Deployment:
    """Compile a flow and deliver it; return when the engine has processed it.

    Raises:
        DevstackError: see :meth:`Deployer.compile` and :meth:`Deployer.deliver`.
    """
    note("Metaflow compiles the flow")
    began = clock.now()
    compiled = deployer.compile(options, env)
    compile_seconds = clock.now() - began
    return replace(deployer.deliver(compiled, note), compile_seconds=compile_seconds)
