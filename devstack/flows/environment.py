"""What a flow needs to run on the stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devstack.kube.client import KubeClient


@dataclass(frozen=True)
class FlowEnvironment:
    """The stack, as one who runs flows sees it.

    Attributes:
        environment: variables that point Metaflow, S3 clients and Kubernetes
            clients at the stack; the flow sees them on top of this process's.
        python: the interpreter that runs flows; it has Metaflow.
        namespace: where task pods run.
        kube: looks after the run's pods; the flow itself has its own kubeconfig.
        logs: the folder in which each run's output is kept.
    """

    environment: Mapping[str, str]
    python: Path
    namespace: str
    kube: KubeClient
    logs: Path

    def variables(self) -> dict[str, str]:
        """Return all variables of a flow's process."""
        inherited = dict(os.environ)
        # Metaflow looks up the interpreter of local tasks on PATH.
        path = f"{self.python.parent}{os.pathsep}{inherited.get('PATH', os.defpath)}"
        return {
            **inherited,
            **self.environment,
            "PATH": path,
            "PYTHONUNBUFFERED": "1",
        }
