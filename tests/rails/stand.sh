# shellcheck shell=bash
# A test stand for the Rails and driver suites: a plain server, two shard clusters, and Bulkhead in front of them.
# Sourced by their run.sh, which has set `set -euo pipefail`. Everything lives in one temporary folder and is
# stopped when the script ends.
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../docker/lib.sh"

CLUSTER=$ROOT/docker/mysql/cluster.sh
WORKSPACES=50
# Workspaces of the keyspace `offices`, all of which are changed at once.
OFFICES=${OFFICES:-6}
# The account the suites log in with, on the plain server and at Bulkhead alike.
STAND_USER=app
STAND_PASSWORD=stand-secret
PORT_BASE=${BULKHEAD_STAND_PORT:-17010}
PLAIN_PORT=$PORT_BASE
PROXY_PORT=$((PORT_BASE + 5))
STAND_DIR=""
STAND_FLAVOUR=${STAND_FLAVOUR:-mysql}
bulkhead_pid=""
stand_clusters=()

open_stand() {
    STAND_DIR=$(mktemp -d "${TMPDIR:-/tmp}/bulkhead-stand.XXXXXX")
    trap close_stand EXIT
    trap 'exit 130' INT TERM
}

# close_stand: stops and removes what this script started, and keeps its exit code.
close_stand() {
    local code=$? name
    [[ -n $STAND_DIR ]] || return "$code"
    stop_bulkhead
    for name in "${stand_clusters[@]}"; do
        "$CLUSTER" destroy --name "$name" --dir "$STAND_DIR" >/dev/null 2>&1 || true
    done
    if [[ -n ${KEEP_STAND:-} ]]; then say "kept: $STAND_DIR"; else rm -rf "$STAND_DIR"; fi
    return "$code"
}

# start_cluster NAME PORT
start_cluster() {
    stand_clusters+=("$1")
    BULKHEAD_APP_PASSWORD=shard-app BULKHEAD_ADMIN_PASSWORD=shard-admin "$CLUSTER" start --name "$1" \
        --dir "$STAND_DIR" --primary-port "$2" --no-replica --flavour "$STAND_FLAVOUR" >/dev/null
}

# root_sql CLUSTER: runs SQL from standard input as root.
root_sql() { "$CLUSTER" sql --name "$1" --dir "$STAND_DIR"; }

# start_plain DATABASE…: a plain server with these databases, and those of the workspaces.
start_plain() {
    local name
    step "starting a plain $STAND_FLAVOUR server on port $PLAIN_PORT"
    start_cluster plain "$PLAIN_PORT"
    {
        echo "CREATE USER $STAND_USER@'%' IDENTIFIED BY '$STAND_PASSWORD';"
        echo "GRANT ALL ON *.* TO $STAND_USER@'%';"
        for name in "$@"; do echo "CREATE DATABASE $name;"; done
        for name in $(seq "$WORKSPACES"); do echo "CREATE DATABASE ws_$name;"; done
    } | root_sql plain
}

# start_proxied KEYSPACE…: two clusters, and Bulkhead with these unsharded keyspaces on the first and the keyspaces
# `workspaces` and `offices` spread over both.
start_proxied() {
    local bulkhead
    bulkhead=$(bulkhead_binary)
    step "starting two shard clusters and Bulkhead on port $PROXY_PORT"
    start_cluster c1 $((PORT_BASE + 1))
    start_cluster c2 $((PORT_BASE + 2))
    for name in "$@"; do echo "CREATE DATABASE $name;"; done | root_sql c1
    write_bulkhead_config "$@"
    export STAND_PASSWORD SHARD_PASSWORD=shard-app SHARD_ADMIN_PASSWORD=shard-admin
    make_workspaces "$bulkhead" workspaces ws "$WORKSPACES"
    make_workspaces "$bulkhead" offices office "$OFFICES"
    start_bulkhead "$bulkhead"
}

# bulkhead_binary: BULKHEAD_BIN, else what cargo builds (PROFILE=release for an optimised one).
bulkhead_binary() {
    [[ -z ${BULKHEAD_BIN:-} ]] || { echo "$BULKHEAD_BIN" && return; }
    local options=() profile=debug target
    [[ ${PROFILE:-} != release ]] || { options=(--release) && profile=release; }
    step "building bulkhead ($profile)"
    (cd "$ROOT" && cargo build --quiet --bin bulkhead "${options[@]}") || die "bulkhead does not build"
    target=$(cd "$ROOT" && cargo metadata --no-deps --format-version 1 | sed -E 's/.*"target_directory":"([^"]*)".*/\1/')
    echo "$target/$profile/bulkhead"
}

write_bulkhead_config() {
    local name version
    version=$(echo "SELECT VERSION()" | root_sql c1 | tail -n 1)
    mkdir -p "$STAND_DIR/vschema"
    {
        cat <<EOF
[listen]
address = "127.0.0.1:$PROXY_PORT"
socket = "$STAND_DIR/bulkhead.sock"
server_version = "$version"
[admin]
address = "127.0.0.1:$((PORT_BASE + 6))"
http = "127.0.0.1:$((PORT_BASE + 7))"
[store]
path = "$STAND_DIR/bulkhead.redb"
[users.$STAND_USER]
password_env = "STAND_PASSWORD"
keyspaces = ["*"]
[users.native]
password_env = "STAND_PASSWORD"
plugin = "mysql_native_password"
keyspaces = ["*"]
[users.operator]
password_env = "STAND_PASSWORD"
keyspaces = ["*"]
admin = true
# What has no CPU in the middle of other tests looks sick; a migration would then meet a closed lane.
[ladder]
contain = "off"
[timeouts]
ddl_lane = "1s"
[clusters.c1]
primary = "127.0.0.1:$((PORT_BASE + 1))"
user = "bulkhead_app"
password_env = "SHARD_PASSWORD"
[clusters.c1.admin]
user = "bulkhead_admin"
password_env = "SHARD_ADMIN_PASSWORD"
[clusters.c2]
primary = "127.0.0.1:$((PORT_BASE + 2))"
user = "bulkhead_app"
password_env = "SHARD_PASSWORD"
[clusters.c2.admin]
user = "bulkhead_admin"
password_env = "SHARD_ADMIN_PASSWORD"
[schema_changes.fleet]
soak = "0s"
statements_per_second = 200
[keyspaces.workspaces]
shards = { "ws-a" = "c1", "ws-b" = "c2" }
[keyspaces.offices]
shards = { "office-a" = "c1", "office-b" = "c2" }
EOF
        for name in "$@"; do printf '[keyspaces.%s]\nshards = { "-" = "c1" }\n' "$name"; done
    } >"$STAND_DIR/bulkhead.toml"
    for name in "$@"; do echo 'layout = "unsharded"' >"$STAND_DIR/vschema/$name.toml"; done
    printf '%s\n' 'layout = "database_per_workspace"' 'database = "ws_{workspace_id}"' \
        >"$STAND_DIR/vschema/workspaces.toml"
    printf '%s\n' 'layout = "database_per_workspace"' 'database = "office_{workspace_id}"' 'template = "offices.sql"' \
        >"$STAND_DIR/vschema/offices.toml"
    cp "$(dirname "${BASH_SOURCE[0]}")/app/db/offices.sql" "$STAND_DIR/vschema/"
}

# start_bulkhead BINARY: waits until it listens.
start_bulkhead() {
    local tries=0
    "$1" serve --config "$STAND_DIR/bulkhead.toml" >"$STAND_DIR/bulkhead.log" 2>&1 &
    bulkhead_pid=$!
    until port_in_use "$PROXY_PORT"; do
        tries=$((tries + 1))
        kill -0 "$bulkhead_pid" 2>/dev/null || die "bulkhead ended: $(tail -n 20 "$STAND_DIR/bulkhead.log")"
        [[ $tries -lt 600 ]] || die "bulkhead does not listen after 60 s; $(tail -n 20 "$STAND_DIR/bulkhead.log")"
        sleep 0.1
    done
}

stop_bulkhead() {
    [[ -n $bulkhead_pid ]] || return 0
    kill "$bulkhead_pid" 2>/dev/null || true
    wait "$bulkhead_pid" 2>/dev/null || true
    bulkhead_pid=""
}

# make_workspaces BINARY KEYSPACE PREFIX COUNT: every other workspace on the second cluster: its database, and its
# entry in the directory.
make_workspaces() {
    local id name
    for name in 1 2; do
        for id in $(seq "$name" 2 "$4"); do echo "CREATE DATABASE $3_$id;"; done | root_sql "c$name"
    done
    {
        echo "workspace,shard"
        for id in $(seq "$4"); do
            if [[ $((id % 2)) -eq 1 ]]; then echo "$id,$3-a"; else echo "$id,$3-b"; fi
        done
    } | "$1" workspace import --config "$STAND_DIR/bulkhead.toml" "$2" >"$STAND_DIR/import.log" 2>&1 ||
        die "the workspaces were not imported: $(cat "$STAND_DIR/import.log")"
}

# restart_command CLUSTER…: a command that restarts these servers and returns when they answer.
restart_command() {
    local name
    for name in "$@"; do
        printf '%q stop --name %s --dir %q && %q start --name %s --dir %q >/dev/null && ' \
            "$CLUSTER" "$name" "$STAND_DIR" "$CLUSTER" "$name" "$STAND_DIR"
    done
    echo true
}
