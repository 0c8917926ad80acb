#!/bin/sh
# `npm run soak -- NAME [ARGUMENTS]`: runs one long test by hand, on the pinned Node, as root. Figures go to standard output as JSON.
set -eu
root=$(CDPATH='' cd -P -- "${0%/*}/../.." && pwd)
cd "$root"
name=${1-}
if [ -z "$name" ] || [ ! -f "test/soak/$name.ts" ]; then
  echo "usage: npm run soak -- NAME; there are" >&2
  for file in test/soak/*.ts; do
    file=${file##*/}
    echo "  ${file%.ts}" >&2
  done
  exit 2
fi
shift
if [ "$(id -u)" != 0 ]; then
  echo "a soak makes network namespaces and needs root" >&2
  exit 1
fi
case :$PATH: in
  *:/usr/sbin:*) ;;
  *) export PATH="$PATH:/usr/sbin:/sbin" ;;
esac
. "$root/bin/bootstrap.sh"
culvert_packages all
culvert_tools 'npm run soak' etcd:etcd-server
exec "$culvert_node" --disable-warning=ExperimentalWarning "test/soak/$name.ts" "$@"
