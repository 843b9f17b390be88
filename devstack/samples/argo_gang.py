"""A gang on Argo: three pods of a JobSet that start together.

A ``@parallel`` step becomes a JobSet that Argo creates and waits for. The stack's scheduler
starts its pods all together, or none of them, as it does for ``devstack run parallel``. Here all
ranks connect to rank 0, which sends them the list of those that are there.

Try:  devstack run --argo argo-gang
"""

import json
import os
import socket
import time

from metaflow import FlowSpec, current, kubernetes, parallel, step

SMALL = {"cpu": 0.1, "memory": 200, "disk": 256}
RANKS = 3
PORT = 29519
TIMEOUT_SECONDS = 120


class ArgoGangFlow(FlowSpec):
    """Lets three ranks meet."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Request three pods at the same time."""
        self.next(self.meet, num_parallel=RANKS)

    @kubernetes(**SMALL)
    @parallel
    @step
    def meet(self):
        """Meet the other ranks."""
        self.rank = current.parallel.node_index
        if self.rank == 0:
            self.met = lead(current.parallel.num_nodes)
        else:
            self.met = follow(current.parallel.main_ip, self.rank)
        self.jobset = os.environ["METAFLOW_KUBERNETES_JOBSET_NAME"]
        self.next(self.join)

    @kubernetes(**SMALL)
    @step
    def join(self, inputs):
        """Collect which ranks each rank met, and their JobSets."""
        self.met = {each.rank: each.met for each in inputs}
        self.jobsets = sorted({each.jobset for each in inputs})
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print the number of ranks."""
        print(f"{len(self.met)} ranks were there at the same time")


def lead(ranks):
    """Rank 0: wait for all other ranks, then send them the list of ranks."""
    with socket.create_server(("", PORT), backlog=ranks) as listener:
        listener.settimeout(TIMEOUT_SECONDS)
        lines = [listener.accept()[0].makefile("rw") for _ in range(ranks - 1)]
    there = sorted([0, *(json.loads(line.readline()) for line in lines)])
    for line in lines:
        line.write(json.dumps(there) + "\n")
        line.close()
    return there


def follow(main, rank):
    """Other ranks: send the own rank, and receive the list of ranks."""
    with connect(main) as connection, connection.makefile("rw") as line:
        line.write(json.dumps(rank) + "\n")
        line.flush()
        return json.loads(line.readline())


def connect(main):
    """Connect to rank 0, which may not be listening yet."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            return socket.create_connection((main, PORT), timeout=TIMEOUT_SECONDS)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    ArgoGangFlow()
