"""Production tokens: who may change a flow that another user deployed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from metaflow.plugins.airflow.airflow_cli import IncorrectProductionToken
from metaflow.plugins.aws.step_functions.production_token import load_token
from metaflow.util import get_username

_NAMESPACE = "production:"


def require_token(
    flow: Mapping[str, Any], authorize: str | None, variables: Mapping[str, str]
) -> None:
    """Raise an exception unless this user deployed the flow, or knows its production token.

    Args:
        flow: the deployed flow, as ``devstack airflow show`` describes it.
        authorize: the token; that which Metaflow stored at the last deployment if None.
        variables: the environment of the deployer, which may name another user.

    Raises:
        IncorrectProductionToken: another user deployed the flow, with another token.
    """
    token, owner = flow["production_token"], flow["owner"]
    if not token or owner == (variables.get("METAFLOW_USER") or get_username()):
        return
    given = authorize or load_token(_stored_name(flow)) or ""
    if given.startswith(_NAMESPACE):
        given = given[len(_NAMESPACE) :]
    if given != token:
        raise IncorrectProductionToken(
            f"{flow['dag_id']} was deployed by {owner}, with another production token; "
            "ask for the token, and pass authorize=TOKEN"
        )


def _stored_name(flow: Mapping[str, Any]) -> str:
    """Return the name by which Metaflow stores the token of a deployment on this machine.

    It is the DAG's name, and with a ``@project`` one for all flows of the branch
    (``resolve_dag_name`` in metaflow/plugins/airflow/airflow_cli.py).
    """
    if not flow["project"]:
        return str(flow["dag_id"]).lower()
    branch = f"{flow['project']}.{flow['branch']}".encode()
    digest = hashlib.sha1(branch).digest()  # noqa: S324
    return "mfprj-" + base64.b32encode(digest).decode()[:16].lower()
