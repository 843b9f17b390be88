"""``--engine``, apart from other options: its choices are those of the settings."""

from __future__ import annotations

import click

from devstack.cli.options import SuggestingChoice
from devstack.config import ENGINES

engine_option = click.option(
    "--engine",
    type=SuggestingChoice(ENGINES),
    help="The container engine of the nodes; auto is docker, or podman if only that is installed.",
)
