"""Loading the stack's images into the nodes while the cluster starts and others are pulled.

An image of some hundred megabytes takes seconds to export from the engine and to import into a
node, whose containerd runs before its Kubernetes does. So threads load each image as soon as it
is there, in the order in which services need them.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable

from devstack.errors import DevstackError
from devstack.lifecycle.autoscaler import stop_autoscaler
from devstack.parallel import Background, in_parallel, sleep
from devstack.progress import step
from devstack.providers.base import LoadsImages
from devstack.stack import Stack

RETRY_SECONDS = 0.5
"""How often containers are looked for that are to be nodes."""
BATCH_BYTES = 300_000_000
"""Images are loaded together up to this size: each load takes about a second by itself."""

_POLL_SECONDS = 0.02
_WORKERS = 2
"""One exports images while another imports: either keeps little more than one CPU busy."""


class NodeLoading:
    """Loads images into the nodes in threads.

    Args:
        stack: the stack. Its nodes need not exist when the threads begin.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._progress = stack.progress
        self._loaded: set[str] = set()
        self._taken: set[str] = set()
        self._lock = threading.Lock()
        self._cluster_is_up = threading.Event()
        self._background: Background | None = None

    def start(self) -> None:
        """Begin, if the provider loads images; what fails before :meth:`wait` is tried again."""
        if isinstance(self._stack.provider, LoadsImages):
            self._progress = self._stack.progress.branch("Nodes")
            self._background = Background(self._run)

    def wait(self, names: Iterable[str]) -> None:
        """Wait until all nodes have images; the cluster is up by now.

        Args:
            names: the images, as the catalogue calls them.

        Raises:
            DevstackError: from the provider.
        """
        if not self._cluster_is_up.is_set():
            self._use_cluster()
        wanted = set(names)
        while self._background and not wanted <= self._loaded:
            if self._background.ended:
                self._background.finish()
                return
            self._stack.progress.note("waiting for images")
            sleep(_POLL_SECONDS)

    def finish(self) -> None:
        """Wait for all images, as :meth:`wait`, and for the end of the threads."""
        self.wait(())
        if self._background is not None:
            self._background.finish()

    def cancel(self) -> None:
        """Stop the threads, if they have not ended."""
        if self._background is not None:
            self._background.cancel()

    def _use_cluster(self) -> None:
        """Load into the nodes that there are now: those before may have been replaced."""
        # It may be loading others into a new node; a later step starts it again.
        stop_autoscaler(self._stack)
        provider, images = self._stack.provider, self._stack.images
        if self._background and isinstance(provider, LoadsImages):
            present = provider.images_present(self._stack.cluster)
            lost = {name for name in self._loaded if images.reference(name) not in present}
            self._loaded -= lost
            self._taken -= lost
        self._cluster_is_up.set()
        if self._background is None or self._background.ended:
            self.start()

    def _run(self) -> None:
        with step(self._progress, "Load the images into the nodes"):
            in_parallel(self._work, range(_WORKERS))

    def _work(self, _: int) -> None:
        while self._missing():
            try:
                if not self._load_some():
                    self._pause(RETRY_SECONDS)
            except DevstackError:
                if self._cluster_is_up.is_set():
                    raise
                # kind replaces nodes that do not start; more attempts would only slow them down.
                self._pause(math.inf)

    def _missing(self) -> list[str]:
        """Return the images that no thread has taken, in the order in which they are needed."""
        names = [name for service in self._stack.services for name in service.images]
        return [name for name in dict.fromkeys([*names, "task"]) if name not in self._taken]

    def _load_some(self) -> bool:
        """Load the next images; return False if there are none yet, or no nodes."""
        batch = self._take_batch() if self._nodes_run() else []
        try:
            self._load(batch)
        except BaseException:
            self._taken.difference_update(batch)
            raise
        self._loaded.update(batch)
        return bool(batch)

    def _pause(self, seconds: float) -> None:
        """Sleep for a moment; for longer if there is no cluster."""
        sleep(_POLL_SECONDS)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._cluster_is_up.is_set():
            sleep(_POLL_SECONDS)

    def _take_batch(self) -> list[str]:
        images = self._stack.images
        with self._lock:
            arrived = images.arrived(self._missing())
            batch: list[str] = []
            total = 0
            for row in images.rows(arrived) if arrived else ():
                total += row.size
                if batch and total > BATCH_BYTES:
                    break
                batch.append(row.name)
            self._taken.update(batch)
        return batch

    def _nodes_run(self) -> bool:
        """Return True if images can be loaded: the nodes run containerd, which has some images."""
        provider, cluster = self._stack.provider, self._stack.cluster
        if self._cluster_is_up.is_set() or not isinstance(provider, LoadsImages):
            return True
        running = provider.status(cluster).state == "running"
        return running and bool(provider.images_present(cluster))

    def _load(self, names: list[str]) -> None:
        provider, cluster = self._stack.provider, self._stack.cluster
        if not (names and isinstance(provider, LoadsImages)):
            return
        present = provider.images_present(cluster)
        references = [self._stack.images.reference(name) for name in names]
        absent = [each for each in references if each not in present]
        if absent:
            provider.load_images(cluster, absent, self._progress.note)
