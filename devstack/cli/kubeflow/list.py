"""``devstack kubeflow list``."""

from __future__ import annotations

from devstack.cli.kubeflow.options import KUBEFLOW
from devstack.cli.workflows.list import build

command = build(KUBEFLOW)
