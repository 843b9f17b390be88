"""Run one sample's check: ``python -m devstack.samples.checks SAMPLE FLOW/RUN < pods.json``.

Standard input has the pods that were observed during the run.  The results go to
standard output, as a JSON list.
"""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict


def main() -> None:
    """Check the run that the arguments name."""
    from metaflow import Run, namespace

    sample, pathspec = sys.argv[1:]
    pods = json.load(sys.stdin)
    # Runs are filed under the user that started them; the stack has only one.
    namespace(None)
    check = importlib.import_module(f"devstack.samples.checks.{sample}").check
    results = check(Run(pathspec), pods)
    json.dump([asdict(result) for result in results], sys.stdout)


if __name__ == "__main__":
    main()
