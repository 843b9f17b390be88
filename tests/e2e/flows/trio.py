"""Three ranks, one of which fails a given number of times."""

import time

from metaflow import FlowSpec, Parameter, current, kubernetes, parallel, retry, step


class TrioFlow(FlowSpec):
    """Fails in rank 1 for some attempts, or until it is resumed."""

    fails = Parameter("fails", default=0, help="how many attempts fail")
    until_resumed = Parameter("until-resumed", default=False, type=bool)

    @step
    def start(self):
        self.next(self.work, num_parallel=3)

    @retry(times=1, minutes_between_retries=0)
    @kubernetes(cpu=0.05, memory=128, disk=256)
    @parallel
    @step
    def work(self):
        self.rank = current.parallel.node_index
        self.attempt = current.retry_count
        broken = self.until_resumed and current.origin_run_id is None
        if broken or current.retry_count < self.fails:
            if self.rank == 1:
                raise RuntimeError("rank 1 fails, on purpose")
            # The other ranks run until they are stopped.
            time.sleep(3600)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.attempts = sorted((i.rank, i.attempt) for i in inputs)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    TrioFlow()
