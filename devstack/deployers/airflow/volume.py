"""Copy DAG files to the volume that Airflow reads them from."""

from __future__ import annotations

import base64
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from devstack.deployers.airflow.scheduler_pod import SchedulerPod
from devstack.images.dag_files import dag_files
from devstack.lifecycle.airflow_service import require_delivery
from devstack.services.airflow.dag_delivery import VOLUME, dags_folder
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
    require_delivery(stack, VOLUME, "cannot copy DAG files to a volume")
    folder_of_dags = dags_folder({"dags": VOLUME})
    arguments = {"folder": folder_of_dags, "archive": _archive(folder), "delete": delete}
    found = SchedulerPod(stack).run_program("copy_dags", arguments, "copy DAG files to the volume")
    return CopiedFiles(found["written"], found["deleted"])


def _archive(folder: Path) -> str:
    """Return the folder's files as a tar archive in base64."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, path in dag_files(folder).items():
            tar.add(path, name, recursive=False)
    return base64.b64encode(content.getvalue()).decode()
