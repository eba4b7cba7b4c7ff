#!/usr/bin/env bash
# Makes sure the programs the Rails suite needs are there.
set -euo pipefail

usage() {
    cat <<'EOF'
usage: tests/rails/setup.sh

Installs Debian's ruby, ActiveRecord, ActionPack, Railties and mysql2 with apt-get when run as root and something
is missing; says what to install otherwise. Does nothing when all is there.
EOF
}
[[ $# -eq 0 ]] || { usage && [[ $1 == --help || $1 == -h ]] && exit 0 || exit 2; }

packages=(ruby ruby-minitest ruby-mysql2 ruby-activerecord ruby-actionpack ruby-railties)
libraries="minitest mysql2 active_record action_controller rails"

# have_libraries: ruby runs and can load all of them.
have_libraries() {
    local options=() name
    for name in $libraries; do options+=(-r "$name"); done
    ruby -W0 -r logger "${options[@]}" -e 0 >/dev/null 2>&1
}

! have_libraries || exit 0
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "error: install these packages (Debian names): ${packages[*]}" >&2
    exit 1
fi
echo "== installing ${packages[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends "${packages[@]}" >/dev/null 2>&1 || {
    apt-get update -qq
    apt-get install -y --no-install-recommends "${packages[@]}" >/dev/null
}
have_libraries || { echo "error: installed, but Ruby cannot load: $libraries" >&2 && exit 1; }
