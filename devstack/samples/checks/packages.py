"""The pod imported a package that only uv could have installed, and kept it in the cache."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, contains, same


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of packages."""
    data = run["end"].task.data
    log = run["describe"].task.stdout
    return [
        same("the run succeeded", run.successful, True),
        same("the package works", data.texts, ["1 minute and 30 seconds", "1 hour and 30 minutes"]),
        contains("the package is in the project's environment", data.module, "/.venv/"),
        contains("Metaflow's bootstrap used uv", log, "uv project bootstrapped"),
        same("the stack keeps the package", data.cached, True),
        same("one pod ran", [pod["step"] for pod in pods], ["describe"]),
    ]
