# ruff: noqa: N999
"""``devstack pools import``."""

from __future__ import annotations

from pathlib import Path

import click

from devstack.cli.options import json_option, pass_output
from devstack.cli.output import Output
from devstack.pools.settings import NODES_MAX


@click.command("import", epilog="Example: devstack pools import --context prod --at-most 2")
@click.option("--context", required=True, metavar="CONTEXT", help="A context of your kubeconfig.")
@click.option("--namespace", "-n", metavar="NS", help="Where tasks run.  [default: the context's]")
@click.option(
    "--at-most",
    type=click.IntRange(1, NODES_MAX),
    default=2,
    metavar="N",
    help="The most nodes of one pool.  [default: 2]",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("devstack.toml"),
    help="The file to write.  [default: devstack.toml in this folder]",
)
@json_option
@pass_output
def command(
    output: Output, context: str, namespace: str | None, at_most: int, config_file: Path
) -> None:
    """Write the pools of another cluster into devstack.toml; what it has stays.

    Nodes of the same size, labels and taints become one pool. The quotas and limit ranges of the
    tasks' namespace and the priority classes go into a file beside it, which `up` applies. What
    you may not read there is left out, with a warning. The other cluster is only read.
    """
    from devstack.lifecycle.import_pools import connect, import_pools
    from devstack.process import SubprocessRunner
    from devstack.waits import SystemClock

    client, default = connect(context, SubprocessRunner(), SystemClock(), output.progress())
    done = import_pools(client, namespace or default, config_file, at_most)
    output.data(file=str(done.file), pools=done.pools, nodes=done.nodes, policies=done.policies)
    output.data(manifests=str(done.manifests) if done.manifests else "")
    for note in done.notes:
        output.warn(note)
    pools = ", ".join(done.pools) or "none that is new"
    output.text(f"Pools in {done.file}: {pools} ({done.nodes} nodes)")
    if done.manifests:
        output.text(f"Policies in {done.manifests}: {', '.join(done.policies)}")
    output.text("Next: devstack up")
    output.finish()
