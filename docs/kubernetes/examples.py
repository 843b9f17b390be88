"""What Metaflow's documentation says about Kubernetes, one example a step.

It needs no pools: the stack's default node offers enough. Create what it names first:

    devstack pvc create example-data 1Gi
    devstack kubectl --admin create secret generic example-secret -n metaflow --from-literal=TOKEN=x
    devstack run --local docs/kubernetes/examples.py

With --local, steps without @kubernetes run on this machine.
"""

import os
import shutil

from metaflow import (
    FlowSpec,
    catch,
    current,
    kubernetes,
    parallel,
    parallel_map,
    resources,
    retry,
    step,
    timeout,
)

MIB = 2**20


class ExamplesFlow(FlowSpec):
    """Resources, volumes, secrets, placement, failures, foreach and gangs."""

    @step
    def start(self):
        self.countries = ["US", "BR", "IT"]
        self.next(
            self.large,
            self.accelerated,
            self.placed,
            self.temporary,
            self.unreliable,
            self.fan,
        )

    @kubernetes
    @resources(memory=60000, cpu=8)
    @step
    def large(self):
        parts = parallel_map(lambda i: sum(range(i, i + 100)), range(0, 1000, 100))
        print("ran: 60000 MB and 8 CPUs:", sum(parts))
        self.next(self.gather)

    @kubernetes
    @resources(memory=32000, cpu=4, gpu=1)
    @step
    def accelerated(self):
        assert len(os.environ["NVIDIA_VISIBLE_DEVICES"].split(",")) == 1
        print("ran: 32000 MB, 4 CPUs and a GPU")
        self.next(self.gather)

    @kubernetes(
        cpu=16,
        memory=16000,
        disk=50000,
        tolerations=[{"key": "dedicated", "operator": "Equal", "value": "training"}],
        node_selector="kubernetes.io/os=linux,devstack.dev/pool=control-plane",
        labels={"team": "research"},
        annotations={"purpose": "an example"},
    )
    @step
    def placed(self):
        print("ran: cpu, memory, disk, tolerations, node_selector")
        self.next(self.gather)

    @kubernetes(
        use_tmpfs=True,
        tmpfs_size=512,
        shared_memory=256,
        persistent_volume_claims={"example-data": "/data"},
        secrets=["example-secret"],
    )
    @step
    def temporary(self):
        with open(os.path.join(current.tempdir, "big"), "wb") as file:
            file.write(bytes(MIB))
        with open("/data/kept", "w") as file:
            file.write("kept")
        assert shutil.disk_usage(current.tempdir).total == 512 * MIB
        assert shutil.disk_usage("/dev/shm").total == 256 * MIB
        assert os.environ["TOKEN"]
        print("ran: use_tmpfs, shared_memory, persistent_volume_claims, secrets")
        self.next(self.gather)

    @catch(var="failure")
    @retry(times=1, minutes_between_retries=0)
    @timeout(minutes=5)
    @kubernetes
    @step
    def unreliable(self):
        if current.retry_count == 0:
            raise RuntimeError("the first attempt fails")
        print("ran: retry, timeout, catch")
        self.next(self.gather)

    @step
    def fan(self):
        self.next(self.prepare, foreach="countries")

    @kubernetes(memory=16000)
    @step
    def prepare(self):
        self.country = self.input
        self.next(self.total)

    @step
    def total(self, inputs):
        print("ran: the countries", *sorted(each.country for each in inputs))
        self.next(self.split)

    @step
    def split(self):
        self.next(self.train, num_parallel=2)

    @kubernetes(cpu=2, memory=8000, gpu=2)
    @parallel
    @step
    def train(self):
        self.rank = current.parallel.node_index
        self.next(self.trained)

    @step
    def trained(self, inputs):
        print("ran: parallel", sorted(each.rank for each in inputs))
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ExamplesFlow()
