"""Parallel: three pods that start together and communicate.

``num_parallel=3`` creates one JobSet of three pods, a "gang".  Each of them runs the
same step and finds its position in ``current.parallel``: its ``node_index``
(its rank), ``num_nodes`` and ``main_ip``, the address of rank 0.

Here the ranks add up a sum over the network.  Rank 0 listens; it sends the
running sum to each rank in turn, which adds its own number and sends it back.
In the end rank 0 sends the total to all ranks.

The ranks do not start at exactly the same time, so connecting needs retries, and
waiting needs a timeout.

Try:  devstack run parallel
"""

import json
import platform
import socket
import time

from metaflow import FlowSpec, current, kubernetes, parallel, step

RANKS = 3
PORT = 29517
TIMEOUT_SECONDS = 120


class ParallelFlow(FlowSpec):
    """Adds up 1 + 10 + 100 in three pods."""

    @step
    def start(self):
        """Request three pods at the same time."""
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
        """Collect the results of all ranks."""
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
        """Print the total of each rank."""
        print(f"ranks {sorted(self.accounts)} say {[a['total'] for a in self.accounts.values()]}")


def lead(number, ranks):
    """Rank 0: send the sum to each rank in turn, then the total to all."""
    with socket.create_server(("", PORT), backlog=ranks) as listener:
        listener.settimeout(TIMEOUT_SECONDS)
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
    """Accept one connection; the other rank sends its number first."""
    connection, _ = listener.accept()
    line = open_line(connection)
    return receive(line), line


def follow(main, rank, number):
    """Other ranks: add to the sum, then receive the total."""
    with connect(main) as connection, open_line(connection) as line:
        send(line, rank)
        passed_on = receive(line) + number
        send(line, passed_on)
        return passed_on, receive(line)


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


def open_line(connection):
    """Return the connection as a file to read and write lines; accept() drops the deadline."""
    connection.settimeout(TIMEOUT_SECONDS)
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
