"""What the words of `devstack run` mean: sample flows, or files of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.source import FlowSource, read_source, unknown_flow
from devstack.samples.catalogue import SAMPLES, Sample, find_sample
from devstack.services.base import Service


@dataclass(frozen=True)
class Targets:
    """What is to be run.

    Attributes:
        samples: sample flows, to be verified.
        sources: flows of the user's own.
    """

    samples: tuple[Sample, ...]
    sources: tuple[FlowSource, ...]


def find_targets(
    words: Sequence[str], named: Sequence[str] = (), known: Sequence[Sample] = SAMPLES
) -> Targets:
    """Return what the words name; all samples where there are none.

    Args:
        words: names of samples, or paths of files.
        named: names of samples alone.
        known: the samples that there are.

    Raises:
        DevstackError: ``FLOW_UNKNOWN``, or a file that cannot be run.
    """
    samples = [_sample(name, known) for name in named]
    sources = []
    for word in words:
        sample = find_sample(word, known)
        if sample:
            samples.append(sample)
        elif _is_path(word):
            sources.append(read_source(Path(word)))
        else:
            raise _unknown(word, known)
    if not samples and not sources:
        samples = list(known)
    return Targets(tuple(dict.fromkeys(samples)), tuple(sources))


def runnable(
    samples: Sequence[Sample], disabled: Sequence[Service], *, asked: bool
) -> list[Sample]:
    """Return the samples that a stack can run.

    Args:
        samples: what would be run.
        disabled: the services that the stack leaves out.
        asked: True where the user named these samples, so that none may be left out.

    Raises:
        DevstackError: ``SAMPLE_UNSERVED``.
    """
    missing = {name: service.name for service in disabled for name in service.samples}
    unserved = [each for each in samples if each.name in missing]
    if unserved and asked:
        sample = unserved[0]
        raise DevstackError(
            f"cannot run the sample {sample.name!r}",
            cause=f"it needs the service {missing[sample.name]!r}, which the stack leaves out",
            remedy=f"devstack up --with {missing[sample.name]}",
            code="SAMPLE_UNSERVED",
            exit_status=ExitStatus.USAGE,
        )
    return [each for each in samples if each not in unserved]


def _sample(name: str, known: Sequence[Sample]) -> Sample:
    sample = find_sample(name, known)
    if sample is None:
        raise _unknown(name, known)
    return sample


def _unknown(word: str, known: Sequence[Sample]) -> Exception:
    nearby = [path.name for path in sorted(Path().glob("*.py"))]
    return unknown_flow(word, [sample.name for sample in known] + nearby)


def _is_path(word: str) -> bool:
    return word.endswith(".py") or "/" in word or Path(word).is_file()
