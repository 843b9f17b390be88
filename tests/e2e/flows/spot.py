"""A step on a spot node: its first attempt works until the node is taken away."""

import json
import os
import time
import urllib.request

from metaflow import FlowSpec, current, kubernetes, retry, step

SPOT = "node.kubernetes.io/lifecycle"


class SpotFlow(FlowSpec):
    """Ends only if an attempt is interrupted and the next one runs elsewhere."""

    @step
    def start(self):
        self.next(self.work)

    @retry(times=1, minutes_between_retries=0)
    @kubernetes(
        cpu=0.1,
        memory=256,
        disk=256,
        gpu=1,
        node_selector={SPOT: "spot"},
        tolerations=[{"key": SPOT, "operator": "Equal", "value": "spot", "effect": "NoSchedule"}],
    )
    @step
    def work(self):
        if current.retry_count == 0:
            print("the first attempt works", flush=True)
            time.sleep(3600)
        address = "http://169.254.169.254/latest/dynamic/instance-identity/document"
        self.instance = json.load(urllib.request.urlopen(address, timeout=5))
        self.gpus = os.environ["NVIDIA_VISIBLE_DEVICES"]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    SpotFlow()
