"""What a flow needs to run on the stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devstack.kube.client import KubeClient
from devstack.paths import APP

_USER_VARIABLES = ("METAFLOW_USER", "SUDO_USER", "USERNAME", "USER")
"""Where Metaflow looks for the user's name."""


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
            **user_variables(inherited),
            **self.environment,
            "PATH": path,
            "PYTHONUNBUFFERED": "1",
        }


def user_variables(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return METAFLOW_USER where Metaflow would find no name; it does not take root's.

    Args:
        inherited: the variables that a program would see without it.
    """
    names = (inherited.get(key) for key in _USER_VARIABLES)
    return {} if any(name and name != "root" for name in names) else {"METAFLOW_USER": APP}
