"""What a flow needs to run on the stack."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
        unset: variables that the flow must not see.
    """

    environment: Mapping[str, str]
    python: Path
    namespace: str
    kube: KubeClient
    logs: Path
    unset: Sequence[str] = field(default=())

    def variables(self) -> dict[str, str]:
        """Return all variables of a flow's process."""
        inherited = {key: value for key, value in os.environ.items() if key not in self.unset}
        # Metaflow looks up the interpreter of local tasks on PATH.
        path = f"{self.python.parent}{os.pathsep}{inherited.get('PATH', os.defpath)}"
        return {
            **inherited,
            **_user(inherited),
            **self.environment,
            "PATH": path,
            "PYTHONUNBUFFERED": "1",
        }


def _user(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return METAFLOW_USER where Metaflow would find no user's name, or refuse root's."""
    names = (inherited.get(key) for key in ("METAFLOW_USER", "USERNAME", "USER"))
    if any(name and name != "root" for name in names):
        return {}
    name = getpass.getuser()
    return {"METAFLOW_USER": "devstack" if name == "root" else name}
