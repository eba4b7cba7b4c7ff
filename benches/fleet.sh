#!/usr/bin/env bash
# One schema change over thousands of databases: builds Bulkhead and the harness, gets what it needs, runs it.
# `make bench-fleet` calls this. With --bulkhead FILE that program is measured, and none is built.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../docker/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

help_if_asked fleet "$@"
# Only a choice of cases can do without it.
if [[ " $* " != *" --case"* || $* == *pt_osc* ]]; then
    install_missing pt-online-schema-change=percona-toolkit
fi
docker/mysql/get.sh --flavour mysql >/dev/null
[[ " $* " == *" --bulkhead"* ]] || build_bulkhead target/fleet
build_harness
# Thousands of tables, and clients' connections, need descriptors.
ulimit -n "$(ulimit -Hn)"
exec "$target/compare/release/fleet" "$@"
