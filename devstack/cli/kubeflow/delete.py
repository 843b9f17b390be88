"""``devstack kubeflow delete``."""

from __future__ import annotations

from devstack.cli.kubeflow.options import KUBEFLOW
from devstack.cli.workflows.delete import build

command = build(KUBEFLOW, "schedule, its runs and its versions")
