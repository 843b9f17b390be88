"""The files that Airflow's settings name: read by `up`, and checked before it changes anything."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from devstack.airflow_settings import AirflowSettings, unused_settings, with_texts
from devstack.errors import DevstackError, ExitStatus
from devstack.services.airflow.installation import Installation
from devstack.services.airflow.service import replaced_options
from devstack.stack import Stack


def read_setting_files(stack: Stack) -> None:
    """Add the texts of the files to the stack's settings, and say what of them is not used.

    A stack that is brought up without devstack.toml keeps the texts that it has.

    Raises:
        DevstackError: ``SETTING_FILE_UNREADABLE``, ``AIRFLOW_CFG_INVALID`` or
            ``AIRFLOW_CFG_SECRET``.
    """
    spec = stack.spec
    if "airflow" not in spec.given:
        return
    try:
        settings = with_texts(spec.airflow)
    except (OSError, ValueError) as error:
        name = error.filename if isinstance(error, OSError) else error.args[1]
        raise DevstackError(
            f"cannot read {name}, which the table [airflow] names",
            cause=str(error.strerror if isinstance(error, OSError) else error.args[0]),
            remedy="correct its name; it is relative to the folder of devstack.toml",
            code="SETTING_FILE_UNREADABLE",
            exit_status=ExitStatus.USAGE,
        ) from error
    stack.spec = replace(spec, airflow=cast("AirflowSettings", settings))
    for prefix in ("", *settings.get("installations", {})):
        installation = Installation(prefix)
        for sentence in replaced_options(installation.settings(settings), installation):
            stack.progress.warn(f"airflow.cfg: {sentence}")
        table = f"airflow.installations.{prefix}" if prefix else "airflow"
        for sentence in unused_settings(installation.settings(settings)):
            stack.progress.warn(f"[{table}] {sentence}")
