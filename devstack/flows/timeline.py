"""An SVG timeline of when pods waited and ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from devstack.flows.pods import TaskPod

WIDTH, LEFT, TOP, ROW = 760, 190, 58, 18
COLOURS = ("#2f6fb0", "#c2571a", "#3b8a4c", "#7a4fa3")
WAITING = "#c9ccd1"

_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" \
viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="12" y="20" font-size="14" font-weight="bold">{title}</text>
<text x="12" y="38" fill="#555555">grey: the pod exists and has no node; colour: it has one</text>
"""


def draw(title: str, groups: Mapping[str, Sequence[TaskPod]]) -> str:
    """Return the SVG: a row for each pod, a colour for each group.

    Args:
        title: the heading.
        groups: ended pods, by the name of their group.
    """
    pods = [pod for group in groups.values() for pod in group]
    began = min(pod.created for pod in pods)
    scale = (WIDTH - LEFT - 20) / max(1.0, max(pod.ended or began for pod in pods) - began)

    def x_of(moment: float | None) -> float:
        return LEFT + ((moment or began) - began) * scale

    height = TOP + ROW * (len(pods) + len(groups)) + 34
    lines = [_HEAD.format(width=WIDTH, height=height, title=escape(title))]
    lines += _axis((WIDTH - LEFT - 20) / scale, scale, height)
    top = TOP
    for colour, (name, group) in zip(COLOURS, groups.items(), strict=False):
        lines.append(f'<text x="12" y="{top + 12}" font-weight="bold">{escape(name)}</text>')
        top += ROW
        for pod in sorted(group, key=lambda pod: pod.name):
            lines.append(_label(pod.name, top))
            lines.append(_bar(x_of(pod.created), x_of(pod.bound), top, WAITING))
            lines.append(_bar(x_of(pod.bound), x_of(pod.ended), top, colour))
            top += ROW
    return "\n".join([*lines, "</svg>", ""])


def _axis(seconds: float, scale: float, height: int) -> list[str]:
    step = next(each for each in (1, 2, 5, 10, 20, 60, 120, 600) if seconds / each <= 12)
    lines = []
    for tick in range(0, int(seconds) + 1, step):
        x = LEFT + tick * scale
        lines.append(
            f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - 24}" stroke="#eeeeee"/>'
        )
        lines.append(f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle">{tick} s</text>')
    return lines


def _label(name: str, top: int) -> str:
    return f'<text x="24" y="{top + 12}" fill="#333333">{escape(name)}</text>'


def _bar(left: float, right: float, top: int, colour: str) -> str:
    width = max(1.5, right - left)
    return (
        f'<rect x="{left:.1f}" y="{top + 3}" width="{width:.1f}" height="{ROW - 6}" rx="2"'
        f' fill="{colour}"/>'
    )
