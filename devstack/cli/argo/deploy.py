"""``devstack argo deploy``."""

from __future__ import annotations

from devstack.cli.argo.options import ARGO
from devstack.cli.workflows.deploy import build

command = build(ARGO)
