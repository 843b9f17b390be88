"""``devstack kubeflow open``."""

from __future__ import annotations

from devstack.cli.kubeflow.options import KUBEFLOW
from devstack.cli.workflows.open import build

_HELP = "Open Argo's page, which shows the runs of pipelines, and print its address."

command = build(KUBEFLOW, _HELP)
