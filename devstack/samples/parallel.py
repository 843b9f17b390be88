"""Parallel: three pods that start together and talk to each other.

``num_parallel=3`` makes one JobSet of three pods, a "gang".  Each of them runs
the same step and finds its place in ``current.parallel``: its ``node_index``
(its rank), ``num_nodes`` and ``main_ip``, the address of rank 0.

Here the ranks add up a sum over the network.  Rank 0 listens; it sends the
running sum to each rank in turn, which adds its own number and sends it back.
In the end rank 0 tells everybody the total, and each rank checks it.

The ranks do not start at the same instant, so whoever connects must be ready
to try again for a while, and whoever waits must not wait for ever.

Try:  devstack run parallel
"""

import json
import platform
import socket
import time

from metaflow import FlowSpec, current, kubernetes, parallel, step

RANKS = 3
PORT = 29517
PATIENCE_SECONDS = 120


class ParallelFlow(FlowSpec):
    """Adds up 1 + 10 + 100 in three pods."""

    @step
    def start(self):
        """Ask for three pods at once."""
        self.next(self.add, num_parallel=RANKS)

    @kubernetes(cpu=0.2, memory=256, disk=512)
    @parallel
    @step
    def add(self):
        """Add this rank's number to the sum."""
        self.rank = current.parallel.node_index
        self.number = 10**self.rank
        if self.rank == 0:
            self.passed_on, self.total = lead(self.number, current.parallel.num_nodes)
        else:
            main = current.parallel.main_ip
            self.passed_on, self.total = follow(main, self.rank, self.number)
        self.pod = platform.node()
        self.address = socket.gethostbyname(self.pod)
        print(f"rank {self.rank} at {self.address}: passed on {self.passed_on}, total {self.total}")
        self.next(self.join)

    @step
    def join(self, inputs):
        """Collect every rank's account."""
        self.accounts = {
            i.rank: {
                "number": i.number,
                "passed_on": i.passed_on,
                "total": i.total,
                "pod": i.pod,
                "address": i.address,
            }
            for i in inputs
        }
        self.next(self.end)

    @step
    def end(self):
        """Show the total that all ranks agree on."""
        print(f"ranks {sorted(self.accounts)} say {[a['total'] for a in self.accounts.values()]}")


def lead(number, ranks):
    """Rank 0: pass the sum round, then tell everybody the total."""
    with socket.create_server(("", PORT), backlog=ranks) as listener:
        listener.settimeout(PATIENCE_SECONDS)
        followers = dict(welcome(listener) for _ in range(ranks - 1))
    total = number
    for rank in sorted(followers):
        send(followers[rank], total)
        total = receive(followers[rank])
    for line in followers.values():
        send(line, total)
        line.close()
    return number, total


def welcome(listener):
    """Take one connection; the caller says its rank first."""
    connection, _ = listener.accept()
    line = open_line(connection)
    return receive(line), line


def follow(main, rank, number):
    """Any other rank: add to the sum when it comes by, then hear the total."""
    with connect(main) as connection, open_line(connection) as line:
        send(line, rank)
        passed_on = receive(line) + number
        send(line, passed_on)
        return passed_on, receive(line)


def connect(main):
    """Connect to rank 0, which may not listen yet."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return socket.create_connection((main, PORT), timeout=PATIENCE_SECONDS)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def open_line(connection):
    """Return the connection as a file to read and write lines; accept() drops the deadline."""
    connection.settimeout(PATIENCE_SECONDS)
    return connection.makefile("rw")


def send(line, value):
    """Send one value."""
    line.write(json.dumps(value) + "\n")
    line.flush()


def receive(line):
    """Receive one value; an end of the connection is an error."""
    return json.loads(line.readline())


if __name__ == "__main__":
    ParallelFlow()
