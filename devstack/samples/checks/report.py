"""The card exists, and shows its content."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.card import shown_on
from devstack.samples.checks.result import CheckResult, contains, same


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of report."""
    from metaflow.cards import get_cards

    cards = list(get_cards(run["end"].task))
    shown = "".join(shown_on(card.get()) for card in cards)
    return [
        same("the run succeeded", run.successful, True),
        same("there is one card", [(card.id, card.type) for card in cards], [("months", "blank")]),
        contains("the card has its title", shown, "The first months of a year"),
        contains("the card has the table", shown, '["February", 28]'),
        contains("the card has the result", shown, "90 days in all"),
        same("all steps ran in pods", sorted(pod["step"] for pod in pods), ["end", "start"]),
    ]
