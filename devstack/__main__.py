"""`python -m devstack` is the `devstack` command."""

from devstack.cli.main import main

main()
