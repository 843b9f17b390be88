"""Decorators that no sample has, and branches."""

import os
import time

from metaflow import (
    FlowSpec,
    card,
    catch,
    current,
    kubernetes,
    project,
    retry,
    step,
    timeout,
)

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


@project(name="shop")
class KubeflowBroadFlow(FlowSpec):
    """Stores what its pods have."""

    @card
    @kubernetes(
        labels={"colour": "green"},
        annotations={"note": "any text"},
        tolerations=[{"key": "no-node-has-it", "operator": "Exists"}],
        use_tmpfs=True,
        tmpfs_size=16,
        shared_memory=32,
        **SMALL,
    )
    @step
    def start(self):
        shm = os.statvfs("/dev/shm")
        self.shared = shm.f_frsize * shm.f_blocks // 2**20
        with open("/proc/mounts") as mounts:
            found = dict(line.split()[1:3] for line in mounts)
        self.tempdir = found.get(current.tempdir)
        self.branch = current.branch_name
        self.next(self.fails, self.sleeps)

    @catch(var="failure", print_exception=False)
    @kubernetes(**SMALL)
    @step
    def fails(self):
        raise RuntimeError("on purpose")
        self.next(self.join)

    @catch(var="failure", print_exception=False)
    @retry(times=0, minutes_between_retries=0)
    @timeout(minutes=1)
    @kubernetes(**SMALL)
    @step
    def sleeps(self):
        time.sleep(600)
        self.next(self.join)

    @kubernetes(**SMALL)
    @step
    def join(self, inputs):
        self.failures = [str(inputs.fails.failure), inputs.sleeps.failure is not None]
        self.merge_artifacts(inputs, include=["shared", "tempdir", "branch"])
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        print("done")


if __name__ == "__main__":
    KubeflowBroadFlow()
