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

_NOT_EMPTY = ("METAFLOW_ENABLED_", "METAFLOW_KUBERNETES_PORT")
"""How the keys begin whose default is None, and for which an empty variable is another value.

With an empty list of plug-ins there are none, and an empty port is no number.
"""

_DERIVED = {
    "METAFLOW_CONDA_PACKAGE_S3ROOT": ("METAFLOW_DATASTORE_SYSROOT_S3", "conda"),
    "METAFLOW_DATATOOLS_LOCALROOT": ("METAFLOW_DATASTORE_SYSROOT_LOCAL", ".metaflow/data"),
    "METAFLOW_CARD_LOCALROOT": ("METAFLOW_DATASTORE_SYSROOT_LOCAL", ".metaflow/mf.cards"),
}
"""Keys whose default is None, and from what Metaflow then derives their value, where it is used."""

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
    _check_keys(path, settings)
    decorators = str(settings.get(DECORATORS) or "")
    return ProjectConfig(path, tuple(overridden(keys, {"Metaflow"})), decorators)


def _check_keys(path: Path, settings: Mapping[str, object]) -> None:
    fixed = [
        key for key, value in settings.items() if key.startswith(_NOT_EMPTY) and value is not None
    ]
    if fixed:
        keys = ", ".join(sorted(fixed))
        raise DevstackError(
            f"cannot override {keys} in {path}, the project's configuration of Metaflow",
            cause="no environment variable stands for Metaflow's default there",
            remedy=f"remove {keys} from that file, or move it to a profile of Metaflow",
            code="PROJECT_CONFIG_INVALID",
            exit_status=ExitStatus.USAGE,
        )


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
    derived = {
        key: f"{settings[root]}/{folder}"
        for key, (root, folder) in _DERIVED.items()
        if root in settings
    }
    known = {**derived, **settings}
    ours = {key: known[key] for key in config.overridden if key in known}
    rest = [key for key in config.overridden if key not in known]
    return {**ours, **(_defaults(rest, settings, runner) if rest else {})}


def _defaults(keys: Sequence[str], settings: Mapping[str, str], runner: Runner) -> dict[str, str]:
    """Return Metaflow's defaults, of which some derive from the stack's settings."""
    # Without the user's settings, and in a folder without a project's configuration.
    unset = {name: None for name in os.environ if name.startswith("METAFLOW_")}
    done = runner.run(
        [sys.executable, "-c", _DEFAULTS, *keys],
        env={**unset, **settings, "METAFLOW_HOME": os.devnull},
        cwd=Path("/"),
        timeout=60,
    )
    defaults: dict[str, str] = json.loads(done.stdout)
    return defaults
