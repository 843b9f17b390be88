"""The environment variables with which a process uses a stack: Metaflow, kubectl, S3 clients."""

from __future__ import annotations

import os

from devstack.client_files import PROFILE, aws_file, scratch_folder
from devstack.paths import APP
from devstack.ports import LOOPBACK
from devstack.stack import Stack

_S3_VARIABLES = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_REGION",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)
_USER_VARIABLES = ("METAFLOW_USER", "SUDO_USER", "USERNAME", "USER")
"""Where Metaflow looks for the user's name."""

_TARGET_PREFIXES = (
    "METAFLOW_DATASTORE_",
    "METAFLOW_DATATOOLS_",
    "METAFLOW_DEFAULT_",
    "METAFLOW_KUBERNETES_",
    "METAFLOW_S3_ENDPOINT_URL",
    "METAFLOW_SERVICE_",
)
"""Prefixes of Metaflow's settings that determine where flows run and store data."""


def build_environment(stack: Stack) -> dict[str, str]:
    """Return the variables that point Metaflow, kubectl and S3 clients at the stack.

    A variable overrides Metaflow's configuration file, so settings that the
    user's environment overrides are set again here.
    """
    outputs = stack.outputs()
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
        # By default a flow that is killed leaves its files in the current folder.
        "METAFLOW_TEMPDIR": os.environ.get("METAFLOW_TEMPDIR", str(scratch_folder(stack))),
        "AWS_CONFIG_FILE": str(aws_file(stack, "config")),
        "AWS_SHARED_CREDENTIALS_FILE": str(aws_file(stack, "credentials")),
        "KUBECONFIG": str(stack.dir.kubeconfig),
        "KUBECACHEDIR": str(stack.dir.kubectl_cache),
        "DEVSTACK_NAME": stack.spec.name,
    }


def conflicting_variables(stack: Stack) -> list[str]:
    """Return the variables to unset: they would override the stack's settings.

    Those of S3 clients are always included, so that the output of `devstack env`
    is valid in any shell; Metaflow's only if set, because there are too many.
    """
    ours = stack.outputs().metaflow
    theirs = [name for name in os.environ if name.startswith(_TARGET_PREFIXES) and name not in ours]
    return [*_S3_VARIABLES, *sorted(theirs)]


def _user() -> dict[str, str]:
    """Return METAFLOW_USER if Metaflow would find no user name; it rejects root."""
    names = (os.environ.get(key) for key in _USER_VARIABLES)
    return {} if any(name and name != "root" for name in names) else {"METAFLOW_USER": APP}


def _no_proxy_variables() -> dict[str, str]:
    """Return the variables that exempt loopback from a proxy, if one is set."""
    if not {"HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} & set(os.environ):
        return {}
    exempt = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    names = ",".join([*filter(None, [exempt]), LOOPBACK, "localhost"])
    return {"NO_PROXY": names, "no_proxy": names}
