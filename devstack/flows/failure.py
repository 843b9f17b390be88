"""The report of a run that failed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.package_failures import DOCUMENT, find_package_failure
from devstack.flows.pods import TaskPod
from devstack.flows.result import FlowResult, PodLog
from devstack.paths import document

LOG_LINES = 12
"""The number of log lines in a report."""

_START = "devstack: "
"""Begins what a task pod prints if its image lacks what Metaflow needs; see `minio.py`."""

_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([^']+)'")

_SIGNALLED = 126
"""Exit statuses from here on are those of shells and signals, not of the flow."""

_ADVICE = {
    "OOMKilled": "request more memory for the step; if it used less than it requests, the machine's"
    " own memory was used up: run fewer tasks at the same time (--max-workers), or end other"
    " programs",
    "DeadlineExceeded": "give the step a longer @timeout",
    "Evicted": "request more memory or disk for the step",
    "StartError": "check that the step's image has bash and Python, for this machine's processor",
}
"""What to do about a reason of the kubelet's."""

_STEP_FAILED = re.compile(r"Step \*?(\w+)\*? \(task-id [^)]*\) failed")
"""The last line that Metaflow prints of a failed run (its ``TaskFailed``)."""


def failure_of(result: FlowResult) -> DevstackError:
    """Return the error for a run that did not succeed.

    It contains the end of the failed pod's log, or of the flow's own output if no
    pod failed.
    """
    if result.stop_reason:
        return _stopped(result)
    if not result.run_id and result.returncode == 0:
        return no_flow_error(f"cannot run {result.name}", result.output)
    tail = _tail(result)
    packages = find_package_failure(tail)
    log = f"all of its output is in {result.log}"
    more = f"(see {document(DOCUMENT)}); {log}"
    return DevstackError(
        f"flow {result.flow or result.name} failed",
        cause=f"{_cause(result)}: {packages.cause}" if packages else _cause(result),
        remedy=f"{packages.remedy} {more}" if packages else _remedy(result),
        code="FLOW_FAILED",
        exit_status=ExitStatus.FLOW_FAILED,
        output="\n".join(tail),
    )


def _stopped(result: FlowResult) -> DevstackError:
    reason = result.stop_reason
    assert reason is not None
    return DevstackError(
        f"flow {result.flow or result.name} was stopped",
        cause=reason.reason,
        remedy=reason.remedy or f"all of its output is in {result.log}",
        code=reason.code,
        exit_status=ExitStatus.FLOW_FAILED,
        output="\n".join([*result.stalls, *filter(None, [reason.output])]),
    )


def no_flow_error(message: str, output: Sequence[str]) -> DevstackError:
    """Return the error for a file that ended successfully and started no flow.

    Args:
        message: what cannot be done.
        output: the lines that the file printed.
    """
    return DevstackError(
        message,
        cause="the file ran, and no flow started",
        remedy="add `if __name__ == '__main__': MyFlow()` at its end, with the name of your flow",
        code="FLOW_NOT_STARTED",
        exit_status=ExitStatus.USAGE,
        output="\n".join(output),
    )


def _cause(result: FlowResult) -> str:
    if not result.run_id:
        return f"it did not start; its process exited with status {result.returncode}"
    step, last = _failed_step(result), _failed_pod(result)
    if last is None and step:
        return f"step {step} of run {result.run_id} failed"
    if last is None:
        return f"run {result.run_id} ended with status {result.returncode}"
    pod = next((each for each in result.pods if each.name == last.pod), None)
    message = _image_fault(result, last) or (pod.message if pod else "")
    why = f": {' '.join(message.split())}" if message else ""
    return f"step {last.step} of run {result.run_id} failed in pod {last.pod}{_ending(pod)}{why}"


def _ending(pod: TaskPod | None) -> str:
    """Return how a pod ended, as the kubelet reports it."""
    if pod is None:
        return ""
    status = f"exit status {pod.exit_status}" if pod.exit_status >= _SIGNALLED else ""
    reason = "" if pod.reason == "Error" else pod.reason
    ending = ", ".join(filter(None, [reason, status]))
    return f" ({ending})" if ending else ""


def _image_fault(result: FlowResult, pod: PodLog) -> str:
    """Return what the pod's image lacks to run a task of Metaflow; empty if nothing."""
    if _reason(result, pod) == "OOMKilled":
        # What was killed may be the process that looked for the modules.
        return ""
    if pod.lines and pod.lines[-1].startswith(_START):
        return pod.lines[-1].removeprefix(_START)
    if any('exec: "bash"' in line and "not found" in line for line in pod.lines):
        return "the image has no bash, with which Metaflow starts tasks"
    return ""


def _reason(result: FlowResult, log: PodLog) -> str:
    """Return why the kubelet says a pod ended; empty if it does not say."""
    return next((pod.reason for pod in result.pods if pod.name == log.pod), "")


def _remedy(result: FlowResult) -> str:
    log = f"all of its output is in {result.log}"
    last = _failed_pod(result)
    if last and _image_fault(result, last):
        return (
            "build the image with bash, python, boto3 and requests, such as FROM the stack's own"
            f" (`devstack images list`: task), or let pods reach a package index; {log}"
        )
    imported = [found[1] for line in result.output if (found := _NO_MODULE.match(line))]
    if not result.run_id and imported:
        flow_python = f"install {imported[-1]} in the flow's Python"
        return f"{flow_python}, or choose another with --python; {log}"
    advice = _ADVICE.get(_reason(result, last), "") if last else ""
    return f"{advice}; {log}" if advice else log


def _tail(result: FlowResult) -> list[str]:
    last = _failed_pod(result)
    lines = last.lines if last and last.lines else result.output
    return list(lines[-LOG_LINES:])


def _failed_step(result: FlowResult) -> str:
    """Return the step that Metaflow reports as failed, or an empty string."""
    named = [match.group(1) for line in result.output if (match := _STEP_FAILED.search(line))]
    return named[-1] if named else ""


def _failed_pod(result: FlowResult) -> PodLog | None:
    """Return the failed pod of that step; others were retried, or caught by ``@catch``."""
    step = _failed_step(result)
    attempts = {pod.name: pod.attempt for pod in result.pods}
    of_step = [log for log in result.failed if step in ("", log.step)]
    return max(reversed(of_step), key=lambda log: attempts.get(log.pod, 0), default=None)
