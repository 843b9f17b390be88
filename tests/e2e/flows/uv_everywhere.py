"""Steps that install packages: as another user, and in a gang."""

import hashlib
import os

from metaflow import FlowSpec, current, kubernetes, parallel, step


class UvEverywhereFlow(FlowSpec):
    """Imports a package in three pods of two users."""

    @kubernetes(cpu=0.1, memory=256, disk=300, security_context={"run_as_user": 2001})
    @step
    def start(self):
        import humanize

        print("start imported", humanize.__name__, "as user", os.getuid())
        # What the pod got of the machine; a checksum, as the value is a secret.
        password = os.environ.get("UV_INDEX_CORP_PASSWORD", "")
        print("the password is", hashlib.sha256(password.encode()).hexdigest())
        print("the cache belongs to user", os.stat(os.environ["UV_CACHE_DIR"]).st_uid)
        print("certificates:", os.path.isfile(os.environ.get("SSL_CERT_FILE", "")))
        self.next(self.train, num_parallel=2)

    @kubernetes(cpu=0.1, memory=256, disk=300)
    @parallel
    @step
    def train(self):
        import humanize

        rank = current.parallel.node_index
        print("rank", rank, "imported", humanize.__name__, "as user", os.getuid())
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    UvEverywhereFlow()
