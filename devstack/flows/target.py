"""What the arguments of `devstack run` name: sample flows, or the user's files."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.airflow_settings import executors, is_celery_default
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.source import FlowSource, read_source, unknown_flow
from devstack.samples.catalogue import SAMPLES, Sample, find_sample
from devstack.services.base import Service


@dataclass(frozen=True)
class Targets:
    """What will run.

    Attributes:
        samples: sample flows, whose results are checked.
        sources: the user's flows.
    """

    samples: tuple[Sample, ...]
    sources: tuple[FlowSource, ...]


def find_targets(
    names: Sequence[str], named: Sequence[str] = (), known: Sequence[Sample] = SAMPLES
) -> Targets:
    """Return what the names mean; without names, all samples that need no package index.

    Args:
        names: names of samples, or paths of files.
        named: names of samples only.
        known: the available samples.

    Raises:
        DevstackError: ``FLOW_UNKNOWN``, or a file that cannot be run.
    """
    samples = [_sample(name, known) for name in named]
    sources = []
    for name in names:
        sample = find_sample(name, known)
        if sample:
            samples.append(sample)
        elif _is_path(name):
            sources.append(read_source(Path(name)))
        else:
            raise _unknown(name, known)
    if not samples and not sources:
        samples = [sample for sample in known if not sample.needs_index]
    return Targets(tuple(dict.fromkeys(samples)), tuple(sources))


def runnable(
    samples: Sequence[Sample], disabled: Sequence[Service], *, explicit: bool
) -> list[Sample]:
    """Return the samples that a stack can run.

    Args:
        samples: the samples to run.
        disabled: the services that the stack leaves out.
        explicit: True if the user named these samples, so that none may be left out.

    Raises:
        DevstackError: ``SAMPLE_UNSUPPORTED``.
    """
    missing = {name: service.name for service in disabled for name in service.samples}
    unsupported = [each for each in samples if each.name in missing]
    if unsupported and explicit:
        sample = unsupported[0]
        raise DevstackError(
            f"cannot run the sample {sample.name!r}",
            cause=f"it needs the service {missing[sample.name]!r}, which the stack leaves out",
            remedy=f"devstack up --with {missing[sample.name]}",
            code="SAMPLE_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )
    return [each for each in samples if each not in unsupported]


@dataclass(frozen=True)
class LeftOut:
    """A sample that a stack cannot run.

    Attributes:
        sample: the sample.
        cause: what it needs.
        remedy: how the stack gets it.
    """

    sample: Sample
    cause: str
    remedy: str


@dataclass(frozen=True)
class Selection:
    """The samples that an engine of a stack can run, and the others.

    Attributes:
        samples: those that it can run.
        left_out: the others.
    """

    samples: Sequence[Sample]
    left_out: Sequence[LeftOut] = ()

    def require_all(self) -> None:
        """Raise ``SAMPLE_UNSUPPORTED`` if one was left out."""
        for each in self.left_out:
            raise DevstackError(
                f"cannot run the sample {each.sample.name!r}",
                cause=each.cause,
                remedy=each.remedy,
                code="SAMPLE_UNSUPPORTED",
                exit_status=ExitStatus.USAGE,
            )


def select_for_airflow(samples: Sequence[Sample], settings: Mapping[str, Any]) -> Selection:
    """Return which samples the executor of a stack's Airflow can run.

    Args:
        samples: the samples to run.
        settings: the table ``[airflow]`` of devstack.toml.
    """
    cause = f"it needs Celery workers, and Airflow's executor is {executors(settings)[0]}"
    remedy = 'set executor = "CeleryExecutor" in the table [airflow] of devstack.toml, then '
    unsupported = [
        each for each in samples if each.needs_celery and not is_celery_default(settings)
    ]
    left_out = [LeftOut(each, cause, f"{remedy}devstack up") for each in unsupported]
    return Selection([each for each in samples if each not in unsupported], left_out)


def select_by_service(samples: Sequence[Sample], services: Collection[str]) -> Selection:
    """Return which samples a stack can run.

    Args:
        samples: the samples to run.
        services: names of the stack's services.
    """
    left_out = [
        LeftOut(
            each,
            f"it needs the service {each.needs_service!r}, which the stack leaves out",
            f"devstack up --with {each.needs_service}",
        )
        for each in samples
        if each.needs_service and each.needs_service not in services
    ]
    unsupported = [each.sample for each in left_out]
    return Selection([each for each in samples if each not in unsupported], left_out)


def _sample(name: str, known: Sequence[Sample]) -> Sample:
    sample = find_sample(name, known)
    if sample is None:
        raise _unknown(name, known)
    return sample


def _unknown(name: str, known: Sequence[Sample]) -> Exception:
    nearby = [path.name for path in sorted(Path().glob("*.py"))]
    return unknown_flow(name, [sample.name for sample in known] + nearby)


def _is_path(name: str) -> bool:
    # Path.is_file() raises errors, of a name that is too long for example.
    return name.endswith(".py") or "/" in name or os.path.isfile(name) or os.path.isdir(name)
