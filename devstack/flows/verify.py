"""Check the results of a sample's run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.flows.result import FlowResult
from devstack.process import Runner
from devstack.samples.catalogue import Sample
from devstack.samples.checks.result import CheckResult
from devstack.schema import TaskPod, dump

CHECK_SECONDS = 180.0


def verify(
    sample: Sample, result: FlowResult, env: FlowEnvironment, runner: Runner
) -> list[CheckResult]:
    """Check a run's results through Metaflow's client; see :func:`check_run`."""
    return check_run(sample, result.pathspec, dump(list[TaskPod], result.pods), env, runner)


def check_run(
    sample: Sample,
    pathspec: str,
    observed: Sequence[Mapping[str, Any]],
    env: FlowEnvironment,
    runner: Runner,
) -> list[CheckResult]:
    """Check a run's results through Metaflow's client.

    Args:
        sample: the sample, which has its own check.
        pathspec: the run, as ``FLOW/RUN``.
        observed: its pods, or Airflow's tasks, as the check reads them.
        env: what a flow process needs from the stack.
        runner: runs the check in a process of its own, because Metaflow reads its
            settings when it is imported.

    Returns:
        At least one result.
    """
    module = "devstack.samples.checks"
    done = runner.run(
        [str(env.python), "-m", module, sample.module, pathspec],
        input=json.dumps(list(observed)),
        env=env.changes(),
        timeout=CHECK_SECONDS,
        check=False,
    )
    try:
        return _read(done.stdout)
    except ValueError:
        last = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()[-1]
        return [CheckResult("the results can be read", ok=False, saw=last)]


def failures(results: Sequence[CheckResult]) -> list[str]:
    """Return the checks that failed, one sentence each."""
    return [f"{each.what}: {each.saw}" for each in results if not each.ok]


def check_report(sample: Sample, error: DevstackError) -> CheckResult:
    """Check that an intended failure was reported correctly."""
    report = "\n".join(error.output_tail)
    ok = error.code == "FLOW_FAILED" and sample.expected_failure in report
    return CheckResult(
        "the failure is reported with the end of the pod's log", ok, "" if ok else report
    )


def _read(text: str) -> list[CheckResult]:
    results = [CheckResult(**each) for each in json.loads(text)]
    if not results:
        raise ValueError("no check")
    return results
