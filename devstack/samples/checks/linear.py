"""The sentence was built from the Parameter, in pods, and is on a card."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.card import shown_on
from devstack.samples.checks.result import CheckResult, contains, same


def check(run: Any, tasks: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of linear."""
    from metaflow.cards import get_cards

    card = "".join(shown_on(each.get()) for each in get_cards(run["middle"].task))
    data = run["end"].task.data
    return [
        same("the run succeeded", run.successful, True),
        same("the sentence is an artifact", data.sentence, "Hello Hello Airflow"),
        same("every step was a pod", data.in_pod, True),
        contains("the card shows it", card, "# Hello Hello Airflow"),
        contains("the log has it", run["end"].task.stdout, "The DAG said: Hello Hello Airflow"),
        same("Airflow ran each step", [t["step"] for t in tasks], ["start", "middle", "end"]),
        same("at the first attempt", {task["attempts"] for task in tasks}, {1}),
    ]
