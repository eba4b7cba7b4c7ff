#!/usr/bin/env bash
# Makes the demo's tables and sample data: schema on the clusters, rows through Bulkhead.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'EOF'
usage: docker/demo/load.sh schema | rows

  schema   the databases app and shop, with their tables, on the clusters that hold them
  rows     sample rows of all three keyspaces, by Bulkhead, as the user app

environment:
  MYSQL                   the mysql client (default: mysql)
  C1 C2 C3                host:port of the clusters' primaries
  BULKHEAD                host:port of Bulkhead
  DEMO_CLUSTER_PASSWORD   of root on the clusters
  DEMO_APP_PASSWORD       of app on Bulkhead
EOF
}

WORKSPACES=300
SHOPS=60

# client ADDRESS USER PASSWORD [ARGUMENT…]: the mysql shell; the password stays out of the process list.
client() {
    local address=$1 user=$2 password=$3
    shift 3
    MYSQL_PWD=$password "${MYSQL:-mysql}" --protocol=TCP -h "${address%:*}" -P "${address##*:}" -u "$user" \
        --default-character-set=utf8mb4 "$@"
}
cluster() { client "$1" root "$DEMO_CLUSTER_PASSWORD" "${@:2}"; }
application() { client "$BULKHEAD" app "$DEMO_APP_PASSWORD"; }

load_schema() {
    local address
    cluster "$C1" -e "CREATE DATABASE app"
    cluster "$C1" app <"$HERE/app.sql"
    for address in "$C1" "$C2" "$C3"; do
        cluster "$address" -e "CREATE DATABASE shop"
        cluster "$address" shop <"$HERE/shop.sql"
    done
}

# print_app_rows, print_shop_rows, print_workspace_rows: SQL as an application would send it.
print_app_rows() {
    local id
    echo "USE app;"
    echo "INSERT INTO plans VALUES (1, 'Free', 0.00), (2, 'Team', 19.90), (3, 'Company', 99.00);"
    for ((id = 1; id <= WORKSPACES; id++)); do
        echo "INSERT INTO accounts (workspace_id, name, plan_id)"
        echo "VALUES ($id, 'Company $id', $((id % 3 + 1)));"
    done
}

print_shop_rows() {
    local id order countries=(DE FR IE JP US)
    echo "USE shop;"
    for ((id = 1; id <= SHOPS; id++)); do
        echo "BEGIN;"
        echo "INSERT INTO customers (workspace_id, id, name, country) VALUES"
        echo "  ($id, 1, 'Ada $id', '${countries[id % 5]}'),"
        echo "  ($id, 2, 'Grace $id', '${countries[(id + 1) % 5]}');"
        for ((order = 1; order <= 5; order++)); do
            echo "INSERT INTO orders (workspace_id, id, customer_id, state, total) VALUES"
            echo "  ($id, $order, $((order % 2 + 1)), 'paid', $((order * 10)).50);"
            echo "INSERT INTO line_items (workspace_id, id, order_id, product, quantity) VALUES"
            echo "  ($id, $((order * 10)), $order, 'Tea', $order),"
            echo "  ($id, $((order * 10 + 1)), $order, 'Cup', 1);"
        done
        echo "COMMIT;"
    done
}

print_workspace_rows() {
    local id
    for ((id = 1; id <= WORKSPACES; id++)); do
        cat <<EOF
USE ws_$id;
BEGIN;
INSERT INTO users (id, email, name) VALUES
  (1, 'ada@ws$id.example', 'Ada'), (2, 'grace@ws$id.example', 'Grace');
INSERT INTO issues (id, title, state, author_id, labels) VALUES
  (1, 'Welcome to workspace $id', 'open', 1, '["start"]'), (2, 'Invite the team', 'open', 2, NULL),
  (3, 'Read the guide', 'closed', 1, '["docs", "done"]');
INSERT INTO comments (issue_id, author_id, body) VALUES (1, 2, 'Hello from workspace $id'), (3, 1, 'Done.');
COMMIT;
EOF
    done
}

load_rows() {
    print_app_rows | application
    print_shop_rows | application
    print_workspace_rows | application
}

case ${1:-} in
    schema) load_schema ;;
    rows) load_rows ;;
    -h | --help) usage ;;
    *) usage >&2 && exit 2 ;;
esac
