"""Parameters of every type, settings of pods, retries: what one task can have."""

from metaflow import (
    FlowSpec,
    JSONType,
    Parameter,
    environment,
    kubernetes,
    resources,
    retry,
    schedule,
    step,
    timeout,
)


@schedule(cron="30 6 * * ? *")
class LinearFlow(FlowSpec):
    count = Parameter("count", default=3)
    ratio = Parameter("ratio", default=0.5)
    flag = Parameter("flag", default=True)
    word = Parameter("word", default="a 'quoted' $word")
    data = Parameter("data", type=JSONType, default={"a": [1, 2]})
    missing = Parameter("missing", type=int)

    @resources(memory=512, cpu=1)
    @retry(times=2, minutes_between_retries=1)
    @timeout(minutes=3)
    @step
    def start(self):
        self.next(self.second_one)

    @kubernetes(
        secrets=["mine"],
        service_account="runner",
        disk=2048,
        node_selector={"pool": "big"},
        tolerations=[{"key": "big", "operator": "Exists"}],
        labels={"team": "a"},
        annotations={"note": "b"},
        use_tmpfs=True,
        tmpfs_size=64,
        shared_memory=32,
        persistent_volume_claims={"shared": "/mnt/shared"},
        image_pull_policy="IfNotPresent",
        image_pull_secrets=["registry"],
        gpu=1,
        qos="Guaranteed",
        security_context={"run_as_user": 1000},
    )
    @environment(vars={"MINE": "$HOME $(KFP_POD_NAME)"})
    @step
    def second_one(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    LinearFlow()
