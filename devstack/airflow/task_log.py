"""The log of a task: what its pod printed, and why the task failed according to Airflow."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import dropwhile, takewhile

_METAFLOW_PREFIX = "[save_logs]"
"""Start of the lines that Metaflow's log uploader prints."""

_POD_LINE = "[base] "
"""Airflow's mark of a line that the task's container printed."""

_TRACEBACK = "Traceback (most recent call last):"
_RECORD = re.compile(r"\[\d{4}-\d\d-\d\dT")
"""Start of a line with a message of Airflow's."""

_POD_FAILED = re.compile(r"Pod \S+ returned a failure")
_TERMINATED = re.compile(r"'terminated': \{(.*?)\}", re.DOTALL)
_TEXT = r"""\(?(['"])(.*?)\1\)?"""
_PLAIN_EXIT = ("Error", "Completed")
"""The kubelet's reasons for a container that ended by itself."""

MAX_REASON = 300


def task_output_lines(log: str) -> Sequence[str]:
    """Return the lines that the pod printed, without Airflow's and Metaflow's own."""
    lines = []
    for line in log.splitlines():
        _, marker, output = line.partition(_POD_LINE)
        if marker and not output.startswith(_METAFLOW_PREFIX):
            lines.append(output)
    return lines


def task_lines(log: str) -> Sequence[str]:
    """Return the lines that the pod printed, all if there are none, and Airflow's reason."""
    reason = failure_reason(log)
    lines = task_output_lines(log) or log.splitlines()
    return [*lines, f"Airflow: {reason}"] if reason else lines


def failure_reason(log: str) -> str:
    """Return why Airflow considers a task a failure, in one line.

    Empty if it has not failed, or only because its container ended with a status other
    than zero: what the container printed is the reason then.
    """
    # At the start of a line: a traceback that the pod printed has Airflow's mark before it.
    before, found, traceback = f"\n{log}".rpartition(f"\n{_TRACEBACK}\n")
    if not found:
        return ""
    error = _exception(traceback)
    if "(422)" in error or "HTTP response body" in error:
        return _kubernetes_reason(error)
    if _POD_FAILED.search(error):
        return _pod_reason(error + before)
    return _shortened(error.splitlines()[0]) if error else ""


def _exception(traceback: str) -> str:
    """Return the exception of a traceback, with the further lines of its message."""
    lines = list(takewhile(lambda line: not _RECORD.match(line), traceback.splitlines()))
    message = list(dropwhile(lambda line: not line or line.startswith(" "), lines))
    if not message:
        return ""
    name, colon, text = message[0].partition(": ")
    return "\n".join([name.rpartition(".")[2] + colon + text, *message[1:]])


def _kubernetes_reason(error: str) -> str:
    """Return the message of the Kubernetes API in its response."""
    body = re.search(r"HTTP response body: (\{.*\})", error)
    try:
        message = json.loads(body[1])["message"] if body else ""
    except (ValueError, KeyError):
        message = ""
    return _shortened(f"Kubernetes answered: {message or error.splitlines()[0]}")


def _pod_reason(text: str) -> str:
    """Return the kubelet's reason, such as OOMKilled, from Airflow's description of the pod."""
    # Python's pprint writes a long text as several, one a line.
    pod = re.sub(r"(['\"])\s*\n\s*\1", "", text)
    evicted = re.search(
        rf"'message': {_TEXT},\s*'nominated_node_name'.*'reason': 'Evicted'", pod, re.S
    )
    if evicted:
        return _shortened(f"the kubelet evicted the pod: {evicted[2]}")
    for state in _TERMINATED.findall(pod):
        code = re.search(r"'exit_code': (\d+)", state)
        message = re.search(rf"'message': {_TEXT}", state)
        reason = re.search(r"'reason': '(\w+)'", state)
        if reason and reason[1] not in _PLAIN_EXIT:
            status = f" (status {code[1]})" if code else ""
            detail = f": {message[2]}" if message else ""
            return _shortened(f"the kubelet ended the container: {reason[1]}{status}{detail}")
    return ""


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_REASON else line[: MAX_REASON - 3] + "..."
