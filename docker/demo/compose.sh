#!/usr/bin/env bash
# The jobs of docker/compose.yaml: sets the clusters up, starts Bulkhead on their addresses, loads the data.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'EOF'
usage: docker/demo/compose.sh init | serve | load    (inside the containers of docker/compose.yaml)

  init    accounts and replication on c1..c3, then the schema
  serve   writes the configuration with the containers' addresses, makes the workspaces, runs Bulkhead
  load    sample rows
EOF
}

# root HOST [ARGUMENT…]: the mysql shell as root.
root() { MYSQL_PWD=$DEMO_CLUSTER_PASSWORD mysql --protocol=TCP -h "$1" -u root "${@:2}"; }

# is_there HOST SQL: the query finds something.
is_there() { [[ -n $(root "$1" --skip-column-names -e "$2") ]]; }

# set_up_server HOST: the accounts, unlogged; what the image itself logged while initialising is forgotten.
set_up_server() {
    is_there "$1" "SELECT 1 FROM mysql.user WHERE user = 'bulkhead_app'" && return
    BULKHEAD_APP_PASSWORD=$DEMO_CLUSTER_PASSWORD BULKHEAD_ADMIN_PASSWORD=$DEMO_CLUSTER_PASSWORD \
        BULKHEAD_REPL_PASSWORD=$DEMO_CLUSTER_PASSWORD BULKHEAD_ROOT_PASSWORD=$DEMO_CLUSTER_PASSWORD \
        "$HERE/../mysql/accounts.sh" mysql | root "$1"
    root "$1" -e "RESET BINARY LOGS AND GTIDS"
}

# follow REPLICA PRIMARY: replication by GTID; read only from then on, restarts included.
follow() {
    is_there "$1" "SELECT 1 FROM performance_schema.replication_connection_configuration" && return
    root "$1" -e "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '$2', SOURCE_USER = 'bulkhead_repl',
        SOURCE_PASSWORD = '$DEMO_CLUSTER_PASSWORD', SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 1;
        START REPLICA; SET PERSIST super_read_only = ON"
}

init() {
    local cluster
    for cluster in c1 c2 c3; do
        echo "setting up $cluster"
        set_up_server "$cluster-primary"
        set_up_server "$cluster-replica"
        follow "$cluster-replica" "$cluster-primary"
    done
    is_there c3-primary "SELECT 1 FROM information_schema.tables WHERE table_schema = 'shop'" ||
        "$HERE/load.sh" schema
}

serve() {
    local config=/var/lib/bulkhead/bulkhead.toml
    sed -e "s|^vschema_dir = .*|vschema_dir = \"$HERE/vschema\"|" -e "s|127.0.0.1:330|0.0.0.0:330|" \
        -e "s|127.0.0.1:13301|c1-primary:3306|; s|127.0.0.1:13302|c1-replica:3306|" \
        -e "s|127.0.0.1:13311|c2-primary:3306|; s|127.0.0.1:13312|c2-replica:3306|" \
        -e "s|127.0.0.1:13321|c3-primary:3306|; s|127.0.0.1:13322|c3-replica:3306|" \
        "$HERE/bulkhead.toml" >"$config"
    # The first time: the workspaces and their databases.
    [[ -f /var/lib/bulkhead/bulkhead.redb ]] ||
        bulkhead workspace create --config "$config" --provision workspaces 1..300
    exec bulkhead serve --config "$config"
}

load() {
    if is_there c1-primary "SELECT 1 FROM app.accounts LIMIT 1"; then
        echo "the data is there already"
        return
    fi
    "$HERE/load.sh" rows
    echo "the demo is ready: mysql -h 127.0.0.1 -P 3307 -u app -p"
}

case ${1:-} in
    init) init ;;
    serve) serve ;;
    load) load ;;
    -h | --help) usage ;;
    *) usage >&2 && exit 2 ;;
esac
