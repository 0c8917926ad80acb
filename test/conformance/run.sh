#!/bin/sh
# `npm run conformance [-- NAME…] [-o json]`: the conformance table in a lab, on the pinned Node, as root.
set -eu
root=$(CDPATH='' cd -P -- "${0%/*}/../.." && pwd)
cd "$root"
if [ "$(id -u)" != 0 ]; then
  echo "the conformance run makes network namespaces and needs root" >&2
  exit 1
fi
case :$PATH: in
  *:/usr/sbin:*) ;;
  *) export PATH="$PATH:/usr/sbin:/sbin" ;;
esac
. "$root/bin/bootstrap.sh"
culvert_packages all
culvert_tools 'npm run conformance'
exec "$culvert_node" --disable-warning=ExperimentalWarning test/conformance/main.ts "$@"
