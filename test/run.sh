#!/bin/sh
# `npm test`: sets a fresh clone up (npm packages with those for development, Debian packages), then runs the rings on the pinned
# Node. Arguments name rings: `npm test -- unit direct`. All rings without.
set -eu
root=$(CDPATH='' cd -P -- "${0%/*}/.." && pwd)
cd "$root"
case :$PATH: in
  *:/usr/sbin:*) ;;
  *) export PATH="$PATH:/usr/sbin:/sbin" ;;
esac
. "$root/bin/bootstrap.sh"
culvert_packages all
case " ${*:-netns} " in
  # Without root the rings that need it, and the tests of a store on etcd where etcd is missing, fail and say so.
  *" direct "* | *" netns "* | *" e2e "*) if [ "$(id -u)" = 0 ]; then culvert_tools 'npm test' etcd:etcd-server; fi ;;
esac
exec "$culvert_node" "$root/test/run.ts" "$@"
