#!/usr/bin/env bash
# Checks of the mysql shell and its companions: prints what each check saw, for comparison line by line.
set -euo pipefail
set +e # what fails is recorded, not fatal

usage() {
    cat <<'EOF'
usage: tests/drivers/shell/check.sh

environment: DRIVER_HOST, DRIVER_PORT, DRIVER_USER, DRIVER_PASSWORD, DRIVER_DATABASE, and MYSQL, the shell's path
EOF
}
[[ $# -eq 0 ]] || { usage && exit 0; }

MYSQL=${MYSQL:-mysql}
export MYSQL_PWD=${DRIVER_PASSWORD:-}
address=(--no-defaults -h "${DRIVER_HOST:-127.0.0.1}" -P "${DRIVER_PORT:-3306}" -u "${DRIVER_USER:-app}")
database=${DRIVER_DATABASE:-drivers}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

# shell [ARGUMENT…]: both streams; what changes from run to run is masked.
shell() {
    timeout 60 "$MYSQL" "${address[@]}" --default-character-set=utf8mb4 --database="$database" "$@" 2>&1 | mask
}
mask() { sed -E 's/\([0-9]+ min [0-9.]+ sec\)|\([0-9]+\.[0-9]+ sec\)/(time)/; s/^(ERROR [0-9]+ \([^)]*\)) at line [0-9]+/\1/'; }
check() { echo "## $1"; }

check connect_by_ssl_mode
for mode in DISABLED PREFERRED REQUIRED; do
    echo "$mode"
    shell --ssl-mode="$mode" --get-server-public-key -e "SELECT 1 AS a"
done
shell --ssl-mode=REQUIRED --tls-version=TLSv1.2 -e "SELECT 'tls 1.2' AS a"
shell --ssl-mode=REQUIRED --tls-version=TLSv1.3 -e "SELECT 'tls 1.3' AS a"

check refused
MYSQL_PWD=wrong shell -e "SELECT 1"
shell --user=nobody_here -e "SELECT 1"
shell --database=no_such_database -e "SELECT 1"
shell -e "USE no_such_database"

check compression
for algorithm in zlib zstd; do
    shell --compression-algorithms="$algorithm" -e "SELECT 1 AS a; SELECT SHA2(GROUP_CONCAT(name), 256) AS h FROM numbers"
    shell --compression-algorithms="$algorithm" -N -e "SELECT a.n, a.name FROM numbers a, numbers b WHERE b.n < 30" | sort | cksum
    shell --compression-algorithms="$algorithm" --zstd-compression-level=9 -N -e "SELECT REPEAT('z', 3000000)" | cksum
    shell --compression-algorithms="$algorithm" -N -e "SELECT SHA2(REPEAT('$(head -c 3000 /dev/zero | tr '\0' x)', 7000), 256)"
done

check column_types
shell --column-type-info --binary-as-hex -t -e "SELECT * FROM all_types ORDER BY id; SELECT n AS \`größe\`, name FROM numbers LIMIT 2"
shell --column-type-info -t -e "SELECT 1, 1.5, 'x', NULL, NOW() > 0, SUM(n) FROM numbers"

check formats
for format in -t -E -X -H -s -ss -r --batch; do
    shell "$format" -e "SELECT id, c_varchar, c_bool, c_date FROM all_types ORDER BY id"
done

check interactive_session
shell --commands -t -vvv <<'EOF'
SELECT 1 AS one;
USE information_schema
SELECT DATABASE();
USE drivers
INSERT INTO notes (name) VALUES ('shell'), ('shell2');
UPDATE notes SET body = 'x' WHERE name LIKE 'shell%';
DELETE FROM notes WHERE name LIKE 'shell%';
SELECT 'quoted ; semicolon' AS s, "it's" AS t; SELECT 2;
DELIMITER //
CREATE PROCEDURE from_shell() BEGIN SELECT 'made'; SELECT 'twice'; END //
CALL from_shell() //
DROP PROCEDURE from_shell //
DELIMITER ;
SHOW WARNINGS;
EOF

check errors_and_force
shell -f -vv <<'EOF'
SELECT broken;
SELECT 'goes on';
SELEC;
INSERT INTO numbers VALUES (1, 1, 'x');
EOF
shell -e "SELECT 1; SELECT broken; SELECT 3"

check warnings_shown
shell --show-warnings -e "SELECT CAST('12x' AS SIGNED); DROP TABLE IF EXISTS nothing_here"

check query_attributes
shell --commands <<'EOF'
query_attributes n1 v1 colour grün
SELECT mysql_query_attribute_string('n1') AS a, mysql_query_attribute_string('colour') AS b;
SELECT mysql_query_attribute_string('n1') AS gone;
EOF

check reset_connection
shell --commands <<'EOF'
SET @kept = 1;
SELECT @kept;
resetconnection
SELECT @kept, DATABASE();
EOF

check load_local_file
seq 1 2000 | sed 's/.*/shell&\tline &/' >rows.tsv
shell --local-infile=1 -vv -e "LOAD DATA LOCAL INFILE 'rows.tsv' INTO TABLE notes (name, body); SELECT COUNT(*), SUM(CRC32(body)) FROM notes WHERE name LIKE 'shell%'; DELETE FROM notes WHERE name LIKE 'shell%'"
shell --local-infile=0 -e "LOAD DATA LOCAL INFILE 'rows.tsv' INTO TABLE notes (name, body)"

check big_statement
{
    printf "REPLACE INTO notes (id, name, body) VALUES (7, 'big shell', '"
    head -c 20000000 /dev/zero | tr '\0' s
    printf "');\nSELECT LENGTH(body), CRC32(body) FROM notes WHERE id = 7;\nDELETE FROM notes WHERE id = 7;\n"
} | shell --max-allowed-packet=64M

check streamed_without_buffering
shell --quick -N -e "SELECT a.n FROM numbers a, numbers b WHERE b.n <= 100" | cksum

check init_command_and_charset
shell --init-command="SET @begun = 'yes'" -N -e "SELECT @begun"
shell --default-character-set=latin1 -N -e "SELECT @@character_set_client, HEX(c_latin1) FROM all_types WHERE id = 1"

check administration
mysqladmin=$(dirname "$MYSQL")/mysqladmin
if [[ -x $mysqladmin ]]; then
    "$mysqladmin" "${address[@]}" ping 2>&1
    "$mysqladmin" "${address[@]}" status 2>&1 | cut -d: -f1
else
    echo "skip no mysqladmin"
fi

check dump
mysqldump=$(dirname "$MYSQL")/mysqldump
if [[ -x $mysqldump ]]; then
    for options in --no-data "--single-transaction --routines" --skip-opt; do
        # shellcheck disable=SC2086
        "$mysqldump" "${address[@]}" --set-gtid-purged=OFF --skip-comments --no-tablespaces --column-statistics=0 \
            --hex-blob $options "$database" 2>&1 | grep -v 'DEFINER' >dump.sql
        echo "$options"
        if [[ $options == --no-data ]]; then cut -c1-300 dump.sql; else cksum <dump.sql; fi
    done
else
    echo "skip no mysqldump"
fi
