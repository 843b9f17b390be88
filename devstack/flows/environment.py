"""What a flow needs to run on the stack."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from devstack.kube.client import KubeClient


@dataclass(frozen=True)
class FlowEnvironment:
    """What a flow process needs from a stack.

    Attributes:
        environment: variables that point Metaflow, S3 clients and Kubernetes
            clients at the stack; they are added to those of this process.
        python: the interpreter that runs flows; it has Metaflow.
        namespace: the namespace of task pods.
        kube: reads and deletes pods; the flow itself has its own kubeconfig.
        logs: the folder of the runs' output.
        unset: variables of this process that would override the stack's settings.
    """

    environment: Mapping[str, str]
    python: Path
    namespace: str
    kube: KubeClient
    logs: Path
    unset: Collection[str] = ()

    def variables(self) -> dict[str, str]:
        """Return the complete environment of a flow's process."""
        inherited = {key: value for key, value in os.environ.items() if key not in self.unset}
        # Metaflow finds the interpreter of local tasks on PATH.
        path = f"{self.python.parent}{os.pathsep}{inherited.get('PATH', os.defpath)}"
        return {
            **inherited,
            **self.environment,
            "PATH": path,
            "PYTHONUNBUFFERED": "1",
        }

    def changes(self) -> dict[str, str | None]:
        """Return the variables for a Runner: complete, and None for those to unset."""
        return {**dict.fromkeys(self.unset), **self.variables()}
