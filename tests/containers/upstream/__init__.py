"""Stand-ins for the published images that devstack pulls, built from packages.

Each has what devstack and its manifests rely on in the published one: names, paths, users, entry
points, variables. What differs is in `docs/adr/0021-pull-tests.md`.
"""
