"""Pulling images: which of them, from where, and what happens with those that cannot be pulled."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import Any

from devstack.docker.cgroup import uses_cgroup_v1
from devstack.docker.connection import engine_host
from devstack.docker.podman_client import engine_client
from devstack.docker.recognition import is_plainly_local, recognize
from devstack.errors import DevstackError, ExitStatus
from devstack.images.additions import ADDITIONS, Additions
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.catalogue import Image, find_image
from devstack.images.machine import ARCHITECTURES
from devstack.images.mirrors import Mirrors
from devstack.images.pull_errors import BUILD, NO_SPACE, OTHER_PLATFORM, cannot_pull
from devstack.images.pull_progress import megabytes
from devstack.images.registries import Pull, pull_images, unreachable_registries
from devstack.parallel import in_parallel
from devstack.process import Runner
from devstack.progress import Progress

DISK_FACTOR = 4
"""Space that an image of a registry needs while it is pulled and after it was loaded into a node,
as a multiple of what is downloaded: both copies are unpacked, some two to three times as large."""


class ImageFetcher:
    """Pulls images, and builds those upon them that devstack adds something to.

    Args:
        runner: starts programs.
        progress: reports the steps.
        cache: stores packages.
        mirrors: where to pull images from.
        on_ready: is called with the name of each image that the engine has now, in a thread.

    Attributes:
        not_built: why nothing could be added to images that were pulled, by their names.
    """

    def __init__(
        self,
        runner: Runner,
        progress: Progress,
        cache: ArtifactCache,
        mirrors: Mirrors,
        on_ready: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.not_built: dict[str, DevstackError] = {}
        self._on_ready = on_ready
        self._progress = progress
        self._mirrors = mirrors
        self._docker = engine_client(runner)
        self._additions = Additions(runner, cache)

    def fetch(
        self, names: Sequence[str], meanwhile: Callable[[Progress], None] | None = None
    ) -> dict[str, DevstackError]:
        """Pull images; return the errors of those that cannot be pulled, by their names.

        Those that were pulled and could not be built upon are in ``not_built``.

        Args:
            names: the images, each with an upstream.
            meanwhile: runs at the same time as the pulls, if there are any.

        Raises:
            DevstackError: ``DOCKER_DISK_FULL``.
        """
        images = {name: find_image(name) for name in names}
        pulls = {name: self._pull_of(image) for name, image in images.items()}
        errors = {name: _cannot_boot(images[name]) for name in self._unbootable(images)}
        pulls = {name: pull for name, pull in pulls.items() if name not in errors}
        unreachable = unreachable_registries(list(pulls.values()))
        errors |= {
            name: unreachable[pull.registry]
            for name, pull in pulls.items()
            if pull.registry in unreachable
        }
        left = {name: pull for name, pull in pulls.items() if name not in errors}
        if left:
            self._require_space(sum(pull.size for pull in set(left.values())))
            errors |= self._pull_all(left, meanwhile)
        return errors

    def find_unreachable(self, names: Sequence[str]) -> dict[str, DevstackError]:
        """Return why images cannot be pulled from a registry or mirror, by its name.

        Args:
            names: images, each with an upstream; one of each registry is asked for.
        """
        return unreachable_registries([self._pull_of(find_image(name)) for name in names])

    def _unbootable(self, images: Mapping[str, Image]) -> list[str]:
        """Return the images that do not boot on the engine's version of cgroups."""
        names = [name for name, image in images.items() if image.needs_cgroup_v2]
        return names if names and uses_cgroup_v1(self._info) else []

    def _pull_of(self, image: Image) -> Pull:
        upstream = image.upstream
        if upstream is None:
            raise ValueError(image.name)
        place, title = (
            self._mirrors.resolve(each) for each in (upstream.pinned, upstream.reference)
        )
        published = upstream.pinned if place != upstream.pinned else ""
        return Pull(place, upstream.size, title, self._docker.engine, published)

    def _pull_all(
        self, pulls: dict[str, Pull], meanwhile: Callable[[Progress], None] | None
    ) -> dict[str, DevstackError]:
        errors: dict[str, DevstackError] = {}

        def pull(progress: Progress) -> None:
            finish = partial(self._finish, pulls, progress)
            failed = pull_images(_in_order(pulls), progress, finish)
            errors.update({name: failed[each] for name, each in pulls.items() if each in failed})

        def install(progress: Progress) -> None:
            # The image that needs them tries again, and reports the error.
            with suppress(DevstackError):
                self._additions.install_packages(packages, progress)

        packages = self._additions.missing_packages([name for name in pulls if name in ADDITIONS])
        work: list[tuple[str, Callable[[Progress], None]]] = [("Images", pull)]
        if packages:
            work.append(("Packages", install))
        if meanwhile:
            work.append(("Own images", meanwhile))
        _run_in_parallel(work, self._progress)
        return errors

    def _finish(
        self,
        pulls: dict[str, Pull],
        progress: Progress,
        pulled: Pull,
    ) -> None:
        """Give a pulled image its names, and build upon it."""
        self._require_platform(pulled.reference)

        for image in (find_image(name) for name, each in pulls.items() if each == pulled):
            upstream = image.upstream
            if image.name not in ADDITIONS or upstream is None:
                self._docker.tag(pulled.reference, image.reference)
                self._on_ready(image.name)
                continue
            progress.note(f"building the {image.name} image upon {upstream.reference}")
            try:
                self._additions.build(image.name, pulled.reference, upstream)
                self._on_ready(image.name)
            except DevstackError as error:
                self.not_built[image.name] = error

    def _require_platform(self, reference: str) -> None:
        """Raise ``IMAGE_PLATFORM`` if an image is for another processor than the engine's.

        The engine checks it for images of several platforms only.
        """
        own = ARCHITECTURES.get(str(self._info.get("Architecture", "")))
        found = self._docker.image_architecture(reference) if own else ""
        if own and found and found != own:
            raise cannot_pull(reference, f"it is for {found}, the engine for {own}", OTHER_PLATFORM)

    @cached_property
    def _info(self) -> dict[str, Any]:
        return self._docker.info()

    def _require_space(self, download: int) -> None:
        """Raise ``DOCKER_DISK_FULL`` unless the engine's disk has space for a download."""
        free = self._free_space()
        if free is None or free >= download * DISK_FACTOR:
            return
        raise DevstackError(
            "cannot pull the images",
            cause=f"they need about {megabytes(download * DISK_FACTOR)} of Docker's disk, and "
            f"{megabytes(free)} are free",
            remedy=NO_SPACE.remedy,
            code=NO_SPACE.code,
            exit_status=ExitStatus.ENVIRONMENT,
        )

    def _free_space(self) -> int | None:
        """Return the free bytes of the engine's disk; None if it is not on this machine."""
        info = self._info
        root = str(info.get("DockerRootDir") or "")
        # Virtual machines are recognized without the answer to `docker version`.
        product, host = recognize(info, {}), engine_host(self._docker.engine)
        is_here = is_plainly_local(product, info, host) and os.path.isdir(root)
        return shutil.disk_usage(root).free if is_here else None


def _in_order(pulls: Mapping[str, Pull]) -> list[Pull]:
    """Return the distinct pulls in the order in which they are to begin.

    The first one is waited for. Packages are added to some, which takes as long as a pull; and a
    large image that comes last would be pulled alone.
    """
    first, *others = dict.fromkeys(pulls.values())
    based = {pull for name, pull in pulls.items() if name in ADDITIONS and ADDITIONS[name].packages}
    return [first, *sorted(others, key=lambda pull: (pull not in based, -pull.size))]


def _cannot_boot(image: Image) -> DevstackError:
    return DevstackError(
        f"cannot pull {image.upstream.reference if image.upstream else image.name}",
        cause="published node images do not boot on cgroup v1, which the engine uses",
        remedy=f"boot this machine with cgroup v2 (systemd.unified_cgroup_hierarchy=1); or {BUILD}",
        code="CGROUP_V1",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def _run_in_parallel(
    work: Sequence[tuple[str, Callable[[Progress], None]]], progress: Progress
) -> None:
    if len(work) == 1:
        work[0][1](progress)
    else:
        in_parallel(lambda each: each[1](progress.branch(each[0])), work)
