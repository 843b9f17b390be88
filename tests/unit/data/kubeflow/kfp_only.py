"""Pipelines written with kfp alone; what is supported, and what is not."""

from kfp import compiler, dsl, kubernetes


@dsl.container_component
def make_list(count: int, items: dsl.OutputPath(list)):  # type: ignore[valid-type]
    return dsl.ContainerSpec(
        image="devstack/task:1",
        command=["sh", "-c", 'echo "[1, 2, $0]" > "$1"'],
        args=[count, items],
    )


@dsl.container_component
def double(number: int, label: str, doubled: dsl.OutputPath(int)):  # type: ignore[valid-type]
    return dsl.ContainerSpec(
        image="devstack/task:1",
        command=["sh", "-c", 'echo "$1" && echo $((2 * $0)) > "$2"'],
        args=[number, label, doubled],
    )


@dsl.container_component
def show(numbers: list):
    return dsl.ContainerSpec(image="devstack/task:1", command=["echo"], args=[numbers])


@dsl.container_component
def fail():
    return dsl.ContainerSpec(image="devstack/task:1", command=["false"])


@dsl.component
def lightweight() -> str:
    return "x"


@dsl.container_component
def with_artifact(made: dsl.Output[dsl.Dataset]):
    return dsl.ContainerSpec(image="devstack/task:1", command=["true"], args=[made.path])


@dsl.container_component
def with_option(label: str = ""):
    arg = dsl.IfPresentPlaceholder(input_name="label", then=[label])
    return dsl.ContainerSpec(image="devstack/task:1", command=["echo"], args=[arg])


@dsl.pipeline(name="loop-pipeline")
def loop_pipeline(count: int = 3, label: str = "run"):
    """Two components and a loop over the output of the first one."""
    made = make_list(count=count)
    with dsl.ParallelFor(items=made.outputs["items"], parallelism=2) as number:
        done = double(number=number, label=f"{label}-{number}")
        done.set_caching_options(False)
    show(numbers=dsl.Collected(done.outputs["doubled"]))


@dsl.pipeline(name="fixed-items")
def fixed_items():
    with dsl.ParallelFor(items=["a", "b"]) as letter:
        double(number=1, label=letter)


@dsl.pipeline(name="condition")
def condition(count: int = 1):
    with dsl.If(count == 1):
        fail()


@dsl.pipeline(name="exit-handler")
def exit_handler():
    with dsl.ExitHandler(fail()):
        show(numbers=[1])


@dsl.pipeline(name="python-component")
def python_component():
    lightweight()


@dsl.pipeline(name="artifact")
def artifact():
    with_artifact()


@dsl.pipeline(name="optional")
def optional():
    with_option()


@dsl.pipeline(name="secret")
def secret():
    kubernetes.use_secret_as_env(fail(), "mine", {"key": "NAME"})


@dsl.pipeline(name="sub-field")
def sub_field():
    with dsl.ParallelFor(items=[{"a": 1}, {"a": 2}]) as item:
        double(number=item.a, label="x")


if __name__ == "__main__":
    import sys

    for pipeline in (
        loop_pipeline,
        fixed_items,
        condition,
        exit_handler,
        python_component,
        artifact,
        optional,
        secret,
        sub_field,
    ):
        compiler.Compiler().compile(pipeline, f"{sys.argv[1]}/{pipeline.name}.yaml")
