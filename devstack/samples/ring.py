"""Ring: eight pods, each of which knows its neighbour by name.

All pods of a ``@parallel`` step have names that Kubernetes' DNS knows.  Rank
0's is in the variable MF_MASTER_ADDR: ``js-1a2b3c-control-0-0.js-1a2b3c...``;
the others are called ``worker-0``, ``worker-1`` and so on in its place.

Here every rank listens for the rank before it and connects to the one behind.
A packet of numbers goes round the ring, each rank adding its own, until every
rank has the sum of all: a ring all-reduce, as it is done with gradients.

Pods start in any order, and a name may be there before somebody listens: so
who connects tries again for a while.

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
PATIENCE_SECONDS = 300


class RingFlow(FlowSpec):
    """Adds up the squares of eight ranks."""

    @step
    def start(self):
        """Ask for eight pods at once."""
        self.next(self.reduce, num_parallel=RANKS)

    @kubernetes(cpu=0.05, memory=128, disk=256)
    @parallel
    @step
    def reduce(self):
        """Send what is known round the ring until everybody knows everything."""
        self.rank, ranks = current.parallel.node_index, current.parallel.num_nodes
        behind = name_of((self.rank + 1) % ranks)
        with socket.create_server(("", PORT)) as listener:
            listener.settimeout(PATIENCE_SECONDS)
            onward = connect(behind)
            before, _ = listener.accept()
        with onward, before, before.makefile() as incoming:
            known = {str(self.rank): self.rank**2}
            for _ in range(ranks - 1):
                onward.sendall(json.dumps(known).encode() + b"\n")
                known |= json.loads(incoming.readline())
        self.neighbour, self.pod = behind, platform.node()
        self.total = sum(known.values())
        print(f"rank {self.rank}: {len(known)} ranks, total {self.total}")
        self.next(self.join)

    @step
    def join(self, inputs):
        """Collect every rank's total."""
        self.totals = {i.rank: i.total for i in inputs}
        self.neighbours = {i.rank: i.neighbour for i in inputs}
        self.pods = {i.rank: i.pod for i in inputs}
        self.next(self.end)

    @step
    def end(self):
        """Show what the ranks say."""
        print(f"{len(self.totals)} ranks say {sorted(set(self.totals.values()))}")


def name_of(rank):
    """Return the DNS name of a rank's pod."""
    main = os.environ["MF_MASTER_ADDR"]
    return main if rank == 0 else main.replace("-control-0-0.", f"-worker-{rank - 1}-0.", 1)


def connect(name):
    """Connect to a pod that may not be there yet."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return socket.create_connection((name, PORT), timeout=PATIENCE_SECONDS)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    RingFlow()
