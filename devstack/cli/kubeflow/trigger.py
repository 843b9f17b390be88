"""``devstack kubeflow trigger``."""

from __future__ import annotations

from devstack.cli.kubeflow.options import KUBEFLOW
from devstack.cli.workflows.trigger import build

command = build(KUBEFLOW)
