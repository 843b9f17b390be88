"""Steps that take memory until they are killed; 30 of them request more than machines have."""

from metaflow import FlowSpec, Parameter, kubernetes, step


class HogFlow(FlowSpec):
    """Takes memory in several pods at once."""

    hogs = Parameter("hogs", default=1)

    @step
    def start(self):
        self.numbers = list(range(self.hogs))
        self.next(self.hog, foreach="numbers")

    @kubernetes(memory=8_000)
    @step
    def hog(self):
        taken = []
        while len(taken) < 10_000:
            # Written to, so that it is real.
            taken.append(b"x" * (16 << 20))
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    HogFlow()
