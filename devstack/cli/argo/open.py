"""``devstack argo open``."""

from __future__ import annotations

from devstack.cli.argo.options import ARGO
from devstack.cli.workflows.open import build

command = build(ARGO, "Open Argo's page, or that of the deployment NAME, and print its address.")
