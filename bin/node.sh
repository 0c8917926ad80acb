#!/bin/sh
# The pinned Node, for the scripts of package.json: `sh bin/node.sh docs/generate.ts`.
set -eu
root=$(CDPATH='' cd -P -- "${0%/*}/.." && pwd)
. "$root/bin/bootstrap.sh"
culvert_packages all
exec "$culvert_node" "$@"
