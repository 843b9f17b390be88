"""What a flow needs to run on the stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
    """

    environment: Mapping[str, str]
    python: Path
    namespace: str
    kube: KubeClient
    logs: Path

    def variables(self) -> dict[str, str]:
        """Return the complete environment of a flow's process."""
        inherited = dict(os.environ)
        # Metaflow finds the interpreter of local tasks on PATH.
        path = f"{self.python.parent}{os.pathsep}{inherited.get('PATH', os.defpath)}"
        return {
            **inherited,
            **self.environment,
            "PATH": path,
            "PYTHONUNBUFFERED": "1",
        }
