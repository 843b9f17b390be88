"""The compliance suite of metaflow-orchestrator-kit, with the flows of Metaflow's test/ux."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.external_suites import ux
from scripts.external_suites.programs import KIT, Programs
from scripts.external_suites.pytest_suite import PytestSuite, run_pytest
from scripts.external_suites.results import Result

FOLDER = "metaflow_orchestrator_kit"

_LEFT_OUT = {
    "needs a conda channel": ("-k", "conda"),
    "calls from_deployment of a deployer; Metaflow has it in DeployedFlow only": (
        "-k",
        "test_from_deployment_dotted_name",
    ),
}


def run_kit(programs: Programs) -> Iterator[Result]:
    """Run its tests on the schedulers of the backends.

    They name flows by their paths below the current folder.
    """
    root = programs.copy(FOLDER, KIT).parent
    for backend in programs.backends:
        if scheduler := ux.SCHEDULERS.get(backend):
            options = ("--scheduler-type", scheduler, "--decospecs", "kubernetes")
            paths = (f"{FOLDER}/compliance",)
            name, cwd = f"kit {backend}", ux.flows(programs)
            suite = PytestSuite(name, root, paths, cwd, options, _LEFT_OUT)
            yield from run_pytest(programs, suite)
