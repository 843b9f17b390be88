"""Images of this machine that a flow needs on the nodes."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devstack.cli.output import Output
    from devstack.flows.environment import FlowEnvironment
    from devstack.flows.source import FlowSource
    from devstack.stack import Stack


def ensure_flow_images(
    output: Output, stack: Stack, source: FlowSource, arguments: Sequence[str]
) -> set[str]:
    """Put the images that a flow names on the nodes, if this machine has them.

    Args:
        output: displays what is added.
        stack: a stack that is up.
        source: the flow.
        arguments: what the user typed after ``--``.

    Returns:
        What may be names of images in the flow, in the familiar form.
    """
    from devstack.flows.named_images import find_image_names
    from devstack.lifecycle.added_images import ensure_current_images, latest_names

    names = find_image_names(source, arguments, os.environ, latest_names(stack))
    stack.progress = output.progress()
    added = ensure_current_images(stack, names)
    if added:
        output.data(images_added=[image.reference for image in added])
    return names


def with_pull_policy(stack: Stack, env: FlowEnvironment, names: Collection[str]) -> FlowEnvironment:
    """Return the environment for a flow, in which added images of the tag `latest` are used.

    By default, Kubernetes pulls `latest` for each pod, and no registry has the image. Metaflow
    compiles no DAG with this setting, so it is only for runs.

    Args:
        stack: the stack.
        env: the environment so far.
        names: the images that the flow names; others of the tag `latest` stay current.
    """
    from devstack.lifecycle.added_images import latest_names

    if set(names).isdisjoint(latest_names(stack)):
        return env
    policy = {"METAFLOW_KUBERNETES_IMAGE_PULL_POLICY": "IfNotPresent"}
    return replace(env, environment={**env.environment, **policy})
