"""``devstack argo list``."""

from __future__ import annotations

from devstack.cli.argo.options import ARGO
from devstack.cli.workflows.list import build

command = build(ARGO)
