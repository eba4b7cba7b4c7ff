#!/usr/bin/env bash
# Runs the same checks with each driver against a plain server and through Bulkhead, and compares what they saw.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../rails/stand.sh
source "$HERE/../rails/stand.sh"

usage() {
    cat <<'EOF'
usage: tests/drivers/run.sh [driver…]
       tests/drivers/run.sh --direct HOST:PORT [--proxy HOST:PORT] [driver…]

Drivers: pymysql mysqlclient node go ruby java shell (default: all). Each program prints rows, types, column flags,
affected rows, warnings and errors; a check passes when plain server and Bulkhead gave the same lines.

Without addresses it starts a plain server, two shard clusters and Bulkhead itself. With --direct alone nothing is
compared: the checks only have to end. Both need a database (keyspace, unsharded) named drivers, and the account of
DRIVER_USER and DRIVER_PASSWORD (default app).

The last line is `N passed, N failed, N skipped`; the exit code is 1 if one failed.
environment: BULKHEAD_BIN (the program to test), PROFILE=release, BULKHEAD_STAND_PORT (first port, default 17010),
STAND_FLAVOUR=mariadb, KEEP_STAND=1 (keep what was recorded).
EOF
}

direct="" proxy="" drivers=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --direct) need_value "$1" $# && direct=$2 && shift 2 ;;
        --proxy) need_value "$1" $# && proxy=$2 && shift 2 ;;
        -h | --help) usage && exit 0 ;;
        -*) die "unknown option $1 (see --help)" ;;
        *) drivers+=("$1") && shift ;;
    esac
done
[[ ${#drivers[@]} -gt 0 ]] || drivers=(pymysql mysqlclient node go ruby java shell)
[[ -z $proxy || -n $direct ]] || die "--proxy needs --direct to compare with"

prefix=""
programs=$CACHE/drivers

# program DRIVER: runs its checks; where to connect is in the environment.
program() {
    case $1 in
        pymysql | mysqlclient) "$programs/python/bin/python" "$HERE/python/check.py" --driver "$1" ;;
        node) NODE_PATH=$programs/node/node_modules node "$HERE/node/check.js" ;;
        go) "$programs/go-check" ;;
        ruby) ruby -W0 "$HERE/ruby/check.rb" ;;
        java) java -Xmx1g -cp "/usr/share/java/mariadb-java-client.jar:$programs/java" Check ;;
        shell) "$HERE/shell/check.sh" ;;
    esac
}

# record DRIVER TARGET HOST:PORT: fresh tables, then the driver's checks into $STAND_DIR/TARGET-DRIVER.
record() {
    local output=$STAND_DIR/$2-$1
    (
        export DRIVER_HOST=${3%:*} DRIVER_PORT=${3##*:} DRIVER_DATABASE=drivers MYSQL=$prefix/bin/mysql TZ=UTC LC_ALL=C.UTF-8
        export DRIVER_USER=${DRIVER_USER:-$STAND_USER} DRIVER_PASSWORD=${DRIVER_PASSWORD:-$STAND_PASSWORD}
        [[ $2 == plain ]] || export DRIVER_NATIVE_USER=${DRIVER_NATIVE_USER:-native}
        MYSQL_PWD=$DRIVER_PASSWORD "$MYSQL" --no-defaults -h "$DRIVER_HOST" -P "$DRIVER_PORT" -u "$DRIVER_USER" \
            --default-character-set=utf8mb4 drivers <"$HERE/fixture.sql" >"$output" 2>&1 ||
            { sed -i 's/^/FAILED to load fixture.sql: /' "$output" && exit; }
        export -f program
        export HERE programs
        timeout --kill-after=5 90 bash -c "program $1" >"$output" 2>"$output.err" || {
            status=$?
            echo "## ends well" >>"$output"
            echo "FAILED: exit code $status: $(tail -n 3 "$output.err" | tr '\n' ' ')" >>"$output"
        }
    )
}

"$HERE/setup.sh" "${drivers[@]}"
prefix=$("$ROOT/docker/mysql/get.sh" --flavour mysql)
open_stand
if [[ -z $direct ]]; then
    start_plain drivers
    start_proxied drivers
    if [[ $STAND_FLAVOUR == mysql ]]; then
        for name in plain c1 c2; do echo "INSTALL COMPONENT 'file://component_query_attributes'" | root_sql "$name"; done
    fi
    direct=127.0.0.1:$PLAIN_PORT
    proxy=127.0.0.1:$PROXY_PORT
fi

passed=0 failed=0 skipped=0
for driver in "${drivers[@]}"; do
    record "$driver" plain "$direct"
    files=("$STAND_DIR/plain-$driver")
    if [[ -n $proxy ]]; then
        record "$driver" proxy "$proxy"
        files+=("$STAND_DIR/proxy-$driver")
    fi
    report=$(python3 "$HERE/compare.py" "$driver" "${files[@]}")
    counts=$(tail -n 1 <<<"$report")
    head -n -1 <<<"$report"
    read -r p _ f _ s _ <<<"$counts"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    echo "drivers $driver: $p passed, $f failed, $s skipped"
done
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 ]]
