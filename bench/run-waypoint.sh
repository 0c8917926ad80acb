#!/bin/sh
# `npm run bench:waypoint`: sets a fresh clone up (npm packages, Debian packages of the peers), then runs the bench on the pinned Node.
set -eu
root=$(CDPATH='' cd -P -- "${0%/*}/.." && pwd)
case :$PATH: in
  *:/usr/sbin:*) ;;
  *) export PATH="$PATH:/usr/sbin:/sbin" ;;
esac
cd "$root"
. "$root/bin/bootstrap.sh"
culvert_packages all
if ! culvert_asks_for_help "$@"; then
  [ "$(id -u)" = 0 ] || culvert_cannot 'npm run bench makes network namespaces and needs root'
  culvert_tools 'npm run bench:waypoint' haproxy:haproxy nginx:nginx wrk:wrk h2load:nghttp2-client
fi
exec "$culvert_node" --disable-warning=ExperimentalWarning "$root/bench/waypoint/main.ts" "$@"
