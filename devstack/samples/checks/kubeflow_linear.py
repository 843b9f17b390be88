"""Every Parameter arrived exactly, the Secret is in the pod, and a retry was one of Argo's."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, contains, same

TEXT = 'it\'s $HOME, "$(date)" \\ and `id`'


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of kubeflow-linear."""
    start, end = run["start"].task, run["end"].task
    middle = run["middle"].task.data
    states = {task["step"]: task["state"] for task in tasks if task["state"] == "succeeded"}
    return [
        same("the run succeeded", run.successful, True),
        same("the Parameters arrived", end.data.values, [TEXT, 3, 0.5, True, {"a": [1, 2]}]),
        same("the second attempt succeeded", start.data.attempt, 1),
        same("the step's Secret is in its pod", middle.has_secret, True),
        same("every step was a pod", middle.in_pod, True),
        contains("the log has the text", end.stdout, f"The pipeline said: {TEXT}"),
        same("Argo ran each step", sorted(states), ["end", "middle", "start"]),
        contains("Metaflow knows the pipeline", start.metadata_dict["kfp-pipeline-name"], "Linear"),
    ]
