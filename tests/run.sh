#!/usr/bin/env bash
# Runs every test: Rust with and without servers, drivers, Rails. Ends with one line per suite and a total.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../docker/lib.sh"
cd "$ROOT"

usage() {
    cat <<'EOF'
usage: tests/run.sh [SUITE…]

Without a name, everything:
  unit          cargo test --lib --bins --doc: needs no server
  NAME          tests/NAME.rs; files called server_* start their own MySQL and MariaDB servers on
                loopback
  drivers       tests/drivers/run.sh: clients in other languages
  rails         tests/rails/run.sh: a Rails application

What is missing is installed: servers into .cache (docker/mysql/get.sh), client packages by
tests/drivers/setup.sh and tests/rails/setup.sh. Output of each suite: .cache/test/SUITE.log
A Rust test that needs servers is in tests/server_*.rs and marked #[ignore = "needs servers: make test"],
so that plain `cargo test` stays quick and says what it left out.
EOF
}
case ${1:-} in -h | --help) usage && exit 0 ;; esac

logs=$CACHE/test
mkdir -p "$logs"
summary=() broken=()
passed_total=0 failed_total=0 skipped_total=0

# count WORD FILE: the sum of all "N WORD" in cargo's result lines; of another suite, what its last total
# says.
count() {
    local lines
    lines=$(grep -E '^test result:' "$2" ||
        grep -E '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' "$2" | tail -n 1 || true)
    { grep -oE "[0-9]+ $1" <<<"$lines" || true; } | awk '{ sum += $1 } END { print sum + 0 }'
}

# suite NAME COMMAND…: runs it, shows its output, remembers its counts. A failure does not stop the others.
suite() {
    local name=$1 start=$SECONDS status=0 log=$logs/$1.log passed failed skipped
    shift
    step "$name"
    "$@" 2>&1 </dev/null | tee "$log" || status=$?
    passed=$(count passed "$log") failed=$(count failed "$log")
    skipped=$(($(count skipped "$log") + $(count ignored "$log")))
    # A suite that broke before it could count is one failure.
    if [[ $status -ne 0 && $failed -eq 0 ]]; then failed=1; fi
    if [[ $failed -gt 0 ]]; then broken+=("$name"); fi
    passed_total=$((passed_total + passed))
    failed_total=$((failed_total + failed))
    skipped_total=$((skipped_total + skipped))
    summary+=("$(printf '%-28s %5d passed %4d failed %4d skipped %5d s' "$name" "$passed" "$failed" \
        "$skipped" "$((SECONDS - start))")")
}

# reasons FILE: what a suite's failures said, in short: of each panic the first lines, of others the last.
reasons() {
    local panics
    panics=$(grep -A 12 -E "^thread '.*' .*panicked at" "$1" | sed '/^stack backtrace:/,/^--$/d' || true)
    if [[ -n $panics ]]; then head -n 60 <<<"$panics"; else tail -n 15 "$1"; fi | cut -c 1-400
}

# skipped_suite NAME REASON
skipped_suite() {
    skipped_total=$((skipped_total + 1))
    summary+=("$(printf '%-28s not run: %s' "$1" "$2")")
}

wanted=" $* "
is_wanted() { [[ $wanted == "  " || $wanted == *" $1 "* ]]; }

# external NAME: a suite in another language: its setup, then its run, if they are there.
external() {
    local folder=tests/$1
    is_wanted "$1" && [[ -x $folder/run.sh ]] || return 0
    if [[ -x $folder/setup.sh ]] && ! "$folder/setup.sh" >"$logs/$1-setup.log" 2>&1 </dev/null; then
        tail -n 20 "$logs/$1-setup.log" >&2
        if [[ ${CI:-} == true ]]; then
            suite "$1" false
        else
            skipped_suite "$1" "$folder/setup.sh failed, see $logs/$1-setup.log"
        fi
        return 0
    fi
    suite "$1" "$folder/run.sh"
}

# Days of everyday traffic that tests/simulation.rs plays; plain `cargo test` plays one, `make simulate` 30.
export BULKHEAD_SIMULATION_DAYS=${BULKHEAD_SIMULATION_DAYS:-3}

step "building the tests"
cargo test --locked --no-run --quiet || die "the tests do not compile"

is_wanted unit && suite unit cargo test --locked --lib --bins
is_wanted unit && suite doc cargo test --locked --doc
servers_ready=no
for file in tests/*.rs; do
    name=$(basename "$file" .rs)
    is_wanted "$name" || continue
    if [[ $name != server_* ]]; then
        suite "$name" cargo test --locked --test "$name"
        continue
    fi
    if [[ $servers_ready == no ]]; then
        docker/mysql/get.sh --flavour mysql
        docker/mysql/get.sh --flavour mariadb
        servers_ready=yes
    fi
    suite "$name" cargo test --locked --test "$name" -- --include-ignored
done
external drivers
external rails

printf '\n==== summary\n'
printf '%s\n' "${summary[@]}"
for name in "${broken[@]}"; do
    printf '\n==== %s, all of it in %s\n' "$name" "$logs/$name.log"
    reasons "$logs/$name.log"
done
printf '%d passed, %d failed, %d skipped\n' "$passed_total" "$failed_total" "$skipped_total"
[[ $failed_total -eq 0 ]]
