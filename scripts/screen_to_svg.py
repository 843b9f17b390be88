"""Turn a terminal screen with ANSI colours into an SVG.

Usage: screen_to_svg.py SCREEN COLUMNS, where SCREEN is what ``tmux capture-pane -e`` printed.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

# What is typed to mark the end of a command and to name the stack is not part of the session.
HIDDEN = re.compile(r"; tmux -L \S+ set-environment DONE \d+| --name picture")


def main(screen: Path, columns: int) -> str:
    """Return the SVG of a screen ``columns`` characters wide."""
    console = Console(width=columns, record=True, file=io.StringIO(), force_terminal=True)
    lines = screen.read_text().rstrip().splitlines()
    text = "\n".join(HIDDEN.sub("", line) for line in lines).removesuffix("$").rstrip()
    console.print(Text.from_ansi(text))
    svg = console.export_svg(title="devstack")
    # Viewers have a monospaced font; the picture must not fetch one.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1]), int(sys.argv[2])) + "\n")
