#!/usr/bin/env bash
# Prints the SQL that creates the accounts of a demo or test server: one statement per line, as MariaDB's
# init file wants it. Passwords come from the environment; there are none by default.
set -euo pipefail

usage() {
    cat <<'EOF'
usage: docker/mysql/accounts.sh [mysql|mariadb]

Prints the SQL that makes these accounts, unlogged, so that primary and replica can both run it:
  bulkhead_app    what Bulkhead's pools use: every privilege on tables, PROCESS; no administration
  bulkhead_admin  Bulkhead's control plane: everything
  bulkhead_repl   replication
  root            from 127.0.0.1 and by socket

environment (letters, digits and - . _ only): BULKHEAD_APP_PASSWORD BULKHEAD_ADMIN_PASSWORD
  BULKHEAD_REPL_PASSWORD BULKHEAD_ROOT_PASSWORD
EOF
}

flavour=${1:-mysql}
case $flavour in
    mysql | mariadb) ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
esac

# password_of ROLE: the role's password; refuses what would need quoting in SQL, TOML or a shell.
password_of() {
    local name=BULKHEAD_$1_PASSWORD
    local value=${!name:-}
    [[ $value =~ ^[A-Za-z0-9._-]+$ ]] ||
        { echo "error: $name must be set, to letters, digits and - . _ only" >&2 && exit 2; }
    printf '%s' "$value"
}
app=$(password_of APP)
admin=$(password_of ADMIN)
repl=$(password_of REPL)
root=$(password_of ROOT)

tables="SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES,
 LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER,
 SHOW DATABASES, PROCESS, RELOAD"
if [[ $flavour == mysql ]]; then
    tables="$tables, REPLICATION CLIENT"
else
    tables="$tables, BINLOG MONITOR, SLAVE MONITOR"
fi
cat <<EOF
SET sql_log_bin = 0;
CREATE USER bulkhead_app@'%' IDENTIFIED BY '$app';
GRANT ${tables//$'\n'/} ON *.* TO bulkhead_app@'%';
CREATE USER bulkhead_admin@'%' IDENTIFIED BY '$admin';
GRANT ALL ON *.* TO bulkhead_admin@'%' WITH GRANT OPTION;
CREATE USER bulkhead_repl@'%' IDENTIFIED BY '$repl';
GRANT REPLICATION SLAVE ON *.* TO bulkhead_repl@'%';
CREATE USER IF NOT EXISTS root@'127.0.0.1';
GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
ALTER USER root@'127.0.0.1' IDENTIFIED BY '$root';
ALTER USER root@localhost IDENTIFIED BY '$root';
SET sql_log_bin = 1;
EOF
