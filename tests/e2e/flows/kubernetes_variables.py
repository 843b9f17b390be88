"""A pod that only METAFLOW_KUBERNETES_* variables describe, and one whose attributes differ."""

from metaflow import FlowSpec, kubernetes, step
from observed_pod import observe


class VariablesFlow(FlowSpec):
    """Two pods, in two namespaces."""

    @kubernetes
    @step
    def start(self):
        observe("start", "/claim")
        self.next(self.end)

    @kubernetes(
        namespace="metaflow",
        gpu=1,
        labels={"example.com/reference": "attribute"},
        annotations={"example.com/reference": "an attribute"},
    )
    @step
    def end(self):
        observe("end", "/claim")
        with open("/claim/written") as file:
            print("KEPT", file.read())


if __name__ == "__main__":
    VariablesFlow()
