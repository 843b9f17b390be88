"""``devstack kubeflow runs``."""

from __future__ import annotations

from devstack.cli.kubeflow.options import KUBEFLOW
from devstack.cli.workflows.runs import build

command = build(KUBEFLOW)
