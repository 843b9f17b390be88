"""A pipeline written with kfp alone: ``python pipelines.py IMAGE FILE`` compiles it.

kfp reads the annotations of components when they are defined, so they must not be texts.
"""

import sys

from kfp import compiler, dsl

IMAGE = sys.argv[1]


@dsl.container_component
def make_list(count: int, items: dsl.OutputPath(list)):  # type: ignore[valid-type]
    script = 'mkdir -p "$(dirname "$1")" && echo "[1, 2, $0]" > "$1"'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", script], args=[count, items])


@dsl.container_component
def double(number: int, doubled: dsl.OutputPath(int)):  # type: ignore[valid-type]
    script = 'echo $((2 * $0)) > "$1"'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", script], args=[number, doubled])


@dsl.container_component
def compare(numbers: list, text: str):
    script = 'test "$0" = "[2,4,10]" && test "$1" = "it\'s \\$HOME and \\$\\$"'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", script], args=[numbers, text])


@dsl.pipeline(name="kfp-loop")
def loop(count: int = 5, text: str = "it's $HOME and $$"):
    """Doubles numbers, and compares what was collected."""
    made = make_list(count=count)
    with dsl.ParallelFor(items=made.outputs["items"], parallelism=2) as number:
        done = double(number=number)
    compare(numbers=dsl.Collected(done.outputs["doubled"]), text=text)


if __name__ == "__main__":
    compiler.Compiler().compile(loop, sys.argv[2])
