#!/usr/bin/env bash
# Runs the Rails application's specs against a plain server and through Bulkhead.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stand.sh
source "$HERE/stand.sh"

usage() {
    cat <<'EOF'
usage: tests/rails/run.sh [--layout unsharded|use|comment|all] [--only plain|proxy] [-- minitest options…]
       tests/rails/run.sh --direct URL [--layout …]      a plain server of yours: mysql2://user:password@host:port
       tests/rails/run.sh --proxy URL [--layout …]       a Bulkhead of yours, with the keyspaces app_test (unsharded),
                                                         workspaces (database_per_workspace, 1 to 50) and
                                                         offices (the same, 1 to 6, databases office_1 and on, with
                                                         app/db/offices.sql as its template)

Without a URL it starts a plain server, two shard clusters and Bulkhead itself, and runs the same specs on both.
Layouts: unsharded (one database), use (a database per workspace, chosen by USE), comment (the same, chosen by
/*workspace_id:42*/ in each statement). The specs do not know what they talk to; only the environment differs.

The last line is `N passed, N failed, N skipped`; the exit code is 1 if one failed.
environment: BULKHEAD_ADMIN_URL (of a Bulkhead of yours, with the clusters c1 and c2), BULKHEAD_BIN (the program to test), PROFILE=release, BULKHEAD_STAND_PORT (first port, default 17010),
KEEP_STAND=1 (keep logs), SPEC_LOG (Rails' log file).
EOF
}

direct="" proxy="" layout=all only=both spec_options=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --direct) need_value "$1" $# && direct=$2 && shift 2 ;;
        --proxy) need_value "$1" $# && proxy=$2 && shift 2 ;;
        --layout) need_value "$1" $# && layout=$2 && shift 2 ;;
        --only) need_value "$1" $# && only=$2 && shift 2 ;;
        --) shift && spec_options=("$@") && break ;;
        -h | --help) usage && exit 0 ;;
        *) die "unknown option $1 (see --help)" ;;
    esac
done
case $layout in
    all) layouts=(unsharded use comment) ;;
    unsharded | use | comment) layouts=("$layout") ;;
    *) die "--layout is unsharded, use, comment or all" ;;
esac
[[ $only =~ ^(both|plain|proxy)$ ]] || die "--only is plain or proxy"

passed=0 failed=0 skipped=0

# run_specs TARGET LAYOUT URL: one run of all specs; TARGET is plain or proxy.
run_specs() {
    local target=$1 database=app_test output counts runs failures errors skips
    [[ $2 == unsharded ]] || database=workspaces
    output=$(mktemp "$STAND_DIR/specs.XXXXXX")
    (
        cd "$HERE/app"
        export DATABASE_URL=$3/$database WORKSPACE_LAYOUT=$2 WORKSPACE_PLAIN=0 RAILS_ENV=test OFFICES
        [[ $target == proxy ]] || export WORKSPACE_PLAIN=1
        [[ -z ${SPEC_LOG:-} ]] || export TRACKER_LOG=$SPEC_LOG
        timeout 900 ruby -W0 -Itest test/all.rb "${spec_options[@]}"
    ) >"$output" 2>&1 || true
    counts=$(grep -E '^[0-9]+ runs, ' "$output" | tail -n 1 || true)
    read -r runs failures errors skips < <(sed -E 's/^([0-9]+) runs, [0-9]+ assertions, ([0-9]+) failures, ([0-9]+) errors, ([0-9]+) skips.*/\1 \2 \3 \4/' <<<"${counts:-0 runs, 0 assertions, 0 failures, 1 errors, 0 skips}")
    [[ $((failures + errors)) -eq 0 ]] || cat "$output"
    [[ -n $counts ]] || say "the specs did not come to their end"
    # Without a summary there was one error and no run.
    [[ $runs -gt 0 ]] || runs=$errors
    passed=$((passed + runs - failures - errors - skips))
    failed=$((failed + failures + errors))
    skipped=$((skipped + skips))
    echo "rails $target $2: $((runs - failures - errors - skips)) passed, $((failures + errors)) failed, $skips skipped"
}

# make_plain_databases URL: on a server that is not ours.
make_plain_databases() {
    ruby -W0 -r uri -r mysql2 - "$1" "$WORKSPACES" <<'EOF'
url = URI(ARGV[0])
client = Mysql2::Client.new(host: url.host, port: url.port, username: url.user, password: url.password)
names = %w[app_test workspaces offices] + (1..Integer(ARGV[1])).map { |id| "ws_#{id}" }
names.each { |name| client.query("CREATE DATABASE IF NOT EXISTS `#{name}`") }
EOF
}

"$HERE/setup.sh"
open_stand
if [[ -n $direct || -n $proxy ]]; then
    [[ -z $direct ]] || make_plain_databases "$direct"
    for chosen in "${layouts[@]}"; do
        [[ -z $direct ]] || run_specs plain "$chosen" "$direct"
        [[ -z $proxy ]] || run_specs proxy "$chosen" "$proxy"
    done
else
    account=mysql2://$STAND_USER:$STAND_PASSWORD@127.0.0.1
    if [[ $only != proxy ]]; then
        start_plain app_test workspaces offices
        RESTART_COMMAND=$(restart_command plain)
        export RESTART_COMMAND
        for chosen in "${layouts[@]}"; do run_specs plain "$chosen" "$account:$PLAIN_PORT"; done
    fi
    if [[ $only != plain ]]; then
        start_proxied app_test
        RESTART_COMMAND=$(restart_command c1 c2)
        BULKHEAD_ADMIN_URL=mysql2://operator:$STAND_PASSWORD@127.0.0.1:$((PORT_BASE + 6))
        export RESTART_COMMAND BULKHEAD_ADMIN_URL
        for chosen in "${layouts[@]}"; do run_specs proxy "$chosen" "$account:$PROXY_PORT"; done
    fi
fi
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 ]]
