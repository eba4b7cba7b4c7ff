#!/usr/bin/env bash
# Changes of tables: builds Bulkhead and the harness, gets what it needs, runs it. `make bench-ddl` calls it.
# With --bulkhead FILE that program is measured, and none is built.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../docker/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

help_if_asked ddl "$@"
# Only a choice of tools can do without it.
if [[ " $* " != *" --tools"* || $* == *pt-osc* ]]; then
    install_missing pt-online-schema-change=percona-toolkit
fi
docker/mysql/get.sh --flavour mysql >/dev/null
[[ " $* " == *" --bulkhead"* ]] || build_bulkhead target/bench-ddl
build_harness
exec "$target/compare/release/ddl" "$@"
