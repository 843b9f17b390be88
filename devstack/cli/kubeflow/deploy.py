"""``devstack kubeflow deploy``."""

from __future__ import annotations

from devstack.cli.kubeflow.options import KUBEFLOW
from devstack.cli.workflows.deploy import build

command = build(KUBEFLOW)
