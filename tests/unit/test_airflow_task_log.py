"""The reason of a failed task, from Airflow's log."""

from __future__ import annotations

import pytest

from devstack.airflow.task_log import failure_reason, task_lines

POD_LINE = "[2026-11-26T15:00:00.1+0000] {pod_manager.py:490} INFO - [base] Task is starting.\n"
ERROR = "[2026-11-26T15:00:01.2+0000] {taskinstance.py:3336} ERROR - Task failed with exception\n"
FRAMES = 'Traceback (most recent call last):\n  File "x.py", line 1, in execute\n    raise x\n'
END = "[2026-11-26T15:00:02.3+0000] {taskinstance.py:1233} INFO - Marking task as FAILED.\n"
UNMAPPABLE = "airflow.exceptions.UnmappableXComLengthPushed: unmappable return value length: 1100\n"
REJECTED = """kubernetes.client.exceptions.ApiException: (422)
Reason: Unprocessable Entity
HTTP response headers: HTTPHeaderDict({'Audit-Id': 'x'})
HTTP response body: {"message":"Pod \\"a\\" is invalid: metadata.labels: bad","code":422}

"""
FAILED_POD = """airflow.exceptions.AirflowException: Pod start-x returned a failure.
remote_pod: {'api_version': 'v1',
 'status': {'container_statuses': [{'state': {'running': None,
                                              'terminated': {'exit_code': 137,
                                                             'message': None,
                                                             'reason': 'OOMKilled',
                                                             'signal': None},
                                              'waiting': None}}]}}
"""
EVICTED = """airflow.exceptions.AirflowException: Pod start-x returned a failure.
remote_pod: {'status': {'container_statuses': None,
            'message': 'The node was low on resource: '
                       'ephemeral-storage.',
            'nominated_node_name': None,
            'phase': 'Failed',
            'qos_class': 'Burstable',
            'reason': 'Evicted'}}
"""
NOT_STARTED = FAILED_POD.replace("OOMKilled", "StartError").replace(
    "'message': None", "'message': \"exec: 'bash': argument list too long\""
)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (UNMAPPABLE, "UnmappableXComLengthPushed: unmappable return value length: 1100"),
        (
            "jinja2.exceptions.UndefinedError: 'x' is undefined\n",
            "UndefinedError: 'x' is undefined",
        ),
        (REJECTED, 'Kubernetes answered: Pod "a" is invalid: metadata.labels: bad'),
        (FAILED_POD, "the kubelet ended the container: OOMKilled (status 137)"),
        (
            NOT_STARTED,
            "the kubelet ended the container: StartError (status 137):"
            " exec: 'bash': argument list too long",
        ),
        (EVICTED, "the kubelet evicted the pod: The node was low on resource: ephemeral-storage."),
        (FAILED_POD.replace("OOMKilled", "Error"), ""),
    ],
)
def test_the_reason_is_that_of_airflow_kubernetes_or_the_kubelet(message: str, reason: str) -> None:
    log = f"{POD_LINE}{ERROR}{FRAMES}{message}{END}"
    assert failure_reason(log) == reason
    expected = ["Task is starting.", *([f"Airflow: {reason}"] if reason else [])]
    assert list(task_lines(log)) == expected


def test_the_last_of_several_exceptions_is_the_reason() -> None:
    chained = "During handling of the above exception, another exception occurred:\n"
    log = f"{ERROR}{FRAMES}ValueError: first\n\n{chained}\n{FRAMES}{UNMAPPABLE}{END}"
    assert failure_reason(log).startswith("UnmappableXComLengthPushed")


def test_a_log_without_a_failure_has_no_reason() -> None:
    assert failure_reason(POD_LINE + END) == ""
    assert list(task_lines(END)) == [END.rstrip()]


def test_a_traceback_that_the_step_printed_is_not_airflows() -> None:
    printed = "".join(f"{POD_LINE[:-18]}{line}\n" for line in FRAMES.splitlines())
    assert failure_reason(printed + END) == ""
