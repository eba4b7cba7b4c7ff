#!/usr/bin/env bash
# Makes sure the drivers to test are there, in the cache folder where they are not part of the system.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
source "$HERE/../../docker/lib.sh"

usage() {
    cat <<'EOF'
usage: tests/drivers/setup.sh [driver…]

Drivers: pymysql mysqlclient node go ruby java shell (default: all).
Installs what is missing: Debian's packages with apt-get when run as root, PyMySQL and mysqlclient with pip into a
virtual environment, node's mysql2 with npm; builds the Go and Java programs. Does nothing when all is there.
environment: BULKHEAD_CACHE, the folder for all that (default .cache)
EOF
}
[[ ${1:-} != --help && ${1:-} != -h ]] || { usage && exit 0; }
[[ $# -gt 0 ]] || set -- pymysql mysqlclient node go ruby java shell
drivers=$CACHE/drivers
JDBC=/usr/share/java/mariadb-java-client.jar
mkdir -p "$drivers"

# packages NAME…: installs Debian packages.
packages() {
    if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
        die "install these packages (Debian names): $*"
    fi
    step "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 || {
        apt-get update -qq
        apt-get install -y --no-install-recommends "$@" >/dev/null
    }
}

virtual_environment() {
    [[ ! -x $drivers/python/bin/pip ]] || return 0
    command -v python3 >/dev/null || packages python3 python3-venv
    python3 -m venv "$drivers/python" 2>/dev/null || {
        packages python3-venv
        python3 -m venv "$drivers/python"
    }
}

# pip_install MODULE PACKAGE…
pip_install() {
    local module=$1
    shift
    ! "$drivers/python/bin/python" -c "import $module" 2>/dev/null || return 0
    step "pip install $*"
    "$drivers/python/bin/pip" install --quiet --disable-pip-version-check "$@"
}

setup_pymysql() {
    virtual_environment
    pip_install "pymysql, cryptography" 'PyMySQL>=1.1,<2' cryptography
}

setup_mysqlclient() {
    virtual_environment
    ! "$drivers/python/bin/python" -c "import MySQLdb" 2>/dev/null || return 0
    # It is compiled.
    pkg-config --exists libmariadb mysqlclient 2>/dev/null || pkg-config --exists libmariadb 2>/dev/null ||
        packages default-libmysqlclient-dev pkg-config gcc python3-dev
    pip_install MySQLdb 'mysqlclient>=2.2,<3'
}

setup_node() {
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then packages nodejs npm; fi
    [[ -d $drivers/node/node_modules/mysql2 ]] || {
        step "npm install mysql2"
        mkdir -p "$drivers/node"
        npm install --silent --no-save --no-audit --no-fund --prefix "$drivers/node" mysql2@3 >/dev/null
    }
}

setup_go() {
    local source=/usr/share/gocode/src/github.com/go-sql-driver/mysql
    if ! command -v go >/dev/null || [[ ! -d $source ]]; then
        packages golang-go golang-github-go-sql-driver-mysql-dev
    fi
    [[ $drivers/go-check -nt $HERE/go/check.go ]] || {
        step "building the Go checks"
        GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS="" go build -o "$drivers/go-check" "$HERE/go/check.go"
    }
}

setup_ruby() {
    ruby -W0 -r mysql2 -e 0 2>/dev/null || packages ruby ruby-mysql2
}

setup_java() {
    command -v javac >/dev/null || packages default-jdk-headless
    [[ -e $JDBC ]] || packages libmariadb-java
    [[ $drivers/java/Check.class -nt $HERE/java/Check.java ]] || {
        step "building the Java checks"
        javac -encoding UTF-8 -cp "$JDBC" -d "$drivers/java" "$HERE/java/Check.java"
    }
}

setup_shell() {
    "$ROOT/docker/mysql/get.sh" --flavour mysql >/dev/null
}

for driver in "$@"; do
    declare -F "setup_$driver" >/dev/null || die "unknown driver $driver (see --help)"
    "setup_$driver"
done
