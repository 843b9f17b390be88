"""``--engine``, and the engine that a command without a stack uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.providers.engines import ENGINES, HELP, require_known_engine

if TYPE_CHECKING:
    from devstack.process import Runner


class EngineChoice(click.Choice[str]):
    """The container engines; an unknown one is an error with the closest match."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value, if there is such an engine."""
        require_known_engine(value)
        return str(value)


engine_option = click.option("--engine", type=EngineChoice(ENGINES), help=HELP)


def engine_runner(engine: str | None, config_file: Path | None = None) -> Runner:
    """Return what runs an engine's commands.

    Args:
        engine: the value of ``--engine``; None for that of the settings.
        config_file: the settings file; None for the usual one.
    """
    from devstack.config import load
    from devstack.process import SubprocessRunner
    from devstack.providers.engines import select_engine

    name = engine or load(config_file).engine
    return select_engine(name, SubprocessRunner())[1]
