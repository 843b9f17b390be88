#!/usr/bin/env bash
# Compiles ahead what task pods import; runs as root in the task image being made.
#
#   bytecode.sh CODE [ARCHIVE]    CODE: a folder with Metaflow in it
#                                 ARCHIVE: gets what was made, for another layer
#
# Metaflow unpacks itself anew in each pod, and a task starts Python some seven
# times. A bytecode cache apart from the sources is there before they are. A file
# that is not the one compiled here, because Metaflow is another or an image made
# from this one has other packages, is seen by its hash.
set -euo pipefail
code=$1 archive=${2:-}
cache=var/cache/python
unpacked=/home/task/metaflow/.mf_code

# For this Python alone: those of conda and of virtual environments have caches of their own.
site=$(python3 -c 'import site; print(site.getsitepackages()[0])')
pth=$site/bytecode-cache.pth
echo "import sys; sys.pycache_prefix = '/$cache'" >"$pth"

mkdir -p "$unpacked"
cp -r "$code/." "$unpacked"
standard=$(python3 -c 'import os; print(os.path.dirname(os.__file__))')
# Some files are for other versions of Python, which nobody imports.
compile() { python3 -m compileall -q -j 0 --invalidation-mode "$@" >/dev/null || true; }
compile unchecked-hash "$standard"
compile checked-hash "$site" "$unpacked"
rm -rf "${unpacked%/*}"

# Whoever the pod runs as may replace what it finds.
chmod -R a+rwX "/$cache"
if [ -n "$archive" ]; then
  tar --create --directory=/ --owner=0 --group=0 --mtime=@0 --sort=name \
    --file="$archive" "${pth#/}" "$cache"
fi
