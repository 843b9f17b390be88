"""``devstack argo logs``."""

from __future__ import annotations

from devstack.cli.argo.options import ARGO
from devstack.cli.workflows.logs import build

command = build(ARGO)
