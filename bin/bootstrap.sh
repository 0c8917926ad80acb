# Set-up of a fresh clone, for bin/culvert and test/run.sh, which source it with $root set. Every function does nothing, and
# starts no process, where nothing is missing. It says what it does on stderr and ends with status 2 where it cannot.

culvert_say() {
  printf 'culvert: %s\n' "$*" >&2
}

culvert_cannot() {
  culvert_say "$@"
  exit 2
}

# The pinned Node that npm installed for this machine, as $culvert_node; fails where there is none.
culvert_find_node() {
  for culvert_node in "$root"/node_modules/node-linux-*/bin/node; do
    [ -x "$culvert_node" ] && return 0
  done
  return 1
}

# culvert_packages production|all: makes sure that the npm packages of package-lock.json are installed, with or without those
# for development, and sets $culvert_node. The stamp holds the hash of the lock and what was installed.
culvert_packages() {
  culvert_stamp=$root/node_modules/.culvert-ready
  if ! culvert_is_ready "$1"; then
    culvert_check_system
    # One at a time: two commands that start together must not install into the same folder.
    if command -v flock >/dev/null 2>&1; then
      exec 9<"$root/package-lock.json"
      flock 9
    fi
    culvert_is_ready "$1" || culvert_install "$1"
    exec 9<&-
  fi
  culvert_find_node || culvert_cannot "the pinned Node is missing below $root/node_modules: remove that folder and try again"
}

# Ready without looking closer: the stamp is newer than the lock and says enough.
culvert_is_ready() {
  [ "$culvert_stamp" -nt "$root/package-lock.json" ] || return 1
  read -r _ culvert_kind <"$culvert_stamp" || return 1
  [ "$culvert_kind" = all ] || [ "$culvert_kind" = "$1" ]
}

culvert_check_system() {
  case $(uname -s)/$(uname -m) in
    Linux/x86_64 | Linux/aarch64) ;;
    *) culvert_cannot "this is $(uname -s) on $(uname -m); Culvert runs on Linux on x86_64 or aarch64" ;;
  esac
}

# Under the lock. Adopts what is there where it fits package-lock.json (a clone that was touched, or `npm ci` by hand).
culvert_install() {
  culvert_hash=$(sha256sum "$root/package-lock.json")
  culvert_hash=${culvert_hash%% *}
  culvert_old_hash= culvert_old_kind=
  if [ -f "$culvert_stamp" ]; then read -r culvert_old_hash culvert_old_kind <"$culvert_stamp" || :; fi
  culvert_found=no
  if [ "$culvert_hash" = "$culvert_old_hash" ]; then
    culvert_found=$culvert_old_kind
  elif culvert_any_node; then
    culvert_found=$("$culvert_any" "$root/bin/installed.mjs" "$root") || culvert_found=no
  fi
  case $1/$culvert_found in
    */all | production/production) culvert_write_stamp "$culvert_found" ;;
    # A clone that has had the packages for development keeps them.
    *) if [ "$1" = all ] || [ "$culvert_old_kind" = all ]; then culvert_npm all; else culvert_npm production; fi ;;
  esac
}

culvert_any_node() {
  if culvert_find_node; then culvert_any=$culvert_node; else culvert_any=$(command -v node); fi
}

culvert_npm() {
  command -v npm >/dev/null 2>&1 ||
    culvert_cannot "npm is missing: install Node 20 or newer with npm, it is needed once to install the packages"
  [ -w "$root" ] || culvert_cannot "cannot write to $root: run once as the owner of this folder"
  culvert_omit=
  if [ "$1" = production ]; then culvert_omit=--omit=dev; fi
  culvert_say "installing the npm packages of package-lock.json, the pinned Node among them (once) ..."
  rm -f "$culvert_stamp"
  # npm must not find the settings of an npm that started us, nor run scripts of packages.
  (cd "$root" && unset npm_config_omit npm_config_include && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error \
    --include=optional ${culvert_omit:---include=dev} 9<&-) >&2 ||
    culvert_cannot "npm ci failed, see above: is the npm registry reachable from here?"
  culvert_find_node || culvert_cannot "npm installed no pinned Node for $(uname -m)"
  "$culvert_node" --version >/dev/null ||
    culvert_cannot "the pinned Node does not run here: it needs the GNU C library (glibc 2.28 or newer)"
  culvert_write_stamp "$1"
}

culvert_write_stamp() {
  # A read-only clone that fits is fine without a stamp.
  { printf '%s %s\n' "$culvert_hash" "$1" >"$culvert_stamp.$$" && mv "$culvert_stamp.$$" "$culvert_stamp"; } 2>/dev/null || :
}

culvert_asks_for_help() {
  for culvert_argument; do
    case $culvert_argument in
      -h | --help | help) return 0 ;;
      --) return 1 ;;
    esac
  done
  return 1
}

culvert_root() {
  [ "$(id -u)" = 0 ] || culvert_cannot "$1 makes network namespaces and needs root: try sudo $0${1#culvert}"
}

# culvert_tools WHO [COMMAND:PACKAGE|FILE:PACKAGE...]: makes sure that the system commands are there which redirection and the
# lab call, and those that WHO needs besides.
culvert_tools() {
  culvert_who=$1
  shift
  culvert_missing= culvert_debs=
  for culvert_pair in ip:iproute2 ss:iproute2 iptables-restore:iptables ip6tables-restore:iptables sysctl:procps \
    nsenter:util-linux mount:mount "$@"; do
    command -v "${culvert_pair%:*}" >/dev/null 2>&1 && continue
    case $culvert_pair in /*) [ -e "${culvert_pair%:*}" ] && continue ;; esac
    culvert_missing="$culvert_missing ${culvert_pair%:*}"
    case " $culvert_debs " in
      *" ${culvert_pair#*:} "*) ;;
      *) culvert_debs="$culvert_debs ${culvert_pair#*:}" ;;
    esac
  done
  [ -n "$culvert_missing" ] || return 0
  command -v apt-get >/dev/null 2>&1 ||
    culvert_cannot "$culvert_who needs$culvert_missing: install them with the package manager of this system (on Debian:$culvert_debs)"
  [ "$(id -u)" = 0 ] ||
    culvert_cannot "$culvert_who needs$culvert_missing: run as root, or first: apt-get install --no-install-recommends$culvert_debs"
  culvert_say "installing the Debian packages$culvert_debs, for$culvert_missing (once) ..."
  # Unquoted on purpose: one word per package.
  apt-get -qq -o DPkg::Lock::Timeout=120 update >&2 </dev/null || culvert_say "apt-get update failed; trying with what it knows"
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends $culvert_debs >&2 </dev/null || culvert_cannot "apt-get failed, see above: is the Debian mirror reachable from here?"
}

# culvert_build: sets $culvert_main, what the pinned Node is to start: the sources as plain JavaScript (cli/build.ts), made anew
# where one of them changed; where that cannot be, the sources themselves.
culvert_build() {
  culvert_main=$root/cli/main.ts
  culvert_built=
  if [ -f "$root/dist/current" ] && ! culvert_changed; then read -r culvert_built <"$root/dist/current" || :; fi
  if [ -z "$culvert_built" ] || [ ! -d "$root/dist/$culvert_built" ]; then
    culvert_built=$("$culvert_node" --disable-warning=ExperimentalWarning "$root/cli/build.ts" 2>/dev/null) || culvert_built=
  fi
  if [ -f "$root/dist/$culvert_built/cli/main.js" ]; then culvert_main=$root/dist/$culvert_built/cli/main.js; fi
}

# Whether a source changed, came or went since the last build. By the time of change, which no copy or checkout can set back.
culvert_changed() {
  set --
  for culvert_room in agent cli control core daemon lab waypoint package.json; do
    [ ! -e "$root/$culvert_room" ] || set -- "$@" "$root/$culvert_room"
  done
  culvert_newer=$(find "$@" -cnewer "$root/dist/current" -print -quit 2>/dev/null) || return 0
  [ -n "$culvert_newer" ]
}
