"""A pipeline of three pods, with a Parameter of every type.

metaflow-kubeflow compiles the flow to a pipeline of Kubeflow, and the stack's pipelines API runs
it on Argo. ``start`` fails at its first attempt; the second one succeeds. ``middle`` reads a
Secret of the stack, which Kubeflow's compiler has no call for.

Try:  devstack run --kubeflow kubeflow-linear
"""

import os

from metaflow import FlowSpec, JSONType, Parameter, current, kubernetes, resources, retry, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class KubeflowLinearFlow(FlowSpec):
    """Keeps its Parameters."""

    text = Parameter("text", default='it\'s $HOME, "$(date)" \\ and `id`')
    count = Parameter("count", default=3)
    ratio = Parameter("ratio", default=0.5)
    flag = Parameter("flag", default=True)
    data = Parameter("data", type=JSONType, default='{"a": [1, 2]}')

    @retry(times=1, minutes_between_retries=0)
    @resources(cpu=0.1, memory=256)
    @kubernetes(**SMALL)
    @step
    def start(self):
        """Fail once."""
        if current.retry_count == 0:
            raise RuntimeError("the first attempt fails, on purpose")
        self.attempt = current.retry_count
        self.next(self.middle)

    @kubernetes(secrets=["devstack-sample"], **SMALL)
    @step
    def middle(self):
        """Read the Secret."""
        self.has_secret = "SAMPLE_TOKEN" in os.environ
        self.in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print the text."""
        self.values = [self.text, self.count, self.ratio, self.flag, self.data]
        print(f"The pipeline said: {self.text}")


if __name__ == "__main__":
    KubeflowLinearFlow()
