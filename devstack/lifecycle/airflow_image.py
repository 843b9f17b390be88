"""The image of a stack's Airflow with requirements and DAG files, for `up` and on request."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.images.airflow_contents import (
    AirflowContents,
    pack_dags,
    packed_requirements,
    remove_image,
)
from devstack.images.artifact_cache import ArtifactCache
from devstack.kube.apply import apply_all
from devstack.lifecycle.added_images import is_added, supply_image
from devstack.lifecycle.airflow_service import require_delivery
from devstack.lifecycle.celery_workers import report_ending_workers, restart_outdated_workers
from devstack.lifecycle.step import Step
from devstack.services.airflow.dag_delivery import IMAGE, delivery
from devstack.services.base import Service
from devstack.stack import Stack
from devstack.waits import wait_until

DAGS_FILE = "airflow-dags.tar"
"""The DAG files of the image, in the stack's directory, so that `up` can build it again."""


def airflow_image_steps(stack: Stack) -> list[Step]:
    """Return the step that builds the image; empty if the stack needs none and has none."""
    settings = stack.spec.airflow
    wanted = settings.get("requirements") or delivery(settings) == IMAGE
    if not (wanted or stack.state.airflow_image):
        return []
    return [
        Step(
            "airflow-image",
            "Add requirements and DAG files to Airflow",
            is_done=lambda: _is_current(stack),
            ensure=lambda: _ensure(stack),
            commands=lambda: ["build an image upon Airflow's, and load it into the nodes"],
        )
    ]


@dataclass(frozen=True)
class BuiltImage:
    """An image that Airflow runs now.

    Attributes:
        reference: its name.
        changed: False if Airflow ran it before.
    """

    reference: str
    changed: bool


def build_image(stack: Stack, folder: Path) -> BuiltImage:
    """Build an image with the DAG files of a folder, and run Airflow from it.

    If Airflow does not become ready, it gets its former image again.

    Args:
        stack: a stack that is up.
        folder: DAG files, and ``requirements.txt`` if they need packages.

    Raises:
        DevstackError: ``DAGS_ELSEWHERE``, ``DAG_FOLDER_INVALID``, ``ROLL_OUT_FAILED``, or those of
            :meth:`AirflowContents.build`.
    """
    cache = ArtifactCache()
    # Other stacks use the same cache at the same time.
    with stack.dir.lock(), cache.scratch(f"airflow-dag-files-{stack.spec.name}") as scratch:
        # The command that had the lock may have changed it.
        stack.state = stack.dir.read() or stack.state
        require_delivery(stack, IMAGE, "cannot build an image with DAG files")
        archive = scratch / DAGS_FILE
        pack_dags(folder, archive)
        contents = _contents(stack, archive)
        reference, former = contents.reference, stack.state.airflow_image
        if reference == former:
            return BuiltImage(reference, changed=False)
        contents.build(stack.runner, stack.progress, cache)
        _load(stack, reference)
        _roll_out(stack, reference, former)
        kept = stack.dir.path / DAGS_FILE
        shutil.copyfile(archive, kept.with_suffix(".new"))
        kept.with_suffix(".new").replace(kept)
        stack.save()
        if former:
            remove_image(stack.runner, former)
    return BuiltImage(reference, changed=True)


def _contents(stack: Stack, archive: Path | None = None) -> AirflowContents:
    """Return what the stack's Airflow is to have.

    Args:
        stack: the stack.
        archive: DAG files; by default those that were built last.
    """
    settings = stack.state.airflow
    dags = archive or stack.dir.path / DAGS_FILE
    if delivery(settings) != IMAGE or not dags.exists():
        return AirflowContents(settings.get("requirements_text", ""))
    lines = [settings.get("requirements_text", ""), packed_requirements(dags)]
    return AirflowContents("\n".join(filter(None, lines)), dags)


def _is_current(stack: Stack) -> bool:
    reference = _contents(stack).reference
    if stack.state.airflow_image != reference:
        return False
    return not reference or is_added(stack, reference)


def _ensure(stack: Stack) -> None:
    contents = _contents(stack)
    if contents.reference:
        contents.build(stack.runner, stack.progress, ArtifactCache())
        _load(stack, contents.reference)
    # The step that applies Airflow runs its pods from it.
    stack.state.airflow_image = contents.reference
    stack.save()


def _load(stack: Stack, reference: str) -> None:
    if not supply_image(stack, reference):
        raise DevstackError(
            "cannot add requirements or DAG files to Airflow's image",
            cause=f"the nodes of provider {stack.provider.name!r} are not on this machine",
            remedy="use a stack of provider kind, or deliver DAG files in another way",
            code="IMAGES_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )


def _roll_out(stack: Stack, reference: str, former: str) -> None:
    service = next(each for each in stack.services if each.name == "airflow")
    try:
        _run_from(stack, service, reference)
    except DevstackError as error:
        after = "it runs from the former one again"
        try:
            _run_from(stack, service, former)
        except DevstackError:
            after = "it has the former one again, and is not ready yet either"
        raise DevstackError(
            f"Airflow does not become ready from the new image; {after}",
            cause=error.cause or str(error),
            remedy=error.remedy,
            code="ROLL_OUT_FAILED",
            output=error.output,
        ) from error


def _run_from(stack: Stack, service: Service, reference: str) -> None:
    stack.state.airflow_image = reference
    progress = stack.progress
    written = apply_all(
        stack.kube(),
        stack.manifests(service),
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=progress.note,
    )
    restart_outdated_workers(stack, service, written)
    ctx = stack.context(stack.kube())
    wait_until(
        lambda: service.observe(ctx),
        what="Airflow to become ready",
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=progress.note,
    )
    report_ending_workers(stack)
