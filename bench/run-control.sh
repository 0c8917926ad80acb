#!/bin/sh
# `npm run bench:control`: sets a fresh clone up, then runs the bench of the control plane on the pinned Node. Needs no root.
set -eu
root=$(CDPATH='' cd -P -- "${0%/*}/.." && pwd)
cd "$root"
. "$root/bin/bootstrap.sh"
culvert_packages all
exec "$culvert_node" --disable-warning=ExperimentalWarning "$root/bench/control/main.ts" "$@"
