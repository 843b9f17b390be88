"""Copy DAG files to the volume that Airflow reads them from."""

from __future__ import annotations

import base64
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from devstack.deployers.airflow.scheduler_pod import SchedulerPod
from devstack.errors import DevstackError, ExitStatus
from devstack.images.dag_files import dag_files
from devstack.services.airflow.dag_delivery import VOLUME, dags_folder, delivery
from devstack.stack import Stack


@dataclass(frozen=True)
class CopiedFiles:
    """What was copied.

    Attributes:
        written: the files that were copied, by their paths in the folder.
        deleted: the files that were deleted from the volume.
    """

    written: list[str]
    deleted: list[str]


def copy_to_volume(stack: Stack, folder: Path, *, delete: bool) -> CopiedFiles:
    """Copy the files of a folder to the volume; each replaces its predecessor by a rename.

    Args:
        stack: a stack that is up.
        folder: the folder of DAG files.
        delete: delete all other files from the volume.

    Raises:
        DevstackError: ``DAGS_ELSEWHERE`` if Airflow does not read a volume, ``DAG_FOLDER_INVALID``,
            or those of :class:`SchedulerPod`.
    """
    settings = stack.state.airflow
    if delivery(settings) != VOLUME:
        raise DevstackError(
            "cannot copy DAG files to a volume",
            cause=f'Airflow does not read one: dags = "{delivery(settings)}"',
            remedy='set dags = "volume" in the table [airflow] of devstack.toml, then devstack up',
            code="DAGS_ELSEWHERE",
            exit_status=ExitStatus.USAGE,
        )
    arguments = {"folder": dags_folder(settings), "archive": _archive(folder), "delete": delete}
    found = SchedulerPod(stack).run_program("copy_dags", arguments, "copy DAG files to the volume")
    return CopiedFiles(found["written"], found["deleted"])


def _archive(folder: Path) -> str:
    """Return the folder's files as a tar archive in base64."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, path in dag_files(folder).items():
            tar.add(path, name, recursive=False)
    return base64.b64encode(content.getvalue()).decode()
