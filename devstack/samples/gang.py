"""Gang: two flows that fit on the cluster one at a time, started at once.

The pods of a ``@parallel`` step start all together, or none of them does.  So
two of these flows never hold half of the room each, waiting for each other for
ever: one runs whole, the other waits and holds nothing, then it runs whole.

"devstack run gang" starts the two, gives each a bit more than half of the
cluster's free cpu, shows which pods have a node, and draws when each had one:
its last words name the picture.

Try:  devstack run gang
"""

import json
import os
import pathlib
import socket
import time

from metaflow import FlowSpec, current, kubernetes, parallel, step

# Set by `devstack run`, which knows how much room there is.
RANKS = int(os.environ.get("GANG_RANKS", "4"))
CPU = float(os.environ.get("GANG_CPU", "0.1"))
MEETING = os.environ.get("GANG_MEETING", "")

RIVALS = 2
PORT = 29518
PATIENCE_SECONDS = 300
HOLD_SECONDS = 8


class GangFlow(FlowSpec):
    """Holds its room for a while, all ranks at the same time."""

    @step
    def start(self):
        """Wait for the other flow, so that both ask for room at the same moment."""
        if MEETING:
            meet_rival(pathlib.Path(MEETING))
        self.next(self.hold, num_parallel=RANKS)

    @kubernetes(cpu=CPU, memory=128, disk=256)
    @parallel
    @step
    def hold(self):
        """Meet all the other ranks, then stay for a while."""
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
        """Collect whom each rank met."""
        self.met = {i.rank: i.met for i in inputs}
        self.next(self.end)

    @step
    def end(self):
        """All is said."""
        print(f"{len(self.met)} ranks were there at the same time")


def meet_rival(folder):
    """Leave a mark in the folder, and wait until everybody has."""
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(list(folder.iterdir())) < RIVALS:
        if time.monotonic() > deadline:
            raise TimeoutError("the other flow did not come")
        time.sleep(0.1)


def gather(ranks):
    """Rank 0: wait for everybody, then tell them all who is there."""
    with socket.create_server(("", PORT), backlog=ranks) as listener:
        listener.settimeout(PATIENCE_SECONDS)
        lines = [listener.accept()[0].makefile("rw") for _ in range(ranks - 1)]
    there = sorted([0, *(json.loads(line.readline()) for line in lines)])
    for line in lines:
        line.write(json.dumps(there) + "\n")
        line.close()
    return there


def join_in(main, rank):
    """Any other rank: say that it is there, and hear who else is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection = socket.create_connection((main, PORT), timeout=PATIENCE_SECONDS)
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
