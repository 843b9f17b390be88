"""``devstack argo delete``."""

from __future__ import annotations

from devstack.cli.argo.options import ARGO
from devstack.cli.workflows.delete import build

command = build(ARGO, "template, its schedule, its sensor and its runs")
