#!/usr/bin/env bash
# Compiles the modules that task pods import; runs as root while the task image is built.
#
#   bytecode.sh CODE [ARCHIVE]    CODE: a folder with Metaflow in it
#                                 ARCHIVE: where to write the bytecode
#
# Metaflow is unpacked in each pod, and a task starts Python some seven times. A bytecode
# cache outside the source folders exists before the sources do. A source file that differs
# from the one compiled here (another Metaflow, or another package in a derived image) has
# another hash and is compiled as usual.
set -euo pipefail
code=$1 archive=${2:-}
cache=var/cache/python
unpacked=/home/task/metaflow/.mf_code
environment=/home/task/metaflow/.venv

# For this Python, and for virtual environments made with it, such as those of uv, which have
# its standard library. A Python of conda has a cache of its own.
site=$(python3 -c 'import site; print(site.getsitepackages()[0])')
standard=$(python3 -c 'import os; print(os.path.dirname(os.__file__))')
pth=$site/bytecode-cache.pth customize=$standard/sitecustomize.py
echo "import sys; sys.pycache_prefix = '/$cache'" >"$pth"
rm -f "$customize"
echo "import sys; sys.pycache_prefix = '/$cache'" >"$customize"

mkdir -p "$unpacked"
cp -r "$code/." "$unpacked"
# With --environment=uv, each pod installs these packages again, mostly in the same version.
installed=$environment/lib/$(basename "$standard")/site-packages
mkdir -p "$installed"
cp -r "$site/." "$installed"
rm -rf "$installed/pip" "$installed/bin"
# Some files are for other versions of Python and are never imported.
compile() { python3 -m compileall -q -j 0 --invalidation-mode "$@" >/dev/null || true; }
compile unchecked-hash "$standard"
compile checked-hash "$site" "$unpacked" "$installed"
rm -rf "${unpacked%/*}"

# The pod may run as any user, and may replace stale bytecode.
chmod -R a+rwX "/$cache"
if [ -n "$archive" ]; then
  tar --create --directory=/ --owner=0 --group=0 --mtime=@0 --sort=name \
    --file="$archive" "${pth#/}" "${customize#/}" "$cache"
fi
