"""Check the results of a sample's run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.flows.result import FlowResult
from devstack.process import Runner
from devstack.samples.catalogue import Sample
from devstack.schema import TaskPod, dump

CHECK_SECONDS = 180.0


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        what: the claim.
        ok: True if it holds.
        saw: what was observed instead.
    """

    what: str
    ok: bool
    saw: str = ""


def verify(
    sample: Sample, result: FlowResult, env: FlowEnvironment, runner: Runner
) -> list[Finding]:
    """Check a run's results through Metaflow's client; see :func:`check_run`."""
    return check_run(sample, result.pathspec, dump(list[TaskPod], result.pods), env, runner)


def check_run(
    sample: Sample,
    pathspec: str,
    seen: Sequence[Mapping[str, Any]],
    env: FlowEnvironment,
    runner: Runner,
) -> list[Finding]:
    """Check a run's results through Metaflow's client.

    Args:
        sample: the sample, which has its own check.
        pathspec: the run, as ``FLOW/RUN``.
        seen: its pods, or Airflow's tasks, as the check reads them.
        env: what a flow process needs from the stack.
        runner: runs the check in a process of its own, because Metaflow reads its
            settings when it is imported.

    Returns:
        At least one finding.
    """
    module = "devstack.samples.checks"
    done = runner.run(
        [str(env.python), "-m", module, sample.name, pathspec],
        input=json.dumps(list(seen)),
        env=env.variables(),
        timeout=CHECK_SECONDS,
        check=False,
    )
    try:
        return _read(done.stdout)
    except ValueError:
        last = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()[-1]
        return [Finding("the results can be read", ok=False, saw=last)]


def failures(findings: Sequence[Finding]) -> list[str]:
    """Return the checks that failed, one sentence each."""
    return [f"{each.what}: {each.saw}" for each in findings if not each.ok]


def check_report(sample: Sample, error: DevstackError) -> Finding:
    """Check that an intended failure was reported correctly."""
    report = "\n".join(error.output_tail)
    ok = error.code == "FLOW_FAILED" and sample.fails_saying in report
    return Finding(
        "the failure is reported with the end of the pod's log", ok, "" if ok else report
    )


def _read(text: str) -> list[Finding]:
    findings = [Finding(**each) for each in json.loads(text)]
    if not findings:
        raise ValueError("no check")
    return findings
