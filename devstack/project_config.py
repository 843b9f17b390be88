"""The project's own configuration of Metaflow: ``.metaflow/config.json``.

Metaflow searches the current folder and those above it for ``.metaflow``, and the
file in it has precedence over the profile (``metaflow_config_funcs.from_conf``).
Only environment variables have precedence over the file.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.environment_variables import overridden
from devstack.errors import DevstackError, ExitStatus
from devstack.process import Runner

DECORATORS = "METAFLOW_DEFAULT_DECOSPECS"
"""The setting with decorators of every step."""

_DEFAULTS = """
import json, sys
from metaflow import metaflow_config, metaflow_config_funcs
known = metaflow_config_funcs._all_configs
values = {name: known[name] for name in sys.argv[1:] if name in known}
print(json.dumps({
    name: "" if each.value is None else each.serializer(each.value)
    for name, each in values.items()
}))
"""
"""Prints Metaflow's default values, as they are written in environment variables."""


@dataclass(frozen=True)
class ProjectConfig:
    """A project's configuration file.

    Attributes:
        path: the file.
        overridden: the keys that would redirect flows away from a stack.
        decorators: the decorators of every step, as Metaflow's DEFAULT_DECOSPECS.
    """

    path: Path
    overridden: tuple[str, ...]
    decorators: str = ""


def find_project_config(folder: Path | None = None) -> ProjectConfig | None:
    """Return the configuration that Metaflow finds from ``folder``, by default the current one.

    Raises:
        DevstackError: ``PROJECT_CONFIG_INVALID``.
    """
    start = folder or Path.cwd()
    found = next((each for each in (start, *start.parents) if (each / ".metaflow").is_dir()), None)
    path = found / ".metaflow" / "config.json" if found else None
    if path is None or not path.exists():
        return None
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        keys = list(settings.keys())
    except (OSError, ValueError, AttributeError) as error:
        raise DevstackError(
            f"cannot read {path}, the project's configuration of Metaflow",
            cause=str(error),
            remedy="correct it: a JSON object of METAFLOW_ settings",
            code="PROJECT_CONFIG_INVALID",
            exit_status=ExitStatus.USAGE,
        ) from error
    decorators = str(settings.get(DECORATORS) or "")
    return ProjectConfig(path, tuple(overridden(keys, {"Metaflow"})), decorators)


def settings_against(
    config: ProjectConfig, settings: Mapping[str, str], runner: Runner
) -> dict[str, str]:
    """Return the variables that override a project's configuration.

    Args:
        config: the project's configuration.
        settings: the stack's own settings; a key that is not among them gets
            Metaflow's default.
        runner: starts Python, if there are such keys.
    """
    ours = {key: settings[key] for key in config.overridden if key in settings}
    rest = [key for key in config.overridden if key not in settings]
    return {**ours, **(_defaults(rest, runner) if rest else {})}


def _defaults(keys: Sequence[str], runner: Runner) -> dict[str, str]:
    # Without the user's settings, and in a folder without a project's configuration.
    unset = {name: None for name in os.environ if name.startswith("METAFLOW_")}
    done = runner.run(
        [sys.executable, "-c", _DEFAULTS, *keys],
        env={**unset, "METAFLOW_HOME": os.devnull},
        cwd=Path("/"),
        timeout=60,
    )
    defaults: dict[str, str] = json.loads(done.stdout)
    return defaults
