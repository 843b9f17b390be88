"""Storage: a persistent volume, and file systems in memory.

- ``persistent_volume_claims`` mounts a volume: what one pod writes, the next
  one reads.  The stack has a claim "devstack-sample" for this flow.
- ``use_tmpfs`` gives the pod a file system in memory; ``current.tempdir`` and
  Metaflow's own temporary files are there.
- ``shared_memory`` sets the size of /dev/shm, by which processes of a pod
  share data without copying.

Try:  devstack run storage
"""

import os
import platform
import uuid
from multiprocessing import Process, shared_memory
from pathlib import Path

from metaflow import FlowSpec, current, kubernetes, step

VOLUME = "/data"
MEBIBYTE = 1024 * 1024


class StorageFlow(FlowSpec):
    """Writes to a volume, and uses memory in two ways."""

    @kubernetes(cpu=0.2, memory=256, disk=512, persistent_volume_claims={"devstack-sample": VOLUME})
    @step
    def start(self):
        """Write a note to the volume."""
        self.writer = platform.node()
        self.note = uuid.uuid4().hex
        self.path = f"{VOLUME}/{current.run_id}.txt"
        Path(self.path).write_text(self.note)
        self.next(self.read)

    @kubernetes(cpu=0.2, memory=256, disk=512, persistent_volume_claims={"devstack-sample": VOLUME})
    @step
    def read(self):
        """Read the note in another pod, and delete it."""
        self.reader = platform.node()
        self.note_read = Path(self.path).read_text()
        Path(self.path).unlink()
        self.next(self.memory)

    @kubernetes(cpu=0.2, memory=384, disk=512, use_tmpfs=True, tmpfs_size=64, shared_memory=48)
    @step
    def memory(self):
        """Use both file systems in memory."""
        self.tempdir = current.tempdir
        self.tempdir_type = file_system(self.tempdir)
        scratch = Path(self.tempdir, "scratch")
        scratch.write_bytes(bytes(8 * MEBIBYTE))
        self.scratch_bytes = scratch.stat().st_size
        self.shm_type = file_system("/dev/shm")
        self.shm_mebibytes = size("/dev/shm") // MEBIBYTE
        self.shared = shared_with_child(24 * MEBIBYTE)
        self.next(self.end)

    @step
    def end(self):
        """Print the results."""
        print(f"{self.reader} read what {self.writer} wrote; /dev/shm: {self.shm_mebibytes} MiB")


def file_system(path):
    """Return the type of the file system mounted at a path, as the kernel names it."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    types = {mount[1]: mount[2] for mount in mounts}
    return types.get(os.path.realpath(path), "")


def size(path):
    """Return the size of the file system at a path, in bytes."""
    stats = os.statvfs(path)
    return stats.f_blocks * stats.f_frsize


def shared_with_child(length):
    """Fill shared memory in another process; return how many of its bytes are visible here."""
    block = shared_memory.SharedMemory(create=True, size=length)
    try:
        child = Process(target=fill, args=(block.name, length))
        child.start()
        child.join()
        return bytes(block.buf[:length]).count(b"\x07")
    finally:
        block.close()
        block.unlink()


def fill(name, length):
    """Fill a block of shared memory; runs in the other process."""
    block = shared_memory.SharedMemory(name=name)
    block.buf[:length] = b"\x07" * length
    block.close()


if __name__ == "__main__":
    StorageFlow()
