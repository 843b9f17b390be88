"""What the stack hands out: the submitter's kubeconfig and Metaflow's configuration.

Everything lies in the stack's own directory; the user's kubeconfig, Metaflow
and AWS files are neither read nor written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from devstack.paths import APP, private_folder
from devstack.ports import LOOPBACK
from devstack.services.base import Outputs
from devstack.services.rbac import submitter_kubeconfig
from devstack.stack import Stack

PROFILE = "devstack"
"""The Metaflow profile; its file is ``config_devstack.json`` in METAFLOW_HOME."""

_OTHER_S3 = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_REGION",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)
_USER_VARIABLES = ("METAFLOW_USER", "SUDO_USER", "USERNAME", "USER")
"""Where Metaflow looks for the user's name."""

_CHOOSES_PLACE = (
    "METAFLOW_DATASTORE_",
    "METAFLOW_DATATOOLS_",
    "METAFLOW_DEFAULT_",
    "METAFLOW_KUBERNETES_",
    "METAFLOW_S3_ENDPOINT_URL",
    "METAFLOW_SERVICE_",
)
"""How the names of Metaflow's settings begin that say where flows run and what they write."""


def credentials_current(stack: Stack) -> bool:
    """Return True where everything handed out is there and up to date."""
    config = stack.dir.metaflow_home / _config_name()
    return (
        stack.dir.kubeconfig.exists()
        # A token made anew leaves the old kubeconfig without any rights.
        and stack.dir.kubeconfig.read_text() == _kubeconfig_text(stack)
        and config.exists()
        and config.read_text() == _config_text(stack)
        and (stack.dir.metaflow_home / "aws" / "config").exists()
        and _scratch(stack).is_dir()
    )


def ensure_credentials(stack: Stack) -> None:
    """Write the submitter's kubeconfig and Metaflow's configuration."""
    stack.dir.write_file(stack.dir.kubeconfig.name, _kubeconfig_text(stack))
    home = stack.dir.metaflow_home.name
    # Empty ones of our own, so that neither the user's profile nor region leaks in.
    stack.dir.write_file(f"{home}/aws/config", "")
    stack.dir.write_file(f"{home}/aws/credentials", "")
    stack.dir.write_file(f"{home}/{_config_name()}", _config_text(stack))
    private_folder(_scratch(stack))


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
        **_no_proxy_variables(),
        **_user(),
        **outputs.environment,
        "METAFLOW_HOME": str(home),
        "METAFLOW_PROFILE": PROFILE,
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(home),
        # Metaflow's own choice is the current folder, where a flow that dies leaves its files.
        "METAFLOW_TEMPDIR": os.environ.get("METAFLOW_TEMPDIR", str(_scratch(stack))),
        "AWS_CONFIG_FILE": str(home / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "aws" / "credentials"),
        "KUBECONFIG": str(stack.dir.kubeconfig),
        "KUBECACHEDIR": str(stack.dir.kubectl_cache),
        "DEVSTACK_NAME": stack.spec.name,
    }


def conflicting_variables(stack: Stack) -> list[str]:
    """Return the variables that have to be unset, since they lead away from the stack.

    Those of S3 clients are named whether they are set or not, so that what
    `devstack env` prints serves any shell; of Metaflow's there are too many.
    """
    ours = collect_outputs(stack).metaflow
    theirs = [name for name in os.environ if name.startswith(_CHOOSES_PLACE) and name not in ours]
    return [*_OTHER_S3, *sorted(theirs)]


def _scratch(stack: Stack) -> Path:
    return stack.dir.metaflow_home / "tmp"


def _user() -> dict[str, str]:
    """Return METAFLOW_USER where Metaflow would find no name; it does not take root's."""
    names = (os.environ.get(key) for key in _USER_VARIABLES)
    return {} if any(name and name != "root" for name in names) else {"METAFLOW_USER": APP}


def _no_proxy_variables() -> dict[str, str]:
    """Keep loopback away from a proxy, where one is set."""
    if not {"HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} & set(os.environ):
        return {}
    exempt = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    names = ",".join([*filter(None, [exempt]), LOOPBACK, "localhost"])
    return {"NO_PROXY": names, "no_proxy": names}


def _merge(tables: list[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for table in tables for key, value in table.items()}


def _kubeconfig_text(stack: Stack) -> str:
    admin = stack.dir.admin_kubeconfig.read_text()
    return submitter_kubeconfig(stack.context(stack.kube()), admin)


def _config_name() -> str:
    return f"config_{PROFILE}.json"


def _config_text(stack: Stack) -> str:
    return json.dumps(dict(collect_outputs(stack).metaflow), indent=2, sort_keys=True) + "\n"
