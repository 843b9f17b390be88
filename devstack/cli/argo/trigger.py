"""``devstack argo trigger``."""

from __future__ import annotations

from devstack.cli.argo.options import ARGO
from devstack.cli.workflows.trigger import build

command = build(ARGO)
