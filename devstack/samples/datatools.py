"""Datatools: 128 MiB to S3 and back, from one pod to another.

Artifacts are for results; ``metaflow.S3`` is for data.  ``S3(run=self)`` gives
each run its own prefix in the bucket.  One pod stores four parts of random bytes
there; another reads them and compares checksums.  Afterwards anyone can read the same
objects with ``S3(run=Run(...))``, as this sample's check does
on your machine.

Try:  devstack run datatools
"""

import hashlib
import os
import time

from metaflow import S3, FlowSpec, kubernetes, step

PARTS = 4
PART_BYTES = 32 * 1024 * 1024


class DatatoolsFlow(FlowSpec):
    """Stores random bytes, and checks that the same bytes come back."""

    @kubernetes(cpu=0.25, memory=512, disk=1024)
    @step
    def start(self):
        """Create the parts and store them under the prefix of the run."""
        parts = {f"part-{number}": os.urandom(PART_BYTES) for number in range(PARTS)}
        self.checksums = {key: hashlib.sha256(part).hexdigest() for key, part in parts.items()}
        began = time.monotonic()
        with S3(run=self) as s3:
            self.urls = dict(s3.put_many(list(parts.items())))
        self.put_seconds = time.monotonic() - began
        self.next(self.read)

    @kubernetes(cpu=0.25, memory=512, disk=1024)
    @step
    def read(self):
        """Read the parts in another pod and compare their checksums."""
        began = time.monotonic()
        with S3(run=self) as s3:
            parts = s3.get_many(list(self.checksums))
            self.get_seconds = time.monotonic() - began
            self.received = {part.key: checksum(part.path) for part in parts}
            self.bytes_read = sum(part.size for part in parts)
        if self.received != self.checksums:
            raise ValueError(f"the checksums differ: {self.received} instead of {self.checksums}")
        self.next(self.end)

    @step
    def end(self):
        """Print the throughput."""
        mebibytes = self.bytes_read / 2**20
        print(
            f"{mebibytes:.0f} MiB put at {mebibytes / self.put_seconds:.0f} MiB/s, "
            f"got at {mebibytes / self.get_seconds:.0f} MiB/s"
        )


def checksum(path):
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    DatatoolsFlow()
