"""A flow that was deployed to the stack's Airflow, by the verbs of ``devstack airflow``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from metaflow.client.core import get_metadata
from metaflow.runner.deployer import DeployedFlow

from .airflow_arguments import parameter_options
from .airflow_deployer import AirflowDeployer, FoundDeployer
from .airflow_token import require_token
from .airflow_triggered_run import AirflowTriggeredRun
from .devstack_command import run_devstack


class AirflowDeployedFlow(DeployedFlow):
    """A flow that was deployed as a DAG.

    Attributes:
        deployer: the deployer that created or found it.
        name: the DAG.
        flow_name: the flow's class.
        metadata: what Metaflow's client reads runs from.
    """

    TYPE: ClassVar[str] = "airflow"

    deployer: AirflowDeployer

    @classmethod
    def from_deployment(cls, identifier: str, metadata: str | None = None) -> AirflowDeployedFlow:
        """Return a deployed flow.

        Args:
            identifier: the DAG, or the flow's name if only one DAG ends in it.
            metadata: what Metaflow's client reads runs from; the current one if None.

        Raises:
            DevstackCommandError: Airflow has no such DAG, or it is not a flow.
        """
        (found,) = _show(run_devstack, identifier)
        return cls._found(found, metadata)

    @classmethod
    def list_deployed_flows(cls, flow_name: str | None = None) -> Iterator[AirflowDeployedFlow]:
        """Yield the deployed flows.

        Args:
            flow_name: the flow's class; all flows if None.

        Raises:
            DevstackCommandError: Airflow does not answer.
        """
        for found in _show(run_devstack):
            if flow_name in (None, found["flow"]):
                yield cls._found(found, None)

    @classmethod
    def get_triggered_run(
        cls, identifier: str, run_id: str, metadata: str | None = None
    ) -> AirflowTriggeredRun:
        """Return a run of a deployed flow.

        Args:
            identifier: as for ``from_deployment``.
            run_id: Metaflow's id of the run, or Airflow's.
            metadata: what Metaflow's client reads runs from; the current one if None.

        Raises:
            DevstackCommandError: Airflow has no such DAG or run.
        """
        flow = cls.from_deployment(identifier, metadata)
        argv = ["airflow", "runs", "--json", "--run", run_id, "--", flow.name]
        (found,) = flow.deployer.devstack(argv)["runs"]
        return flow._triggered(found)

    @classmethod
    def _found(cls, found: Mapping[str, Any], metadata: str | None) -> AirflowDeployedFlow:
        read_from = get_metadata() if metadata is None else metadata
        return cls(deployer=FoundDeployer(found["dag_id"], found["flow"], read_from))

    @property
    def production_token(self) -> str | None:
        """The production token; None if there is none."""
        return self._description()["production_token"] or None

    @property
    def schedule(self) -> str | None:
        """The cron expression or preset by which Airflow starts runs; None without a schedule."""
        return self._description()["schedule"] or None

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """The flow's Parameters: name, kind, default and description of each."""
        found: list[dict[str, Any]] = self._description()["parameters"]
        return found

    @property
    def is_paused(self) -> bool:
        """True if the DAG is paused: Airflow starts none of its runs."""
        return bool(self._description()["paused"])

    @property
    def url(self) -> str:
        """The DAG's page in Airflow's UI."""
        return str(self._description()["url"])

    def trigger(self, **kwargs: Any) -> AirflowTriggeredRun:
        """Trigger a run.

        Args:
            kwargs: values of the flow's Parameters; None stands for the default.

        Raises:
            DevstackCommandError: the DAG is paused, a value has another type, or Airflow
                does not answer.
            MetaflowException: the flow has no such Parameter.
        """
        options = parameter_options(kwargs, self.parameters) if kwargs else []
        argv = ["airflow", "trigger", "--json", *options, "--", self.name]
        return self._triggered(self.deployer.devstack(argv))

    def delete(self, authorize: str | None = None, *, force: bool = False) -> bool:
        """Delete the DAG with its runs; artifacts and Metaflow's metadata are kept.

        Args:
            authorize: the production token; needed for a flow that another user deployed.
            force: stop active runs first; without it, they are an error.

        Returns:
            True.

        Raises:
            IncorrectProductionToken: another user deployed the flow, with another token.
            DevstackCommandError: the DAG cannot be deleted.
        """
        require_token(self._description(), authorize, self.deployer.env_vars)
        force_option = ["--force"] if force else []
        self.deployer.devstack(["airflow", "delete", "--json", *force_option, "--", self.name])
        return True

    def _description(self) -> dict[str, Any]:
        """Return what Airflow knows of the flow now."""
        (found,) = _show(self.deployer.devstack, self.name)
        return found

    def _triggered(self, run: Mapping[str, Any]) -> AirflowTriggeredRun:
        content = {
            "metadata": self.metadata,
            "pathspec": f"{self.flow_name}/{run['metaflow_run_id']}",
            "name": run["dag_run_id"],
        }
        return AirflowTriggeredRun(deployer=self.deployer, content=json.dumps(content))


def _show(devstack: Any, *names: str) -> Sequence[dict[str, Any]]:
    """Return the descriptions of these DAGs, or of all flows.

    Args:
        devstack: runs a command of devstack.
        names: the DAGs.
    """
    found: Sequence[dict[str, Any]] = devstack(["airflow", "show", "--json", "--", *names])["flows"]
    return found
