"""Flows that run in `devstack shell`, with METAFLOW_KUBERNETES_* variables."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.reference.objects import (
    IMAGE,
    KEY,
    LOGIN,
    NAME,
    OTHER_NAMESPACE,
    own_secrets,
)
from tests.support.commandline import Devstack

FLOWS = Path(__file__).parent.with_name("flows")
ATTRIBUTES_FLOW = FLOWS / "kubernetes_attributes.py"
GANG_FLOW = FLOWS / "kubernetes_gang.py"
PLAIN_FLOW = FLOWS / "plain.py"
VARIABLES_FLOW = FLOWS / "kubernetes_variables.py"

TTL_SECONDS = 75
"""How long the Jobs of the run with variables are kept: until their pods have been read."""

VARIABLES = {
    "ANNOTATIONS": f"{KEY}=from a variable,{KEY}-2=from a variable",
    "CONTAINER_IMAGE": IMAGE,
    "CONTAINER_REGISTRY": "registry.example/",
    "CPU": "0.5",
    "DISK": "200",
    "FETCH_EC2_METADATA": "1",
    "GPU_VENDOR": "amd",
    "IMAGE_PULL_POLICY": "Never",
    "IMAGE_PULL_SECRETS": f'["{LOGIN}"]',
    "JOB_TTL_SECONDS_AFTER_FINISHED": str(TTL_SECONDS),
    "LABELS": f"{KEY}=variable,{KEY}-2=variable",
    "MEMORY": "1000",
    "NAMESPACE": OTHER_NAMESPACE,
    "NODE_SELECTOR": f"outerbounds.co/compute-pool={NAME}",
    "PERSISTENT_VOLUME_CLAIMS": f'{{"{NAME}": "/claim"}}',
    "PORT": "8001",
    "QOS": "guaranteed",
    "SANDBOX_INIT_SCRIPT": "export DEVSTACK_INIT=yes",
    "SERVICE_ACCOUNT": NAME,
    "TOLERATIONS": '[{"operator": "Exists"}]',
}

SMALL = {"CPU": "0.1", "MEMORY": "256", "DISK": "50"}


def with_variables(stack: Devstack, flow: Path, variables: Mapping[str, str]) -> list[str]:
    """Return the argv of a run in `devstack shell`, with the variables set there."""
    secrets = {"SECRETS": ",".join([*own_secrets(stack), NAME])}
    given = secrets | dict(variables)
    settings = [f"METAFLOW_KUBERNETES_{name}={value}" for name, value in given.items()]
    return ["shell", "--", "env", *settings, sys.executable, str(flow), "--no-pylint", "run"]
