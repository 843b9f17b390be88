"""What users do instead of `deploy` where DAG files reach Airflow in another way."""

from __future__ import annotations

from devstack.errors import DevstackError, ExitStatus
from devstack.lifecycle.airflow_service import installation_settings
from devstack.services.airflow.dag_delivery import DEPLOY, GIT, IMAGE, VOLUME, delivery
from devstack.services.git_sync import source_of
from devstack.stack import Stack

_COMPILE = "devstack airflow deploy FLOW.py --only-compile"
_WAYS = {
    GIT: "from Git",
    IMAGE: "in Airflow's image",
    VOLUME: "on a volume of yours",
}
_ADDING = {
    GIT: f"{_COMPILE} FOLDER/, then commit and push it",
    IMAGE: f"{_COMPILE} FOLDER/, then devstack airflow image build FOLDER",
    VOLUME: f"{_COMPILE} FOLDER/, then devstack airflow volume copy FOLDER",
}
_REMOVING = {
    GIT: "delete the file from the branch, then commit and push; runs and history stay until "
    "they are deleted in Airflow's UI",
    IMAGE: "delete the file from its folder, then devstack airflow image build FOLDER",
    VOLUME: "devstack airflow volume copy FOLDER --delete, without the file",
}


def require_deployable(stack: Stack) -> None:
    """Refuse to deploy a flow if DAG files reach Airflow in another way.

    Raises:
        DevstackError: ``DAGS_ELSEWHERE``, with what to do instead.
    """
    way = delivery(installation_settings(stack))
    if way != DEPLOY:
        raise _refusal("deploy the flow", stack, way, _ADDING[way])


def require_deletable(stack: Stack) -> None:
    """Refuse to delete a DAG's file if it is not this stack's; see :func:`require_deployable`."""
    way = delivery(installation_settings(stack))
    if way != DEPLOY:
        raise _refusal("delete the DAG", stack, way, _REMOVING[way])


def _refusal(what: str, stack: Stack, way: str, remedy: str) -> DevstackError:
    where = _WAYS[way]
    if way == GIT:
        source = source_of(installation_settings(stack))
        where += f": branch {source.branch} of {source.repo}"
    return DevstackError(
        f"cannot {what}",
        cause=f'Airflow gets its DAG files {where} (dags = "{way}" in the table [airflow])',
        remedy=remedy,
        code="DAGS_ELSEWHERE",
        exit_status=ExitStatus.USAGE,
    )
