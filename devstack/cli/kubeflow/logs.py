"""``devstack kubeflow logs``."""

from __future__ import annotations

from devstack.cli.kubeflow.options import KUBEFLOW
from devstack.cli.workflows.logs import build

command = build(KUBEFLOW)
