#!/usr/bin/env bash
# The demo behind `make demo`: three MySQL clusters, three keyspaces with sample data, and Bulkhead.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
    cat <<'EOF'
usage: docker/demo.sh start|stop|status|clean
       docker/demo.sh mysql [mysql arguments…]    the mysql shell, connected to Bulkhead as app
       docker/demo.sh admin [mysql arguments…]    the mysql shell on the admin endpoint
       docker/demo.sh explain [arguments…] SQL    bulkhead explain, on the demo's configuration

  start    builds Bulkhead, gets MySQL, starts everything, says how to connect; reuses what is there
  stop     stops everything, keeps the data
  clean    stops everything, removes the data

environment:
  DEMO_PORT DEMO_ADMIN_PORT DEMO_HTTP_PORT    Bulkhead's ports (3307 3308 3309)
  DEMO_C1_PORT DEMO_C2_PORT DEMO_C3_PORT      the primaries' ports (13301 13311 13321); replicas: one more
  BULKHEAD_CACHE                              where servers and data are kept (.cache)
  DEMO_DIR                                    the data and logs of the demo (.cache/demo)
  BULKHEAD_BIN                                a built bulkhead, instead of `cargo build --release`
EOF
}

PORT=${DEMO_PORT:-3307} ADMIN_PORT=${DEMO_ADMIN_PORT:-3308} HTTP_PORT=${DEMO_HTTP_PORT:-3309}
declare -A CLUSTER_PORT=([c1]=${DEMO_C1_PORT:-13301} [c2]=${DEMO_C2_PORT:-13311} [c3]=${DEMO_C3_PORT:-13321})
CLUSTERS=(c1 c2 c3)
CLUSTER=$ROOT/docker/mysql/cluster.sh
DEMO=${DEMO_DIR:-$CACHE/demo}
SETTINGS=$DEMO/settings
LOG=$DEMO/bulkhead.log

# ---- Bulkhead ----

bulkhead_pid() { cat "$DEMO/bulkhead.pid" 2>/dev/null || true; }
is_bulkhead_up() { is_running "$(bulkhead_pid)" "$DEMO/bulkhead.toml"; }

# is_healthy: /healthz says 200.
is_healthy() {
    local line=""
    { exec 3<>"/dev/tcp/127.0.0.1/$HTTP_PORT"; } 2>/dev/null || return 1
    printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3
    read -r -t 5 line <&3 || true
    exec 3>&-
    [[ $line == *" 200 "* ]]
}

build() {
    if [[ -n ${BULKHEAD_BIN:-} ]]; then return; fi
    step "building Bulkhead (the first time takes some minutes)"
    (cd "$ROOT" && cargo build --release --locked) >&2
    BULKHEAD_BIN=${CARGO_TARGET_DIR:-$ROOT/target}/release/bulkhead
}

# load_settings: passwords of this demo, made up at its first start.
load_settings() {
    if [[ ! -f $SETTINGS ]]; then
        mkdir -p "$DEMO"
        (umask 077 && printf 'DEMO_APP_PASSWORD=%s\nDEMO_CLUSTER_PASSWORD=%s\n' "$(random_password)" \
            "$(random_password)" >"$SETTINGS")
    fi
    # shellcheck disable=SC1090
    source "$SETTINGS"
    export DEMO_APP_PASSWORD DEMO_CLUSTER_PASSWORD
    export C1=127.0.0.1:${CLUSTER_PORT[c1]} C2=127.0.0.1:${CLUSTER_PORT[c2]} C3=127.0.0.1:${CLUSTER_PORT[c3]}
    export BULKHEAD=127.0.0.1:$PORT
    MYSQL=$(command -v mysql || echo "$CACHE/server/mysql/bin/mysql")
    export MYSQL
}

# write_config: the demo's configuration with the ports in use; the vschema stays where it can be edited.
write_config() {
    sed -e "s|^vschema_dir = .*|vschema_dir = \"$ROOT/docker/demo/vschema\"|" \
        -e "s|127.0.0.1:3307|127.0.0.1:$PORT|; s|127.0.0.1:3308|127.0.0.1:$ADMIN_PORT|" \
        -e "s|127.0.0.1:3309|127.0.0.1:$HTTP_PORT|" \
        -e "s|:13301|:${CLUSTER_PORT[c1]}|; s|:13302|:$((CLUSTER_PORT[c1] + 1))|" \
        -e "s|:13311|:${CLUSTER_PORT[c2]}|; s|:13312|:$((CLUSTER_PORT[c2] + 1))|" \
        -e "s|:13321|:${CLUSTER_PORT[c3]}|; s|:13322|:$((CLUSTER_PORT[c3] + 1))|" \
        "$ROOT/docker/demo/bulkhead.toml" >"$DEMO/bulkhead.toml"
}

start_bulkhead() {
    local port pid tries=0
    is_bulkhead_up && return
    for port in "$PORT" "$ADMIN_PORT" "$HTTP_PORT"; do
        ! port_in_use "$port" || die "port $port is in use (DEMO_PORT, DEMO_ADMIN_PORT, DEMO_HTTP_PORT)"
    done
    write_config
    "$BULKHEAD_BIN" check --config "$DEMO/bulkhead.toml" >&2
    step "starting Bulkhead, log in $LOG"
    setsid "$BULKHEAD_BIN" serve --config "$DEMO/bulkhead.toml" >>"$LOG" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$DEMO/bulkhead.pid"
    until is_healthy; do
        tries=$((tries + 1))
        # Not by its command line: until it has called exec, it still has this script's.
        kill -0 "$pid" 2>/dev/null || die "Bulkhead ended: $(tail -n 5 "$LOG")"
        [[ $tries -lt 150 ]] || die "Bulkhead is not ready after 30 s; its log ends: $(tail -n 5 "$LOG")"
        sleep 0.2
    done
}

stop_bulkhead() {
    local tries=0
    is_bulkhead_up || return 0
    step "stopping Bulkhead"
    kill -TERM "$(bulkhead_pid)"
    while is_bulkhead_up; do
        tries=$((tries + 1))
        [[ $tries -lt 200 ]] || { say "it does not stop: killing it" && kill -KILL "$(bulkhead_pid)"; }
        sleep 0.2
    done
    rm -f "$DEMO/bulkhead.pid"
}

# ---- clusters ----

# each_cluster ACTION [ARGUMENT…]: all three at once; fails if one does.
each_cluster() {
    local name failed=0 jobs=()
    for name in "${CLUSTERS[@]}"; do
        "$CLUSTER" "$1" --name "$name" --dir "$DEMO/clusters" "${@:2}" >"$DEMO/$name.out" &
        jobs+=($!)
    done
    for name in "${jobs[@]}"; do wait "$name" || failed=1; done
    for name in "${CLUSTERS[@]}"; do cat "$DEMO/$name.out" && rm -f "$DEMO/$name.out"; done
    return "$failed"
}

start_clusters() {
    local name jobs=()
    step "starting three clusters, each a primary and a replica"
    "$ROOT/docker/mysql/get.sh" --flavour mysql >/dev/null
    for name in "${CLUSTERS[@]}"; do
        BULKHEAD_APP_PASSWORD=$DEMO_CLUSTER_PASSWORD BULKHEAD_ADMIN_PASSWORD=$DEMO_CLUSTER_PASSWORD \
            BULKHEAD_ROOT_PASSWORD=$DEMO_CLUSTER_PASSWORD \
            "$CLUSTER" start --name "$name" --dir "$DEMO/clusters" --primary-port "${CLUSTER_PORT[$name]}" \
            --replica-port "$((CLUSTER_PORT[$name] + 1))" >&2 &
        jobs+=($!)
    done
    for name in "${jobs[@]}"; do wait "$name"; done
}

# ---- the whole ----

load_data() {
    step "creating tables and 300 workspaces (databases spread over the clusters)"
    "$ROOT/docker/demo/load.sh" schema
    write_config
    "$BULKHEAD_BIN" workspace create --config "$DEMO/bulkhead.toml" --provision workspaces 1..300 \
        >"$DEMO/created"
    start_bulkhead
    step "writing sample rows through Bulkhead"
    "$ROOT/docker/demo/load.sh" rows
    touch "$DEMO/loaded"
}

start() {
    build
    if [[ -d $DEMO/clusters && ! -f $DEMO/loaded ]]; then
        say "an earlier start was interrupted before its data was complete: starting over"
        clean
    fi
    load_settings
    start_clusters
    if [[ ! -f $DEMO/loaded ]]; then load_data; fi
    start_bulkhead
    greet
}

greet() {
    local shell="mysql"
    command -v mysql >/dev/null || shell=$MYSQL
    cat <<EOF

Bulkhead is ready. Connect as to any MySQL server:

  $shell -h 127.0.0.1 -P $PORT -u app -p$DEMO_APP_PASSWORD          (or: docker/demo.sh mysql)

Three statements worth trying:

  USE ws_42; SELECT id, title, state FROM issues;
      a workspace's own database, on whichever cluster holds it
  USE shop; SELECT state, SUM(total) FROM orders WHERE workspace_id = 7 GROUP BY state;
      a shared table: the hash of the workspace picks the cluster
  DELETE FROM orders WHERE id = 3;
      refused: it names no workspace, and would hit everybody's

What Bulkhead would do with a statement, and why:

  docker/demo.sh admin -e "EXPLAIN ROUTE FOR shop SELECT * FROM orders WHERE workspace_id = 7"

Metrics: http://127.0.0.1:$HTTP_PORT/metrics    Log: $LOG    Configuration: $DEMO/bulkhead.toml
Stop with: make demo-stop    Remove all data with: make demo-clean
EOF
}

stop() {
    stop_bulkhead
    [[ -d $DEMO/clusters ]] || { say "the demo was never started" && return; }
    step "stopping the clusters"
    each_cluster stop
}

status() {
    local failed=0
    [[ -d $DEMO/clusters ]] || die "the demo was never started: make demo"
    each_cluster status || failed=1
    if ! is_bulkhead_up; then
        echo "bulkhead      down" && failed=1
    elif is_healthy; then
        echo "bulkhead      127.0.0.1:$PORT  running, healthy (admin $ADMIN_PORT, http $HTTP_PORT)"
    else
        echo "bulkhead      127.0.0.1:$PORT  running, not healthy: see $LOG" && failed=1
    fi
    return "$failed"
}

clean() {
    stop_bulkhead
    [[ ! -d $DEMO/clusters ]] || each_cluster destroy
    rm -rf "$DEMO"
}

# shell USER PORT [ARGUMENT…]
shell() {
    load_settings
    MYSQL_PWD=$DEMO_APP_PASSWORD exec "$MYSQL" --protocol=TCP -h 127.0.0.1 -P "$2" -u "$1" "${@:3}"
}

# explain [ARGUMENT…] SQL: where a statement would go; the configuration names passwords of the environment.
explain() {
    load_settings
    local bulkhead=${BULKHEAD_BIN:-${CARGO_TARGET_DIR:-$ROOT/target}/release/bulkhead}
    exec "$bulkhead" explain --config "$DEMO/bulkhead.toml" "$@"
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    status) status ;;
    clean) clean ;;
    mysql) shell app "$PORT" "${@:2}" ;;
    admin) shell operator "$ADMIN_PORT" "${@:2}" ;;
    explain) explain "${@:2}" ;;
    -h | --help) usage ;;
    *) usage >&2 && exit 2 ;;
esac
