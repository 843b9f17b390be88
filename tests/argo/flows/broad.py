"""Decorators that the other flows do not have."""

import os
import time

from metaflow import (
    FlowSpec,
    card,
    catch,
    current,
    exit_hook,
    kubernetes,
    project,
    retry,
    step,
    timeout,
)
from metaflow.cards import Markdown

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


def note_success(run):
    """Print the name of the run that has ended."""
    print("the hook knows", run.pathspec)


@project(name="shop")
@exit_hook(on_success=[note_success])
class ArgoBroadFlow(FlowSpec):
    """Uses many decorators."""

    @card(type="blank")
    @kubernetes(
        **SMALL,
        labels={"colour": "green"},
        annotations={"note": "any text"},
        tolerations=[{"key": "no-node-has-it", "operator": "Exists"}],
        use_tmpfs=True,
        tmpfs_size=16,
        shared_memory=32,
    )
    @step
    def start(self):
        current.card.append(Markdown("# green"))
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
        raise ValueError("on purpose")
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
        self.failures = [str(inputs.fails.failure), bool(inputs.sleeps.failure)]
        self.merge_artifacts(inputs, include=["shared", "tempdir", "branch"])
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ArgoBroadFlow()
