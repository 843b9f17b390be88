"""One step on a large machine: instance type, zone, GPUs, shared memory, disk and a claim."""

import os
import shutil
from pathlib import Path

from metaflow import FlowSpec, kubernetes, step

DATA = Path("/mnt/training-data")


class CompleteFlow(FlowSpec):
    """Trains on one node of the instance type p3.8xlarge."""

    @kubernetes
    @step
    def start(self):
        self.epochs = 3
        self.next(self.train)

    @kubernetes(
        cpu=16,
        memory=65536,
        disk=102400,
        gpu=4,
        gpu_vendor="nvidia",
        shared_memory=16384,
        node_selector={
            "node.kubernetes.io/instance-type": "p3.8xlarge",
            "topology.kubernetes.io/zone": "us-west-2a",
        },
        persistent_volume_claims={"training-data": str(DATA)},
        labels={"team": "research"},
        annotations={"purpose": "training"},
        port=8265,
    )
    @step
    def train(self):
        checkpoint = DATA / "checkpoint"
        for epoch in range(self.epochs):
            checkpoint.write_text(f"epoch {epoch}")
        self.checkpoint = checkpoint.read_text()
        self.shared_memory = shutil.disk_usage("/dev/shm").total // 2**20
        self.gpus = os.environ["NVIDIA_VISIBLE_DEVICES"].split(",")
        print(f"{len(self.gpus)} GPUs, {self.shared_memory} MiB of shared memory")
        self.next(self.end)

    @kubernetes
    @step
    def end(self):
        print(f"the checkpoint is of {self.checkpoint}")


if __name__ == "__main__":
    CompleteFlow()
