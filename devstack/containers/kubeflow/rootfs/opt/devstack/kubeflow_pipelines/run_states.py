"""States of runs, from the workflows that they are.

The controller keeps a workflow's phase as a label too, so that states can be read without the
workflows themselves, of which each may have a megabyte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

RUN_ID = "pipeline/runid"
RECURRING_RUN_ID = "pipeline/recurring-run-id"
PHASE = "workflows.argoproj.io/phase"
SCHEDULED_TIME = "workflows.argoproj.io/scheduled-time"

PENDING, CANCELING, CANCELED, FAILED = "PENDING", "CANCELING", "CANCELED", "FAILED"
_STATES = {"Running": "RUNNING", "Succeeded": "SUCCEEDED", "Failed": FAILED, "Error": FAILED}
FINAL = frozenset({"SUCCEEDED", FAILED, CANCELED, "SKIPPED"})


@dataclass(frozen=True)
class RunState:
    """The state of a run.

    Attributes:
        state: a value of the API's ``V2beta1RuntimeState``.
        finished_at: when it ended; None before that.
        error: why it failed, as Argo says.
    """

    state: str
    finished_at: datetime | None = None
    error: str = ""


def phase_of(metadata: Mapping[str, Any]) -> str:
    """Return the phase in the metadata of a workflow; empty before the controller has seen it."""
    return str((metadata.get("labels") or {}).get(PHASE, ""))


def state_of(phase: str, *, stopped: bool) -> str:
    """Return the state of a run.

    Args:
        phase: the workflow's phase.
        stopped: True if a user has terminated it.
    """
    state = _STATES.get(phase, PENDING)
    if not stopped:
        return state
    return CANCELED if state == FAILED else state if state in FINAL else CANCELING


def final_state(workflow: Mapping[str, Any]) -> RunState:
    """Return the state of a finished workflow."""
    status = workflow.get("status") or {}
    stopped = bool(workflow.get("spec", {}).get("shutdown"))
    state = state_of(status.get("phase", ""), stopped=stopped)
    finished = parse_time(status.get("finishedAt"))
    return RunState(state, finished, "" if state == "SUCCEEDED" else status.get("message", ""))


def parse_time(text: str | None) -> datetime | None:
    """Return a moment as Kubernetes writes it; None for none."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
