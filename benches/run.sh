#!/usr/bin/env bash
# The benchmark: builds Bulkhead and the harness, gets what it needs, runs it. `make bench` calls this.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../docker/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

# build ARGUMENT…: what the scenarios that are asked for need.
build() {
    build_bulkhead target/bench
    # Its lookups are a bar of the scenario `directory`.
    if [[ " $* " != *" --scenario"* || $* == *directory* ]]; then
        cargo bench --locked --no-run --bench directory
    fi
    build_harness
}

help_if_asked compare "$@"
install_missing haproxy sysbench
# One scenario needs it, and says so.
[[ $(id -u) -ne 0 ]] || install_missing valgrind
docker/mysql/get.sh --flavour mysql >/dev/null
build "$@"
# 10,000 clients need descriptors, here and in what is started.
ulimit -n "$(ulimit -Hn)"
exec "$target/compare/release/compare" "$@"
