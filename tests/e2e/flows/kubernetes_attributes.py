"""Each attribute of @kubernetes, on a step that says what its pod has."""

from metaflow import FlowSpec, current, kubernetes, parallel, step
from observed_pod import observe


class AttributesFlow(FlowSpec):
    """Three kinds of pods at once, and one gang."""

    @step
    def start(self):
        self.next(self.everything, self.others, self.defaults, self.fan)

    @kubernetes(
        cpu=2,
        memory=1024,
        disk=1024,
        gpu=2,
        gpu_vendor="nvidia",
        image="localhost:5999/devstack/reference:1",
        image_pull_policy="Always",
        image_pull_secrets=["devstack-reference-login"],
        service_account="devstack-reference",
        secrets=["devstack-reference"],
        node_selector={"kubernetes.io/os": "linux"},
        tolerations=[{"key": "example.com/reference", "operator": "Exists"}],
        labels={"example.com/reference": "label"},
        annotations={"example.com/reference": "annotation, of any text"},
        use_tmpfs=True,
        tmpfs_size=64,
        tmpfs_path="/scratch",
        persistent_volume_claims={"devstack-reference": "/claim"},
        shared_memory=128,
        port=8000,
        compute_pool="devstack-reference",
        executable="env DEVSTACK_EXECUTABLE=yes python",
        qos="Guaranteed",
        extended_resources={"example.com/fpga": "1"},
        security_context={
            "run_as_user": 1234,
            "run_as_group": 2345,
            "run_as_non_root": True,
            "allow_privilege_escalation": False,
            "privileged": False,
        },
    )
    @step
    def everything(self):
        observe("everything", "/scratch", "/claim")
        print("TEMPDIR", current.tempdir)
        with open("/claim/written", "w") as file:
            file.write(current.run_id)
        self.next(self.gather)

    @kubernetes(
        cpu=0.5,
        memory=300,
        disk=100,
        gpu=1,
        gpu_vendor="amd",
        qos="Burstable",
        node_selector="kubernetes.io/os=linux,outerbounds.co/compute-pool=devstack-reference",
        tolerations=[{"key": "example.com/reference", "value": "yes", "effect": "NoSchedule"}],
        use_tmpfs=True,
        tmpfs_tempdir=False,
        security_context={
            "run_as_user": 0,
            "privileged": True,
            "allow_privilege_escalation": True,
        },
    )
    @step
    def others(self):
        observe("others", "/metaflow_temp")
        print("PATH", current.tempdir)
        self.next(self.gather)

    @kubernetes(gpu=0)
    @step
    def defaults(self):
        observe("defaults")
        self.next(self.gather)

    @step
    def fan(self):
        self.next(self.gang, num_parallel=2)

    @kubernetes(
        cpu=0.1,
        memory=256,
        disk=100,
        port=9000,
        shared_memory=32,
        labels={"example.com/reference": "gang"},
        security_context={"run_as_user": 1234, "run_as_non_root": True},
    )
    @parallel
    @step
    def gang(self):
        observe("gang")
        self.next(self.ungang)

    @step
    def ungang(self, inputs):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    AttributesFlow()
