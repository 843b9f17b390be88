"""A task that really fails at first, and one that fails for good.

On Airflow it is Airflow that tries again: ``@retry`` becomes the task's
retries, and each attempt is a pod of its own.  ``@catch`` lets the run go on
where the last attempt has failed too.

Try:  devstack run --airflow flaky
"""

from metaflow import FlowSpec, catch, current, kubernetes, retry, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class FlakyFlow(FlowSpec):
    """Fails, and gets through all the same."""

    @retry(times=2, minutes_between_retries=0)
    @kubernetes(**SMALL)
    @step
    def start(self):
        """Fail at the first attempt."""
        self.attempt = current.retry_count
        if self.attempt == 0:
            raise RuntimeError("the first attempt fails, on purpose")
        self.next(self.hopeless)

    @catch(var="failure", print_exception=False)
    @kubernetes(**SMALL)
    @step
    def hopeless(self):
        """Fail at every attempt."""
        self.number = int("this is no number, on purpose")
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Tell what happened."""
        self.told = str(self.failure)
        print(f"start took attempt {self.attempt}; hopeless failed with {self.told}")


if __name__ == "__main__":
    FlakyFlow()
