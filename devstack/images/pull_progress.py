"""How far several pulls are: bytes of all layers together, and when the last one arrived."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from devstack.docker.registries import Event
from devstack.progress import Progress

MEGABYTE = 1_000_000
NOTE_SECONDS = 0.2
_IDLE = ("Waiting", "Retrying in ")
"""How the messages begin that report no progress."""
_DOWNLOADING = "Downloading"
_COMPLETE = ("Download complete", "Pull complete", "Extracting", "Verifying Checksum")


@dataclass
class _Layer:
    received: int = 0
    total: int = 0


def megabytes(size: int) -> str:
    """Return a size as Docker shows it: ``61 MB``, ``1.2 GB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / MEGABYTE))} MB"


def count(images: int) -> str:
    """Return ``1 image`` or ``7 images``."""
    return f"{images} image" if images == 1 else f"{images} images"


class PullActivity:
    """When a pull last moved.

    The engine repeats what a layer has: each 0.1 s with the containerd store (moby
    daemon/containerd/progress.go), also if nothing arrives. So a message is progress only if it
    reports more than the one before, or another state of its layer.

    Args:
        others: all pulls of the command. A pull whose layers wait for their turn moves with them.
    """

    def __init__(self, others: PullProgress) -> None:
        self._others = others
        self._layers: dict[str, tuple[str, int]] = {}
        self._moved_at = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """How long nothing has arrived or been unpacked."""
        downloads = any(status == _DOWNLOADING for status, _ in self._layers.values())
        return time.monotonic() - self._moved_at if downloads else self._others.idle_seconds

    def add(self, event: Event) -> None:
        """Count what a message of the engine reports."""
        status = str(event.get("status", ""))
        if status.startswith(_IDLE):
            return
        name = str(event.get("id", ""))
        current = int((event.get("progressDetail") or {}).get("current") or 0)
        before = self._layers.get(name)
        self._layers[name] = status, current
        moved = before is None or status != before[0] or current > before[1]
        if moved:
            self._moved_at = time.monotonic()
        self._others.add(event, moved=moved)


class PullProgress:
    """Counts what arrives, for all pulls of a command; its methods may run in several threads.

    Args:
        images: the number of images.
        expected: bytes of all, about; 0 if that is not known.
        progress: shows it.
    """

    def __init__(self, images: int, expected: int, progress: Progress) -> None:
        self._images = images
        self._expected = expected
        self._progress = progress
        self._lock = threading.Lock()
        self._layers: dict[str, _Layer] = {}
        self._complete = 0
        self._moved_at = self._noted_at = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """How long nothing has arrived or been unpacked by any pull."""
        return time.monotonic() - self._moved_at

    @property
    def received(self) -> int:
        """Bytes that were downloaded."""
        return sum(layer.received for layer in self._layers.values())

    def add(self, event: Event, *, moved: bool = True) -> None:
        """Count what a message of the engine reports.

        Args:
            event: the message.
            moved: False if it repeats what was known.
        """
        status = str(event.get("status", ""))
        with self._lock:
            if moved:
                self._moved_at = time.monotonic()
            layer = self._layers.setdefault(str(event.get("id", "")), _Layer())
            detail = event.get("progressDetail") or {}
            if status == _DOWNLOADING:
                layer.received = int(detail.get("current") or 0)
                layer.total = max(layer.total, int(detail.get("total") or 0))
            elif status.startswith(_COMPLETE):
                layer.received = layer.total
            self._note(status)

    def complete(self) -> None:
        """Count an image as pulled."""
        with self._lock:
            self._complete += 1
            self._moved_at = time.monotonic()
            self._noted_at = 0.0
            self._note("")

    def _note(self, status: str) -> None:
        now = time.monotonic()
        if now - self._noted_at < NOTE_SECONDS:
            return
        self._noted_at = now
        known = sum(layer.total for layer in self._layers.values())
        total = max(known, self._expected, self.received)
        about = "about " if known < self._expected else ""
        doing = ", unpacking" if status == "Extracting" else ""
        self._progress.note(
            f"{megabytes(self.received)} of {about}{megabytes(total)}, "
            f"{self._complete} of {count(self._images)}{doing}"
        )


def total_size(sizes: Sequence[int]) -> str:
    """Return what to show of images' sizes, such as ``about 61 MB``; empty if none is known."""
    return f"about {megabytes(sum(sizes))}" if all(sizes) and sizes else ""
