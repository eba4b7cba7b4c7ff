#!/usr/bin/env bash
# Runs one cluster on loopback: a primary and replicas, with GTID and row-based binary log.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
HERE=$ROOT/docker/mysql

usage() {
    cat <<'EOF'
usage: docker/mysql/cluster.sh start --name N --dir DIR --primary-port P (--replica-port R | --no-replica)
                                     [option…]
       docker/mysql/cluster.sh start|stop|kill|status|env|destroy --name N --dir DIR [--role ROLE]
       docker/mysql/cluster.sh sql --name N --dir DIR [--role ROLE] [-- mysql arguments…]

  A ROLE is primary, replica or replica2: as the servers were made, whatever became of them.

  start     makes the cluster in DIR/N, or starts again what is not running; waits until it replicates
  stop      shuts the servers down in good order        kill      as a crash would (SIGKILL)
  status    one line per server; fails if one is down   env       ports and passwords, as shell assignments
  sql       the mysql shell as root                     destroy   stops, and removes DIR/N

options of the first start:
  --flavour mysql|mariadb    default mysql
  --replica2-port P          a second replica
  --no-replica               the primary alone
  --durable                  flush on every commit (default: fast; a crash of the machine loses data)
  --no-performance-schema    saves memory and start-up time
  --owner PID                destroy the cluster when this process has ended, however it ends (for tests)

environment, at the first start: BULKHEAD_APP_PASSWORD, BULKHEAD_ADMIN_PASSWORD, BULKHEAD_REPL_PASSWORD,
BULKHEAD_ROOT_PASSWORD. Those not set are made up; `env` shows them.
EOF
}

[[ $# -gt 0 ]] || { usage >&2 && exit 2; }
action=$1 && shift
name="" dir="" role="" flavour=mysql primary_port="" replica_port="" replica2_port="" owner=""
replica=yes durable=no performance_schema=yes
while [[ $# -gt 0 ]]; do
    case $1 in
        --name) need_value "$1" $# && name=$2 && shift 2 ;;
        --dir) need_value "$1" $# && dir=$2 && shift 2 ;;
        --role) need_value "$1" $# && role=$2 && shift 2 ;;
        --flavour) need_value "$1" $# && flavour=$2 && shift 2 ;;
        --primary-port) need_value "$1" $# && primary_port=$2 && shift 2 ;;
        --replica-port) need_value "$1" $# && replica_port=$2 && shift 2 ;;
        --replica2-port) need_value "$1" $# && replica2_port=$2 && shift 2 ;;
        --owner) need_value "$1" $# && owner=$2 && shift 2 ;;
        --no-replica) replica=no && shift ;;
        --durable) durable=yes && shift ;;
        --no-performance-schema) performance_schema=no && shift ;;
        -h | --help) usage && exit 0 ;;
        --) shift && break ;;
        *) die "unknown option $1 (see --help)" ;;
    esac
done
[[ $action == --help || $action == -h || $action == help ]] && usage && exit 0
[[ $name =~ ^[a-z0-9_]+$ ]] || die "--name must be given: small letters, digits, underscore"
[[ -n $dir ]] || die "--dir must be given: the folder that holds the cluster's folder"
[[ -z $role || $role =~ ^(primary|replica|replica2)$ ]] || die "--role is primary, replica or replica2"
mkdir -p "$dir"
home=$(cd "$dir" && pwd)/$name

# ---- what is remembered of the cluster: $home/settings, shell assignments ----

# is_made: the cluster's first start was completed.
is_made() { [[ -f $home/settings ]]; }

load_settings() {
    is_made || die "there is no cluster $name in $dir"
    # shellcheck disable=SC1091
    source "$home/settings"
}

roles() {
    if [[ -n $role ]]; then
        echo "$role"
    elif [[ $replica == yes && (-n $replica2_port || -f $home/replica2.cnf) ]]; then
        echo primary replica replica2
    elif [[ $replica == yes ]]; then
        echo primary replica
    else
        echo primary
    fi
}

# replicas: those among the roles.
replicas() { roles | tr ' ' '\n' | grep replica || true; }

port_of() { local variable=$1_port && echo "${!variable}"; }

# socket_of ROLE: beside the data, or in the temporary folder where that path is too long for a socket.
socket_of() {
    local path=$home/$1.sock
    [[ ${#path} -le 100 ]] || path=${TMPDIR:-/tmp}/bulkhead-$(cksum <<<"$path" | cut -d' ' -f1).sock
    printf '%s\n' "$path"
}

pid_of() { cat "$home/$1.pid" 2>/dev/null || true; }

is_up() { is_running "$(pid_of "$1")" "$home/$1.cnf"; }

# client ROLE PROGRAM [ARGUMENT…]: a client program as root, by socket. The password stays out of the
# process list.
client() {
    local where=$1 program=$2
    shift 2
    "$prefix/bin/$program" --defaults-extra-file="$home/client-$where.cnf" "$@"
}

# ---- making a cluster ----

# make_template: an initialised data folder per server version, made once and copied for each server.
make_template() {
    local template=$prefix/template share
    [[ ! -d $template ]] || return 0
    exec 8>"$prefix/template.lock"
    flock 8
    [[ ! -d $template ]] || return 0
    step "initialising a $flavour data folder (once)"
    rm -rf "$template.new" && mkdir -p "$template.new"
    local options=(--no-defaults --datadir="$template.new" --skip-log-bin --innodb-flush-log-at-trx-commit=0)
    [[ $(id -u) -ne 0 ]] || options+=(--user=root)
    if [[ $flavour == mysql ]]; then
        "$prefix/bin/mysqld" "${options[@]}" --secure-file-priv=NULL --innodb-redo-log-capacity=64M \
            --initialize-insecure 8>&- >"$prefix/template.log" 2>&1 ||
            die "initialising failed: $(tail -n 3 "$prefix/template.log")"
        # Certificates and keys are made at a first start otherwise, which takes seconds each time.
        rm -f "$template.new/auto.cnf"
    elif [[ -d $prefix/root ]]; then
        share=$(dirname "$(find "$prefix/root/usr/share" -name mysql_system_tables.sql)")
        mkdir "$template.new/mysql"
        {
            printf '%s;\n' "CREATE DATABASE IF NOT EXISTS mysql" "USE mysql" \
                "SET @skip_auth_anonymous = 1, @auth_root_socket = NULL"
            cat "$share"/mysql_{system_tables,performance_tables,system_tables_data,sys_schema}.sql
        } | "$prefix/bin/mysqld" "${options[@]}" --bootstrap --innodb-log-file-size=32M 8>&- \
            >"$prefix/template.log" 2>&1 || die "initialising failed: $(tail -n 3 "$prefix/template.log")"
    else
        mariadb-install-db --no-defaults --datadir="$template.new" --auth-root-authentication-method=normal \
            --skip-test-db 8>&- >"$prefix/template.log" 2>&1 ||
            die "initialising failed: $(tail -n 3 "$prefix/template.log")"
    fi
    mv "$template.new" "$template"
    flock -u 8
}

# include_files ROLE: the configuration files of the role, from general to special.
include_files() {
    printf '%s\n' "$HERE/common.cnf" "$HERE/$flavour.cnf"
    [[ $durable == yes ]] || printf '%s\n' "$HERE/fast.cnf"
    [[ $1 == primary ]] || printf '%s\n' "$HERE/replica-$flavour.cnf"
}

# write_server_config ROLE
write_server_config() {
    local where=$1 file
    {
        echo "# Written by docker/mysql/cluster.sh."
        while read -r file; do echo "!include $file"; done < <(include_files "$where")
        echo "[mysqld]"
        echo "server-id = $(port_of "$where")"
        echo "port = $(port_of "$where")"
        echo "report-host = 127.0.0.1"
        echo "report-port = $(port_of "$where")"
        echo "datadir = $home/$where"
        echo "socket = $(socket_of "$where")"
        echo "pid-file = $home/$where.pid"
        # Temporary tables are named by process id, which servers in two containers may share.
        echo "tmpdir = $home/tmp-$where"
        [[ $performance_schema == yes ]] || echo "performance-schema = OFF"
        [[ $(id -u) -ne 0 ]] || echo "user = root"
    } >"$home/$where.cnf"
    printf '[client]\nuser = root\npassword = %s\nsocket = %s\n' "$root_password" "$(socket_of "$where")" \
        >"$home/client-$where.cnf"
    chmod 600 "$home/client-$where.cnf"
}

# make_files: folders, passwords, data and configuration of a new cluster.
make_files() {
    local where
    app_password=${BULKHEAD_APP_PASSWORD:-$(random_password)}
    admin_password=${BULKHEAD_ADMIN_PASSWORD:-$(random_password)}
    repl_password=${BULKHEAD_REPL_PASSWORD:-$(random_password)}
    root_password=${BULKHEAD_ROOT_PASSWORD:-$(random_password)}
    for where in $(roles); do
        ! port_in_use "$(port_of "$where")" || die "port $(port_of "$where") is in use"
    done
    mkdir -p "$home"
    BULKHEAD_APP_PASSWORD=$app_password BULKHEAD_ADMIN_PASSWORD=$admin_password \
        BULKHEAD_REPL_PASSWORD=$repl_password BULKHEAD_ROOT_PASSWORD=$root_password \
        "$HERE/accounts.sh" "$flavour" >"$home/accounts.sql"
    chmod 600 "$home/accounts.sql"
    for where in $(roles); do
        cp -a --reflink=auto "$prefix/template" "$home/$where"
        write_server_config "$where"
    done
}

save_settings() {
    local variable
    for variable in flavour prefix primary_port replica_port replica2_port replica durable \
        performance_schema app_password admin_password repl_password root_password; do
        printf '%s=%q\n' "$variable" "${!variable}"
    done >"$home/settings.new"
    chmod 600 "$home/settings.new"
    mv "$home/settings.new" "$home/settings"
}

# ---- starting and stopping ----

# start_server ROLE [OPTION…]: in the background, in its own session so that a terminal's Ctrl-C does not
# reach it.
start_server() {
    local where=$1
    shift
    # What a crash leaves behind; nobody uses it, or the server would be up.
    rm -f "$home/$where.pid" "$(socket_of "$where")" "$(socket_of "$where").lock"
    mkdir -p "$home/tmp-$where"
    # A bound on the size of files that a test sets is an error for the server then, as a full disk is, and
    # not its end.
    trap '' XFSZ
    setsid "$prefix/bin/mysqld" --defaults-file="$home/$where.cnf" "$@" \
        >>"$home/$where.log" 2>&1 </dev/null 8>&- 9>&- &
    launched[$where]=$!
}

# wait_for_server ROLE: until it answers; the log's errors if it ends before that.
wait_for_server() {
    local where=$1 tries=0
    until client "$where" mysqladmin ping >/dev/null 2>&1; do
        tries=$((tries + 1))
        kill -0 "${launched[$where]}" 2>/dev/null ||
            die "the $where of $name did not start: $(grep -E 'ERROR|error' "$home/$where.log" | tail -n 3)"
        [[ $tries -lt 600 ]] ||
            die "the $where of $name does not answer after 60 s; its log: $home/$where.log"
        sleep 0.1
    done
}

# start_replication ROLE: makes the replica follow the primary.
start_replication() {
    if [[ $flavour == mysql ]]; then
        client "$1" mysql -e "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1',
            SOURCE_PORT = $primary_port, SOURCE_USER = 'bulkhead_repl', SOURCE_PASSWORD = '$repl_password',
            SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 86400;
            START REPLICA; SET GLOBAL super_read_only = ON"
    else
        client "$1" mysql -e "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = $primary_port,
            MASTER_USER = 'bulkhead_repl', MASTER_PASSWORD = '$repl_password', MASTER_USE_GTID = slave_pos,
            MASTER_CONNECT_RETRY = 1; START SLAVE; SET GLOBAL read_only = ON"
    fi
}

# replication_state ROLE: "ok, lag N s", or what is wrong.
replication_state() {
    local status io sql lag error
    status=$(client "$1" mysql --vertical -e "SHOW REPLICA STATUS" 2>&1) || { echo "no answer" && return; }
    status=${status//Slave_/Replica_}
    io=$(sed -nE 's/^ *Replica_IO_Running: //p' <<<"$status")
    sql=$(sed -nE 's/^ *Replica_SQL_Running: //p' <<<"$status")
    lag=$(sed -nE 's/^ *Seconds_Behind_(Source|Master): //p' <<<"$status")
    error=$(sed -nE 's/^ *Last_(IO|SQL)_Error: (.+)/\2/p' <<<"$status" | head -n 1)
    if [[ $io == Yes && $sql == Yes ]]; then
        echo "ok, lag $lag s"
    else
        echo "not running ($io/$sql) $error"
    fi
}

# wait_for_replication ROLE: until both threads of the replica run.
wait_for_replication() {
    local tries=0
    until [[ $(replication_state "$1") == ok* ]]; do
        tries=$((tries + 1))
        [[ $tries -lt 150 ]] || die "the $1 of $name does not replicate: $(replication_state "$1")"
        sleep 0.2
    done
}

start_new() {
    local where
    [[ -n $primary_port ]] || die "--primary-port must be given at the first start"
    [[ $replica == no || -n $replica_port ]] ||
        die "--replica-port or --no-replica must be given at the first start"
    prefix=$("$HERE/get.sh" --flavour "$flavour")
    make_template
    step "making $flavour cluster $name in $home"
    rm -rf "$home"
    make_files
    for where in $(roles); do
        # A replica takes its accounts from the same file, so it starts writable.
        local options=(--init-file="$home/accounts.sql" --read-only=OFF)
        [[ $flavour == mariadb ]] || options+=(--super-read-only=OFF)
        start_server "$where" "${options[@]}"
    done
    for where in $(roles); do wait_for_server "$where"; done
    rm -f "$home/accounts.sql"
    for where in $(replicas); do start_replication "$where"; done
    save_settings
}

# await_port PORT: a server that was ended a moment ago may still be giving its port back.
await_port() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        port_in_use "$1" || return 0
        sleep 0.1
    done
    die "port $1 is in use by another program"
}

start_again() {
    local where started=()
    load_settings
    "$HERE/get.sh" --flavour "$flavour" >/dev/null
    for where in $(roles); do
        is_up "$where" && continue
        await_port "$(port_of "$where")"
        write_server_config "$where"
        start_server "$where"
        started+=("$where")
    done
    for where in "${started[@]}"; do wait_for_server "$where"; done
}

start() {
    local where
    # Two starts of one cluster at once: the second waits, then finds it running.
    exec 9>"$home.lock"
    flock 9
    if is_made; then start_again; else start_new; fi
    if is_up primary; then
        for where in $(replicas); do wait_for_replication "$where"; done
    fi
    [[ -z $owner ]] || destroy_after "$owner"
    show_status
}

# destroy_after PID: a watcher of its own that removes the cluster once that process is gone.
destroy_after() {
    # shellcheck disable=SC2016  # expanded by the watcher
    setsid bash -c 'while kill -0 "$1" 2>/dev/null; do sleep 0.5; done
        exec "$2" destroy --name "$3" --dir "$4"' watcher "$1" "$HERE/cluster.sh" "$name" "$dir" \
        </dev/null >/dev/null 2>&1 8>&- 9>&- &
}

# end_servers SIGNAL: sends it to the servers, replica first, and waits until they are gone; after 30 s it
# insists.
end_servers() {
    local where pid tries=0
    for where in $(roles | tr ' ' '\n' | sort -r); do
        ! is_up "$where" || kill "-$1" "$(pid_of "$where")"
    done
    for where in $(roles); do
        pid=$(pid_of "$where")
        while is_up "$where"; do
            tries=$((tries + 1))
            sleep 0.1
            [[ $tries -eq 300 ]] || continue
            say "the $where of $name does not stop: killing it"
            kill -KILL "$pid"
        done
    done
}

show_status() {
    local where state failed=0
    for where in $(roles); do
        if is_up "$where"; then state=running; else state=down && failed=1; fi
        [[ $where == primary || $state == down ]] || state="$state, replication $(replication_state "$where")"
        printf '%-4s %-8s 127.0.0.1:%-6s %s\n' "$name" "$where" "$(port_of "$where")" "$state"
    done
    return "$failed"
}

show_env() {
    local variable
    for variable in flavour primary_port replica_port replica2_port app_password admin_password \
        root_password; do
        printf '%s=%q\n' "$variable" "${!variable}"
    done
    printf 'primary_socket=%q\n' "$(socket_of primary)"
    printf 'mysql=%q\n' "$prefix/bin/mysql"
}

declare -A launched
case $action in
    start) start ;;
    stop) load_settings && end_servers TERM ;;
    kill) load_settings && end_servers KILL ;;
    status) load_settings && show_status ;;
    env) load_settings && show_env ;;
    sql) load_settings && client "${role:-primary}" mysql "$@" ;;
    destroy)
        if [[ -d $home ]]; then
            end_servers KILL
            rm -f "$(socket_of primary)" "$(socket_of replica)" "$(socket_of replica2)"
            rm -rf "$home" "$home.lock"
        fi
        ;;
    *) die "unknown action $action (see --help)" ;;
esac
