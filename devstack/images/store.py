"""ImageStore: the images in Docker, pulled or built if they are missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from devstack.docker.cgroup import uses_cgroup_v1
from devstack.docker.client import Present
from devstack.docker.podman_client import engine_client
from devstack.errors import DevstackError, ExitStatus
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.catalogue import PRELOADED, Image, find_image, find_images
from devstack.images.mirrors import Mirrors
from devstack.parallel import POLL_SECONDS, Background
from devstack.process import Runner
from devstack.progress import Progress, step

if TYPE_CHECKING:
    from devstack.images.timed_progress import StepTime

OF_PACKAGES = ("PACKAGE_INDEX_UNREACHABLE", "PIP_MISSING")


@dataclass(frozen=True)
class Row:
    """An image as `devstack images list` shows it.

    Attributes:
        name: its name in the catalogue.
        reference: what manifests call it.
        source: "built", "pulled", "outdated" or "absent".
        size: bytes on disk, 0 if it is absent.
        upstream: the published image, with its tag; empty for devstack's own.
        digest: that of the published image that was pulled; empty if it was built.
    """

    name: str
    reference: str
    source: str
    size: int
    upstream: str
    digest: str = ""


class ImageStore:
    """Provides images: from Docker, else pulled, else built from packages.

    Args:
        runner: starts programs.
        progress: reports the steps.
        source: "auto", "pull" or "build".
        offline: True if nothing may be fetched.
        mirrors: where to pull images from.

    Attributes:
        build_times: the duration of each step of the last build.
    """

    def __init__(
        self,
        runner: Runner,
        progress: Progress,
        source: str = "auto",
        offline: bool = False,
        mirrors: Mirrors | None = None,
    ) -> None:
        self._runner = runner
        self._progress = progress
        self._source = source
        self._offline = offline
        self._mirrors = mirrors or Mirrors()
        self._docker = engine_client(runner)
        self._cache = ArtifactCache()
        self.build_times: list[StepTime] = []
        self._background: Background | None = None
        self._on_ready: Callable[[str], None] = lambda _: None
        self._arrived: set[str] = set()

    def reference(self, name: str) -> str:
        """Return what manifests call the image; needs no Docker.

        Raises:
            DevstackError: ``IMAGE_UNKNOWN``.
        """
        return find_image(name).reference

    def present(self, names: Sequence[str]) -> dict[str, bool]:
        """Return for each image whether Docker has it, up to date and usable."""
        return {row.name: self._is_usable(row) for row in self.rows(names)}

    def _is_usable(self, row: Row) -> bool:
        if row.source != "pulled":
            return row.source == "built"
        if self._source == "build" and not self._offline:
            return False
        return not (find_image(row.name).needs_cgroup_v2 and self._engine_uses_cgroup_v1)

    @cached_property
    def _engine_uses_cgroup_v1(self) -> bool:
        return uses_cgroup_v1(self._docker.info())

    def rows(self, names: Sequence[str] = ()) -> list[Row]:
        """Return the state of the images called ``names``, by default of all images."""
        images = find_images(names)
        found = self._docker.inspect_images([image.reference for image in images])
        return [_row(image, found.get(image.reference)) for image in images]

    def ensure(self, names: Sequence[str]) -> dict[str, str]:
        """Pull or build the images that are missing; return all references by name.

        Raises:
            DevstackError: ``IMAGES_MISSING`` when offline, a code of
                :mod:`devstack.images.pull_errors` when one cannot be pulled and may not be built.
        """
        if self._missing(names):
            if self._offline:
                raise _offline(self._missing(names))
            with self._cache.lock(self._progress):
                # Another process may have got them while this one waited.
                self._get(self._missing(names))
        return {name: self.reference(name) for name in names}

    def find_unreachable(self, names: Sequence[str] = ()) -> dict[str, DevstackError]:
        """Return why published images cannot be pulled, by registry or mirror; nothing is pulled.

        Args:
            names: the images, by default all.
        """
        from devstack.images.fetching import ImageFetcher

        published = [image.name for image in find_images(names) if image.upstream]
        fetcher = ImageFetcher(self._runner, self._progress, self._cache, self._mirrors)
        return fetcher.find_unreachable(published)

    def start(self, names: Sequence[str], first: str) -> None:
        """Begin to pull or build the images that are missing; return once ``first`` is there.

        The others follow in the background: call :meth:`finish` before they are used, and
        :meth:`cancel` if they are not needed any more.

        Raises:
            DevstackError: as :meth:`ensure`, if getting the images has failed by then.
        """
        if first not in self._missing(names):
            # What is there needs no wait: an error is reported before a cluster is created.
            self.ensure(names)
            return
        self._arrived = set(names).difference(self._missing(names))
        branch = self._progress.branch("Images")
        other = ImageStore(self._runner, branch, self._source, self._offline, self._mirrors)
        other._on_ready = self._arrived.add

        def get() -> None:
            with step(branch, "Pull and build images"):
                other.ensure(names)
            self._arrived.update(names)

        self._background = Background(get)
        while not (first in self._arrived or self._background.ended):
            time.sleep(POLL_SECONDS)
        if self._background.ended:
            self.finish()

    def arrived(self, names: Sequence[str]) -> list[str]:
        """Return those of the images called ``names`` that Docker has by now.

        All of them, unless :meth:`start` gets some in the background.
        """
        return [name for name in names if self._background is None or name in self._arrived]

    def finish(self) -> None:
        """Wait for the images of :meth:`start`, if it was called; raise its error."""
        if self._background is not None:
            self._background.finish()
            self._background = None

    def cancel(self) -> None:
        """Stop what :meth:`start` started, if it has not ended."""
        if self._background is not None:
            self._background.cancel()
            self._background = None

    def save(self, path: Path, names: Sequence[str], clients: Mapping[str, Path]) -> None:
        """Write images, kind and kubectl into a bundle file; see :mod:`devstack.images.bundle`."""
        from devstack.images.bundle import save

        wanted = [image.name for image in find_images(names)]
        self.ensure(wanted)
        save(path, wanted, clients, self._runner, self._progress, self._cache)

    def load(self, path: Path) -> list[str]:
        """Load a bundle file; return the names of its images."""
        from devstack.images.bundle import load

        return load(path, self._runner, self._progress, self._cache)

    def _missing(self, names: Sequence[str]) -> list[str]:
        return [name for name, there in self.present(names).items() if not there]

    def _get(self, names: Sequence[str]) -> None:
        if names and self._source == "build":
            self._build(names)
        elif names:
            self._build(self._fetch(names))

    def _fetch(self, names: Sequence[str]) -> list[str]:
        """Pull what can be pulled; return the rest, or raise if only pulling is allowed."""
        from devstack.images.fetching import ImageFetcher
        from devstack.images.pull_errors import combine

        published = [name for name in names if find_image(name).upstream]
        own = [name for name in names if name not in published]
        fetcher = ImageFetcher(
            self._runner, self._progress, self._cache, self._mirrors, self._on_ready
        )
        errors = fetcher.fetch(published, partial(self._build_into, own) if own else None)
        failed = [*errors.values(), *fetcher.not_built.values()]
        fatal = failed if self._source == "pull" else self._fatal(errors, fetcher.not_built)
        if fatal:
            raise combine(fatal)
        missing = self._missing(names)
        self._warn_of_builds(errors, "cannot pull {}: {}")
        self._warn_of_builds(fetcher.not_built, "pulled {}, but cannot add files: {}")
        return missing

    def _fatal(
        self, errors: Mapping[str, DevstackError], not_built: Mapping[str, DevstackError]
    ) -> list[DevstackError]:
        """Return the errors after which nothing is built.

        A build needs more space, and the same package index; and a mirror was configured because
        it is to be used.
        """
        from devstack.images.pull_errors import NO_SPACE, OF_MIRROR

        found = []
        for name, error in errors.items():
            upstream = find_image(name).upstream
            mirrored = upstream and self._mirrors.resolve(upstream.reference) != upstream.reference
            if error.code == NO_SPACE.code or (mirrored and error.code in OF_MIRROR):
                found.append(error)
        return found + [error for error in not_built.values() if error.code in OF_PACKAGES]

    def _warn_of_builds(self, errors: Mapping[str, DevstackError], text: str) -> None:
        """Report why images are built instead of pulled, one line for each reason.

        Args:
            errors: the reasons, by image.
            text: names the images and the reason, in this order.
        """
        from devstack.images.build_duration import expected_minutes
        from devstack.images.pull_errors import BUILD

        preload = self._preload()
        reasons: dict[str, list[str]] = {}
        for name, error in errors.items():
            reasons.setdefault(error.cause or error.message, []).append(name)
        for reason, names in reasons.items():
            minutes = expected_minutes(names, self._cache, preload)
            what = f"the {names[0]} image" if len(names) == 1 else f"{len(names)} images"
            first = errors[names[0]]
            reported = ": ".join([first.message, *first.output_tail[-1:]])
            remedy = first.remedy.removesuffix(BUILD).removesuffix("; or ")
            self._progress.warn(
                f"{text.format(', '.join(names), reason)}; building {what} from packages takes "
                f"about {minutes} {'minute' if minutes == 1 else 'minutes'} ({reported})"
                + (f". To avoid that: {remedy}" if remedy else "")
            )

    def _preload(self) -> bool:
        """Return True if all images inside a built node image are built ones, too."""
        return not any(row.source == "pulled" for row in self.rows(PRELOADED))

    def _build(self, names: Sequence[str]) -> None:
        self._build_into(names, self._progress)

    def _build_into(self, names: Sequence[str], progress: Progress) -> None:
        from devstack.images.build import build_images

        if names:
            self.build_times += build_images(
                names, self._runner, progress, self._cache, self._preload()
            )


def _row(image: Image, found: Present | None) -> Row:
    upstream = image.upstream
    return Row(
        image.name,
        image.reference,
        _source(image, found),
        found.size if found else 0,
        upstream.reference if upstream else "",
        _digest(image, found),
    )


def _source(image: Image, found: Present | None) -> str:
    from devstack.images.build import image_keys

    upstream = image.upstream
    if found is None:
        return "absent"
    if found.upstream and upstream:
        from devstack.images.additions import addition_key

        return "pulled" if found.key == addition_key(image.name, upstream) else "outdated"
    if found.key:
        return "built" if found.key in image_keys(image.name) else "outdated"
    wanted = upstream.digest if upstream else ""
    published = _published_digests(image.reference, found)
    replaced = wanted and published and wanted not in _digests(found.digests)
    return "outdated" if replaced else "pulled"


def _published_digests(reference: str, found: Present) -> list[str]:
    """Return the digests by which registries know an image; none if it came from a file.

    The containerd store of Docker reports one for each name, also of an image from a file: that of
    the archive, for the stack's own name (moby daemon/containerd: collectRepoTagsAndDigests).
    """
    own = reference.rpartition(":")[0]
    return _digests(each for each in found.digests if each.partition("@")[0] != own)


def _digests(names: Iterable[str]) -> list[str]:
    return [each.partition("@")[2] for each in names]


def _digest(image: Image, found: Present | None) -> str:
    """Return the digest of the published image that was pulled, empty if none was."""
    if found is None:
        return ""
    if found.upstream:
        return found.upstream.partition("@")[2]
    if found.key:
        return ""
    known = image.upstream.digest if image.upstream else ""
    if known in _digests(found.digests):
        return known
    return next(iter(_published_digests(image.reference, found)), "")


def _offline(names: Sequence[str]) -> DevstackError:
    missing = ", ".join(f"{name} ({find_image(name).reference})" for name in names)
    return DevstackError(
        "cannot get the images offline",
        cause=f"Docker lacks {missing}",
        remedy="devstack images load FILE, with a bundle that `devstack images save FILE` "
        "wrote on a machine with a network; or omit --offline",
        code="IMAGES_MISSING",
        exit_status=ExitStatus.ENVIRONMENT,
    )
