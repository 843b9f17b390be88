"""What the stack hands out: the submitter's kubeconfig and Metaflow's configuration.

Everything lies in the stack's own directory; the user's kubeconfig, Metaflow
and AWS files are neither read nor written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from devstack.plan.stack import Stack
from devstack.services.base import Outputs
from devstack.services.rbac import submitter_kubeconfig

PROFILE = "devstack"
"""The Metaflow profile; its file is ``config_devstack.json`` in METAFLOW_HOME."""


def access_holds(stack: Stack) -> bool:
    """Return True where everything handed out is there and up to date."""
    config = stack.dir.metaflow_home / _config_name()
    return (
        stack.dir.kubeconfig.exists()
        # A token made anew leaves the old kubeconfig without any rights.
        and stack.dir.kubeconfig.read_text() == _kubeconfig_text(stack)
        and config.exists()
        and config.read_text() == _config_text(stack)
        and (stack.dir.metaflow_home / "aws" / "config").exists()
    )


def ensure_access(stack: Stack) -> None:
    """Write the submitter's kubeconfig and Metaflow's configuration."""
    stack.dir.write_file(stack.dir.kubeconfig.name, _kubeconfig_text(stack))
    home = stack.dir.metaflow_home.name
    # Empty ones of our own, so that neither the user's profile nor region leaks in.
    stack.dir.write_file(f"{home}/aws/config", "")
    stack.dir.write_file(f"{home}/aws/credentials", "")
    stack.dir.write_file(f"{home}/{_config_name()}", _config_text(stack))


def collect_outputs(stack: Stack) -> Outputs:
    """Return what all services offer, put together."""
    ctx = stack.context(None)
    offered = [service.outputs(ctx) for service in stack.services]
    return Outputs(
        metaflow=_merge([each.metaflow for each in offered]),
        environment=_merge([each.environment for each in offered]),
        urls=_merge([each.urls for each in offered]),
        secrets=_merge([each.secrets for each in offered]),
    )


def build_environment(stack: Stack) -> dict[str, str]:
    """Return the variables that point Metaflow, kubectl and S3 clients at the stack.

    Metaflow lets a variable override its configuration file, so every setting
    that the user's own environment overrides is set again here.
    """
    outputs = collect_outputs(stack)
    home = stack.dir.metaflow_home
    overridden = {key: value for key, value in outputs.metaflow.items() if key in os.environ}
    return {
        **overridden,
        **outputs.environment,
        "METAFLOW_HOME": str(home),
        "METAFLOW_PROFILE": PROFILE,
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(home),
        "AWS_CONFIG_FILE": str(home / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "aws" / "credentials"),
        "KUBECONFIG": str(stack.dir.kubeconfig),
        "DEVSTACK_NAME": stack.spec.name,
    }


UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN")
"""Variables that would make an S3 client look elsewhere; taken away for the stack."""


def _merge(tables: list[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for table in tables for key, value in table.items()}


def _kubeconfig_text(stack: Stack) -> str:
    admin = stack.dir.admin_kubeconfig.read_text()
    return submitter_kubeconfig(stack.context(stack.kube()), admin)


def _config_name() -> str:
    return f"config_{PROFILE}.json"


def _config_text(stack: Stack) -> str:
    return json.dumps(dict(collect_outputs(stack).metaflow), indent=2, sort_keys=True) + "\n"
