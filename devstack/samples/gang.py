"""Gang: two flows that fit on the cluster one at a time, started together.

The pods of a ``@parallel`` step start all together, or none of them does.  So two of
these flows never hold half of the resources each and wait forever for the rest: all
pods of one run, while the other waits and holds nothing; then all of the other run.

"devstack run gang" starts both, gives each more than half of the free cpu of the
cluster, reports which pods have a node, and draws a timeline, whose file it prints.

Try:  devstack run gang
"""

import json
import os
import pathlib
import socket
import time

from metaflow import FlowSpec, current, kubernetes, parallel, step

# Set by `devstack run`, which measures the free resources.
RANKS = int(os.environ.get("GANG_RANKS", "4"))
CPU = float(os.environ.get("GANG_CPU", "0.1"))
MEETING = os.environ.get("GANG_MEETING", "")

FLOWS = 2
PORT = 29518
TIMEOUT_SECONDS = 300
HOLD_SECONDS = 8


class GangFlow(FlowSpec):
    """Holds its resources for a while, all ranks at the same time."""

    @step
    def start(self):
        """Wait for the other flow, so that both request resources at the same time."""
        if MEETING:
            wait_for_other_flow(pathlib.Path(MEETING))
        self.next(self.hold, num_parallel=RANKS)

    @kubernetes(cpu=CPU, memory=128, disk=256)
    @parallel
    @step
    def hold(self):
        """Meet all other ranks, then wait."""
        self.rank = current.parallel.node_index
        if self.rank == 0:
            self.met = gather(current.parallel.num_nodes)
        else:
            self.met = join_in(current.parallel.main_ip, self.rank)
        time.sleep(HOLD_SECONDS)
        print(f"rank {self.rank} met ranks {self.met}")
        self.next(self.join)

    @step
    def join(self, inputs):
        """Collect which ranks each rank met."""
        self.met = {i.rank: i.met for i in inputs}
        self.next(self.end)

    @step
    def end(self):
        """Print the number of ranks."""
        print(f"{len(self.met)} ranks were there at the same time")


def wait_for_other_flow(folder):
    """Create a file in the folder, and wait until the other flow has done so."""
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while len(list(folder.iterdir())) < FLOWS:
        if time.monotonic() > deadline:
            raise TimeoutError("the other flow did not start")
        time.sleep(0.1)


def gather(ranks):
    """Rank 0: wait for all ranks, then send them the list of ranks."""
    with socket.create_server(("", PORT), backlog=ranks) as listener:
        listener.settimeout(TIMEOUT_SECONDS)
        lines = [listener.accept()[0].makefile("rw") for _ in range(ranks - 1)]
    there = sorted([0, *(json.loads(line.readline()) for line in lines)])
    for line in lines:
        line.write(json.dumps(there) + "\n")
        line.close()
    return there


def join_in(main, rank):
    """Other ranks: send the own rank, and receive the list of ranks."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            connection = socket.create_connection((main, PORT), timeout=TIMEOUT_SECONDS)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
            continue
        with connection, connection.makefile("rw") as line:
            line.write(json.dumps(rank) + "\n")
            line.flush()
            return json.loads(line.readline())


if __name__ == "__main__":
    GangFlow()
