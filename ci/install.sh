#!/usr/bin/env bash
# Installs Debian or Ubuntu packages through apt-get where that is allowed; elsewhere it fails. Says what it installs, on stderr.
#   ci/install.sh <package>...
set -euo pipefail

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
command -v apt-get >/dev/null || exit 1
[ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null || exit 1
echo "lanes: installing $*" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"${as_root[@]}" apt-get update -qq >"$log" 2>&1 \
  && "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1 && exit 0
tail -n 5 "$log" >&2
exit 1
