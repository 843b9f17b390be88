"""What Metaflow adds to code packages of this extension: nothing.

A pod has no devstack to run, so Metaflow finds no module of this name there and continues.
"""

exclude_suffixes = [".py"]
