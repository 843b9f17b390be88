"""``devstack argo runs``."""

from __future__ import annotations

from devstack.cli.argo.options import ARGO
from devstack.cli.workflows.runs import build

command = build(ARGO)
