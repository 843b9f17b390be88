"""Metaflow's ``Deployer(...).airflow()``, by ``devstack airflow deploy``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from metaflow.exception import MetaflowException
from metaflow.runner.deployer_impl import DeployerImpl

if TYPE_CHECKING:
    from .airflow_deployed_flow import AirflowDeployedFlow


class AirflowDeployer(DeployerImpl):
    """Deploys a flow to the stack's Airflow.

    Args:
        deployer_kwargs: ``name``, the name of the DAG; the flow's name if it is not given.
        kwargs: the flow's file and the settings of Metaflow's ``Deployer``.
    """

    TYPE: ClassVar[str] = "airflow"

    def __init__(self, deployer_kwargs: Mapping[str, Any], **kwargs: Any) -> None:
        self._deployer_kwargs = {
            name: value for name, value in deployer_kwargs.items() if value is not None
        }
        super().__init__(**kwargs)

    @property
    def deployer_kwargs(self) -> dict[str, Any]:
        """The options of Metaflow's group ``airflow``."""
        return self._deployer_kwargs

    @staticmethod
    def deployed_flow_type() -> type[AirflowDeployedFlow]:
        """Return the class of what ``create`` returns."""
        # Not at the top: Metaflow defines the class that it extends after it has loaded plug-ins.
        from .airflow_deployed_flow import AirflowDeployedFlow

        return AirflowDeployedFlow

    def create(self, **kwargs: Any) -> AirflowDeployedFlow:
        """Deploy the flow; return when Airflow has parsed the DAG.

        Args:
            kwargs: the options of Metaflow's ``airflow create``: authorize,
                generate_new_token, given_token, tags, is_paused_upon_creation,
                user_namespace, max_workers, workflow_timeout, worker_pool.

        Raises:
            DevstackCommandError: the flow cannot be deployed, for one of the reasons that
                ``devstack airflow deploy`` has.
            ValueError: there is no such option.
            TypeError: an option has a value of another type.
        """
        from metaflow.client.core import get_metadata

        from .airflow_arguments import deploy_arguments

        data = self.devstack(deploy_arguments(self._command(kwargs), sys.executable))
        self.name = data["dag_id"]
        self.flow_name = data["flow"]
        self.metadata = get_metadata()
        self.additional_info = data
        if self.show_output:
            sys.stdout.write(f"{self.name} is deployed: {data['url']}\n")
        return self.deployed_flow_type()(deployer=self)

    def devstack(self, argv: Sequence[str]) -> dict[str, Any]:
        """Run a command of devstack with the deployer's environment; return its data.

        Raises:
            DevstackCommandError: it failed.
        """
        from .devstack_command import run_devstack

        return run_devstack(
            argv,
            env=self.env_vars,
            cwd=self.cwd,
            timeout=self.file_read_timeout,
            show_output=self.show_output,
        )

    def _command(self, kwargs: Mapping[str, Any]) -> list[str]:
        """Return the arguments of Metaflow's ``airflow create``, whose types Metaflow checks."""
        from metaflow.runner.utils import get_lower_level_group

        from .airflow_arguments import FILE

        api: Any = self.api
        # Configs may be files in the folder of the deployment.
        with _folder(self.cwd):
            group: Any = get_lower_level_group(
                api, self.top_level_kwargs, self.TYPE, self.deployer_kwargs
            )
            command: list[str] = group.create(file=FILE, **kwargs)
        return command


class FoundDeployer(AirflowDeployer):
    """The deployer of a flow that was found in Airflow, without its file.

    Args:
        name: the DAG.
        flow_name: the flow's class.
        metadata: what Metaflow's client reads runs from.
    """

    def __init__(self, name: str, flow_name: str, metadata: str) -> None:
        self._deployer_kwargs = {"name": name}
        self.name = name
        self.flow_name = flow_name
        self.metadata = metadata
        self.additional_info: dict[str, Any] = {}
        self.flow_file = ""
        self.show_output = False
        self.profile = None
        self.env = None
        self.env_vars = dict(os.environ)
        self.cwd = os.getcwd()
        self.file_read_timeout = 3600
        self.top_level_kwargs: dict[str, Any] = {}

    def create(self, **kwargs: Any) -> AirflowDeployedFlow:
        """Raise an exception: only a flow's file can be deployed.

        Raises:
            MetaflowException: always.
        """
        raise MetaflowException(
            f"{self.name} was found in Airflow, which does not have the flow's file; "
            "deploy it with Deployer('FLOW.py').airflow().create()"
        )

    def cleanup(self) -> None:
        """Do nothing: there is no process to stop."""


@contextmanager
def _folder(path: str) -> Iterator[None]:
    """Change to a folder, and back at the end."""
    before = os.getcwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)
