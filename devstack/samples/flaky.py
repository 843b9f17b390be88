"""A task that fails at first, and one that always fails.

Airflow itself retries: ``@retry`` becomes the task's retries, and each attempt is a
new pod.  With ``@catch`` the run continues after the last attempt has failed.

Try:  devstack run --airflow flaky
"""

from metaflow import FlowSpec, catch, current, kubernetes, retry, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class FlakyFlow(FlowSpec):
    """Succeeds in spite of failures."""

    @retry(times=2, minutes_between_retries=0)
    @kubernetes(**SMALL)
    @step
    def start(self):
        """Fail at the first attempt."""
        self.attempt = current.retry_count
        if self.attempt == 0:
            raise RuntimeError("the first attempt fails, on purpose")
        self.next(self.always_fails)

    @catch(var="failure", print_exception=False)
    @kubernetes(**SMALL)
    @step
    def always_fails(self):
        """Fail at every attempt."""
        self.number = int("this is not a number, on purpose")
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print what happened."""
        self.reason = str(self.failure)
        print(f"start took attempt {self.attempt}; always_fails failed with {self.reason}")


if __name__ == "__main__":
    FlakyFlow()
