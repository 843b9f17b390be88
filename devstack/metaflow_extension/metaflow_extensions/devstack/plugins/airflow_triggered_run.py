"""A run of a flow that was deployed to the stack's Airflow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from metaflow.runner.deployer import TriggeredRun

from .airflow_deployer import AirflowDeployer
from .airflow_token import require_token
from .devstack_command import DevstackCommandError

_ACTIVE = ("QUEUED", "RUNNING")
_UNAVAILABLE = "AIRFLOW_UNREACHABLE"

OUTAGE_SECONDS = 120.0
"""Seconds for which Airflow may be unavailable while a run is awaited."""


class AirflowTriggeredRun(TriggeredRun):
    """A run of a DAG.

    Attributes:
        deployer: the deployer of its flow.
        pathspec: Metaflow's name of the run: the flow and the run's id.
        name: Airflow's id of the run.
    """

    deployer: AirflowDeployer
    name: str

    @property
    def status(self) -> str | None:
        """QUEUED, RUNNING, SUCCESS or FAILED; None if Airflow does not have the run."""
        found = self._find()
        return str(found["state"]).upper() if found else None

    @property
    def is_running(self) -> bool:
        """True until the run has ended."""
        return self.status in _ACTIVE

    def wait_for_completion(self, check_interval: float = 5, timeout: float | None = None) -> None:
        """Wait until the run has ended.

        Args:
            check_interval: seconds between two requests.
            timeout: maximum seconds to wait; unlimited if None.

        Raises:
            TimeoutError: it has not ended in time.
            DevstackCommandError: Airflow is unavailable for more than two minutes.
        """
        began = last_answer = time.monotonic()
        while True:
            try:
                if not self.is_running:
                    return
                last_answer = time.monotonic()
            except DevstackCommandError as error:
                outage = time.monotonic() - last_answer
                if error.code != _UNAVAILABLE or outage > OUTAGE_SECONDS:
                    raise
            if timeout is not None and time.monotonic() - began > timeout:
                raise TimeoutError(f"the run {self.pathspec} did not end within {timeout} s")
            time.sleep(check_interval)

    def terminate(self, authorize: str | None = None) -> bool:
        """Stop the run and delete its pods.

        Args:
            authorize: the production token; needed for a flow that another user deployed.

        Returns:
            True if it was stopped, False if it had ended before.

        Raises:
            IncorrectProductionToken: another user deployed the flow, with another token.
            DevstackCommandError: Airflow has no such run, or does not answer.
        """
        shown = self.deployer.devstack(["airflow", "show", "--json", "--", self.deployer.name])
        require_token(shown["flows"][0], authorize, self.deployer.env_vars)
        metaflow_id = self.pathspec.split("/")[1]
        stopped = self.deployer.devstack(["airflow", "stop", "--json", "--", metaflow_id])
        return bool(stopped["stopped"])

    def _find(self) -> Mapping[str, Any] | None:
        """Return the run as Airflow has it now; None if it has no such run."""
        argv = ["airflow", "runs", "--json", "--run", self.name, "--", self.deployer.name]
        try:
            (found,) = self.deployer.devstack(argv)["runs"]
        except DevstackCommandError as error:
            if error.code in ("RUN_UNKNOWN", "DAG_UNKNOWN"):
                return None
            raise
        run: Mapping[str, Any] = found
        return run
