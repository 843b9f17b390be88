"""The commands and options of a flow's file, from Metaflow's ``cli.py`` and ``cli_components``.

Importing Metaflow takes a second, so they are a table here; a test compares it with the
installed Metaflow.
"""

from __future__ import annotations

from collections.abc import Mapping

TOP_LEVEL_OPTIONS: Mapping[str, int] = {
    "--quiet": 0,
    "--not-quiet": 0,
    "--metadata": 1,
    "--environment": 1,
    "--force-rebuild-environments": 0,
    "--no-force-rebuild-environments": 0,
    "--datastore": 1,
    "--datastore-root": 1,
    "--package-suffixes": 1,
    "--with": 1,
    "--pylint": 0,
    "--no-pylint": 0,
    "--event-logger": 1,
    "--monitor": 1,
    "--local-config-file": 1,
    "--mode": 1,
    "--config": 2,
    "--config-value": 2,
}
"""The options before the command, and how many values each takes."""

DECORATOR_OPTIONS: Mapping[str, Mapping[str, int]] = {
    "project": {"--branch": 1, "--production": 0},
    "trigger_on_finish": {"--trigger": 1},
}
"""The options before the command that a flow has because of its decorators."""

RUN_OPTIONS: Mapping[str, int] = {
    "--tag": 1,
    "--max-workers": 1,
    "--max-num-splits": 1,
    "--max-log-size": 1,
    "--with": 1,
    "--run-id-file": 1,
    "--runner-attribute-file": 1,
    "--namespace": 1,
    "--help": 0,
}
"""The options of ``run``, without the flow's parameters."""

RESUME_OPTIONS: Mapping[str, int] = {
    **{option: values for option, values in RUN_OPTIONS.items() if option != "--namespace"},
    "--resume-identifier": 1,
    "--reentrant": 0,
    "--no-reentrant": 0,
    "--clone-only": 0,
    "--no-clone-only": 0,
    "--run-id": 1,
    "--origin-run-id": 1,
}
"""The options of ``resume``."""
