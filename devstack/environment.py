"""The environment variables with which a process uses a stack: Metaflow, kubectl, S3 clients."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from devstack.client_files import PROFILE, aws_file, scratch_folder, with_extension
from devstack.environment_variables import STACK_PROGRAMS, always_overridden, overridden
from devstack.paths import APP, absolute_folders
from devstack.ports import LOOPBACK
from devstack.project_config import find_project_config, settings_against
from devstack.stack import Stack

EXECUTABLE = "DEVSTACK_EXECUTABLE"
"""The variable with the path of the ``devstack`` command, for its Metaflow extension."""

_SEARCHED = "METAFLOW_EXTENSIONS_SEARCH_DIRS"
_USER_VARIABLES = ("METAFLOW_USER", "SUDO_USER", "USERNAME", "USER")
"""Where Metaflow looks for the user's name."""
_PROXY_VARIABLES = (
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
)
"""Where programs find a proxy: kubernetes' client and requests read all of them."""


def build_environment(stack: Stack) -> dict[str, str]:
    """Return the variables that point Metaflow, kubectl and S3 clients at the stack.

    A variable has precedence over Metaflow's configuration files, so settings that
    the user's environment or the project's ``.metaflow/config.json`` overrides are
    set again here.

    Raises:
        DevstackError: ``PROJECT_CONFIG_INVALID``.
    """
    outputs = stack.outputs()
    home = stack.dir.metaflow_home
    return {
        **{key: value for key, value in outputs.metaflow.items() if key in os.environ},
        **_project_overrides(stack),
        **_no_proxy_variables(),
        **_micromamba(),
        **_user(),
        **_extension(),
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


def _extension() -> dict[str, str]:
    """Return the variables with which Metaflow finds devstack's extension, and it devstack."""
    own = Path(sys.executable).parent / APP
    executable = str(own) if own.is_file() else shutil.which(APP)
    path = with_extension(os.environ.get("PYTHONPATH", ""))
    variables = {"PYTHONPATH": path, **absolute_folders()}
    if executable:
        variables[EXECUTABLE] = executable
    # Metaflow finds extensions only there, if it is set.
    if searched := os.environ.get(_SEARCHED):
        variables[_SEARCHED] = with_extension(searched)
    return variables


def _micromamba() -> dict[str, str]:
    """Return the variable that names the micromamba of the user's own Metaflow.

    Metaflow looks for it on PATH, then in METAFLOW_HOME, which is the stack's, and would
    download it again (``metaflow/plugins/pypi/micromamba.py``).
    """
    home = Path(os.environ.get("METAFLOW_HOME") or "~/.metaflowconfig").expanduser()
    found = home / "micromamba" / "bin" / "micromamba"
    known = os.environ.get("METAFLOW_PATH_TO_MICROMAMBA") or shutil.which("micromamba")
    return {"METAFLOW_PATH_TO_MICROMAMBA": str(found)} if not known and found.is_file() else {}


def conflicting_variables(stack: Stack, programs: Collection[str] = STACK_PROGRAMS) -> list[str]:
    """Return the variables to unset: they would override the stack's settings.

    Those of S3 clients are always included, so that the output of `devstack env`
    is valid in any shell; the others only if set, because there are too many.

    Args:
        stack: the stack.
        programs: the programs of the table that will use the stack.
    """
    ours = {*stack.outputs().metaflow, *build_environment(stack)}
    s3 = [name for name in always_overridden("boto3") if name not in ours]
    theirs = overridden(os.environ, programs)
    return [*s3, *(name for name in theirs if name not in ours and name not in s3)]


def describe_overrides() -> list[str]:
    """Return what of the user's settings of Metaflow the stack overrides, one sentence each.

    Raises:
        DevstackError: ``PROJECT_CONFIG_INVALID``.
    """
    sentences = []
    # In `devstack shell`, they are the stack's own. DEVSTACK_NAME may be the user's choice.
    is_own = os.environ.get("METAFLOW_PROFILE") == PROFILE
    names = [] if is_own else overridden(os.environ, {"Metaflow"})
    if names:
        sentences.append(f"overridden by the stack, from your environment: {', '.join(names)}")
    project = find_project_config()
    if project and project.overridden:
        keys = ", ".join(project.overridden)
        sentences.append(f"overridden by the stack, from {project.path}: {keys}")
    return sentences


def _project_overrides(stack: Stack) -> dict[str, str]:
    """Return the variables that override the project's configuration of Metaflow."""
    project = find_project_config()
    if project is None:
        return {}
    home = str(stack.dir.metaflow_home)
    settings = {**stack.outputs().metaflow, "METAFLOW_DATASTORE_SYSROOT_LOCAL": home}
    return settings_against(project, settings, stack.runner)


def _user() -> dict[str, str]:
    """Return METAFLOW_USER if Metaflow would find no user name; it rejects root."""
    names = (os.environ.get(key) for key in _USER_VARIABLES)
    return {} if any(name and name != "root" for name in names) else {"METAFLOW_USER": APP}


def _no_proxy_variables() -> dict[str, str]:
    """Return the variables that exempt loopback from a proxy, if one is set."""
    if not any(os.environ.get(name) for name in _PROXY_VARIABLES):
        return {}
    # Of two variables that differ, some programs read the first and some the second.
    lists = (os.environ.get(name, "").split(",") for name in ("NO_PROXY", "no_proxy"))
    theirs = [name.strip() for names in lists for name in names]
    exempt = dict.fromkeys(filter(None, [*theirs, LOOPBACK, "localhost"]))
    # Python knows "*", no proxy at all, only alone.
    names = "*" if "*" in exempt else ",".join(exempt)
    return {"NO_PROXY": names, "no_proxy": names}
