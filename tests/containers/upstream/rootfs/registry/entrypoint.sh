#!/bin/sh
# `docker run registry` serves with the configuration file that is its argument. It also runs the
# program's subcommands, and the other programs of the image.
set -eu
case "${1##*.}" in
  yml | yaml) exec registry serve "$@" ;;
esac
if [ -x "/bin/$1" ]; then
  exec "$@"
fi
exec registry "$@"
