"""The files that clients of a stack use: kubeconfig, Metaflow's configuration, AWS files.

They are in the stack's own directory; the user's kubeconfig, Metaflow and AWS
files are neither read nor written.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from devstack.paths import private_folder
from devstack.services.rbac import submitter_kubeconfig
from devstack.stack import Stack

PROFILE = "devstack"
"""The Metaflow profile; its file is ``config_devstack.json`` in METAFLOW_HOME."""

EXTENSION_FOLDER = Path(__file__).resolve().parent / "metaflow_extension"
"""The folder of devstack's Metaflow extension, for PYTHONPATH; it has no other module."""


def with_extension(folders: str) -> str:
    """Return a value of PYTHONPATH with the folder of the Metaflow extension.

    Extensions of other installations of devstack, from an outer `devstack shell`, are removed:
    Metaflow refuses two extensions of the same name.

    Args:
        folders: the user's value; its other folders keep their order and precedence.
    """
    end = EXTENSION_FOLDER.parts[-2:]
    theirs = [each for each in folders.split(os.pathsep) if Path(each).parts[-2:] != end]
    return os.pathsep.join([*(theirs if any(theirs) else []), str(EXTENSION_FOLDER)])


def client_files_current(stack: Stack) -> bool:
    """Return True if all files exist and match the stack."""
    config = _metaflow_config(stack)
    return (
        stack.dir.kubeconfig.exists()
        # A new token revokes the old kubeconfig.
        and stack.dir.kubeconfig.read_text() == _kubeconfig_text(stack)
        and config.exists()
        and config.read_text() == _metaflow_config_text(stack)
        and aws_file(stack, "config").exists()
        and scratch_folder(stack).is_dir()
    )


def ensure_client_files(stack: Stack) -> None:
    """Write the submitter's kubeconfig, Metaflow's configuration and empty AWS files."""
    directory = stack.dir
    directory.write_file(directory.kubeconfig.name, _kubeconfig_text(stack))
    # Empty files of our own hide the user's AWS profile and region.
    for name in ("config", "credentials"):
        directory.write_file(str(aws_file(stack, name).relative_to(directory.path)), "")
    config = _metaflow_config(stack).relative_to(directory.path)
    directory.write_file(str(config), _metaflow_config_text(stack))
    private_folder(scratch_folder(stack))


def aws_file(stack: Stack, name: str) -> Path:
    """Return the path of an AWS file: ``config`` or ``credentials``."""
    return stack.dir.metaflow_home / "aws" / name


def scratch_folder(stack: Stack) -> Path:
    """Return the folder for the temporary files of flows."""
    return stack.dir.metaflow_home / "tmp"


def _kubeconfig_text(stack: Stack) -> str:
    admin = stack.dir.admin_kubeconfig.read_text()
    return submitter_kubeconfig(stack.context(stack.kube()), admin)


def _metaflow_config(stack: Stack) -> Path:
    return stack.dir.metaflow_home / f"config_{PROFILE}.json"


def _metaflow_config_text(stack: Stack) -> str:
    return json.dumps(dict(stack.outputs().metaflow), indent=2, sort_keys=True) + "\n"
