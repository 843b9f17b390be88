"""The plug-ins that Metaflow gets in the environment of a stack: a deployer for Airflow.

For Kubeflow Pipelines it has its own, the package metaflow-kubeflow, which is patched here.

Metaflow imports this module in every process that has the folder on PYTHONPATH. It runs in the
user's Python, which may not have devstack: it imports the standard library and Metaflow only.
"""

from __future__ import annotations

import os
import sys

_AIRFLOW = "airflow"


def _is_stack() -> bool:
    """Return True in the environment of a stack, where Metaflow reads the stack's profile."""
    executable = os.environ.get("DEVSTACK_EXECUTABLE")
    return bool(executable) and os.environ.get("METAFLOW_PROFILE") == "devstack"


def _is_own_deployer() -> bool:
    """Return True if Metaflow itself has a deployer for Airflow (Netflix/metaflow#3106).

    Metaflow imports extensions after it has defined its own plug-ins.
    """
    own = getattr(sys.modules.get("metaflow.plugins"), "DEPLOYER_IMPL_PROVIDERS_DESC", ())
    return any(name == _AIRFLOW for name, _path in own)


DEPLOYER_IMPL_PROVIDERS_DESC = (
    [(_AIRFLOW, ".airflow_deployer.AirflowDeployer")]
    if _is_stack() and not _is_own_deployer()
    else []
)

if _is_stack():
    from . import kubeflow_patches

    kubeflow_patches.install()
