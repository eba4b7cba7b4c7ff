#!/usr/bin/env bash
# The replay of a bad day: builds Bulkhead and the harness, gets what it needs, runs it. `make incident` calls
# this. With --bulkhead FILE that program is tried, and none is built.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../docker/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

help_if_asked incident "$@"
docker/mysql/get.sh --flavour mysql >/dev/null
[[ " $* " == *" --bulkhead"* ]] || build_bulkhead target/incident
build_harness
# Clients, their connections through Bulkhead and through the fault proxies need descriptors.
ulimit -n "$(ulimit -Hn)"
exec "$target/compare/release/incident" "$@"
