"""Ring: eight pods that address their neighbours by host name.

All pods of a ``@parallel`` step have names in Kubernetes' DNS.  Rank
0's is in the variable MF_MASTER_ADDR: ``js-1a2b3c-control-0-0.js-1a2b3c...``;
the others have ``worker-0``, ``worker-1`` and so on in its place.

Here every rank listens for the previous rank and connects to the next one.  Each rank
passes the numbers that it knows around the ring, until every rank has the sum of all:
a ring all-reduce, as for gradients.

Pods start in any order, and a name may exist before its pod listens, so connecting
needs retries.

Try:  devstack run ring
"""

import json
import os
import platform
import socket
import time

from metaflow import FlowSpec, current, kubernetes, parallel, step

RANKS = 8
PORT = 29519
TIMEOUT_SECONDS = 300


class RingFlow(FlowSpec):
    """Adds up the squares of eight ranks."""

    @step
    def start(self):
        """Request eight pods at the same time."""
        self.next(self.reduce, num_parallel=RANKS)

    @kubernetes(cpu=0.05, memory=128, disk=256)
    @parallel
    @step
    def reduce(self):
        """Pass the known numbers around the ring until each rank knows all."""
        self.rank, ranks = current.parallel.node_index, current.parallel.num_nodes
        following = name_of((self.rank + 1) % ranks)
        with socket.create_server(("", PORT)) as listener:
            listener.settimeout(TIMEOUT_SECONDS)
            onward = connect(following)
            before, _ = listener.accept()
        with onward, before, before.makefile() as incoming:
            known = {str(self.rank): self.rank**2}
            for _ in range(ranks - 1):
                onward.sendall(json.dumps(known).encode() + b"\n")
                known |= json.loads(incoming.readline())
        self.neighbour, self.pod = following, platform.node()
        self.total = sum(known.values())
        print(f"rank {self.rank}: {len(known)} ranks, total {self.total}")
        self.next(self.join)

    @step
    def join(self, inputs):
        """Collect the totals of all ranks."""
        self.totals = {i.rank: i.total for i in inputs}
        self.neighbours = {i.rank: i.neighbour for i in inputs}
        self.pods = {i.rank: i.pod for i in inputs}
        self.next(self.end)

    @step
    def end(self):
        """Print the totals."""
        print(f"{len(self.totals)} ranks say {sorted(set(self.totals.values()))}")


def name_of(rank):
    """Return the DNS name of a rank's pod."""
    main = os.environ["MF_MASTER_ADDR"]
    return main if rank == 0 else main.replace("-control-0-0.", f"-worker-{rank - 1}-0.", 1)


def connect(name):
    """Connect to a pod that may not exist yet."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            return socket.create_connection((name, PORT), timeout=TIMEOUT_SECONDS)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    RingFlow()
