#!/usr/bin/env python3
"""Checks of PyMySQL and mysqlclient: one script, two drivers of the same interface."""

import argparse
import hashlib
import os
import tempfile
import threading
import time

from recorder import Skip, Target, check, expect_error, line, rows, run, show

MIB = 1024 * 1024
COUNT_FOREVER = "SELECT SUM(a.n * b.n + c.n) FROM numbers a, numbers b, numbers c WHERE c.n <= 200"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--driver", choices=["pymysql", "mysqlclient"], required=True)
DRIVER = parser.parse_args().driver
PURE = DRIVER == "pymysql"

if PURE:
    import pymysql as db
    import pymysql.cursors as cursors
    from pymysql.constants import CLIENT, COMMAND
else:
    import MySQLdb as db
    import MySQLdb.cursors as cursors
    from MySQLdb.constants import CLIENT


def connect(**options):
    settings = dict(
        host=Target.host, port=Target.port, user=Target.user, password=Target.password,
        database=Target.database, charset="utf8mb4", local_infile=1, connect_timeout=10,
    )
    if PURE:
        settings["max_allowed_packet"] = 64 * MIB
    settings.update(options)
    return db.connect(**settings)


def query(connection, sql, arguments=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        return cursor.fetchall()


def columns(cursor):
    for column in cursor.description or []:
        line("  column", " ".join(show(part) for part in column))
    if PURE and cursor._result:
        for field in cursor._result.fields or []:
            line("  field", show(field.org_name), show(field.org_table), show(field.db), field.charsetnr,
                 field.length, field.type_code, f"{field.flags:x}", field.scale)
    elif not PURE and cursor.description_flags:
        line("  flags", show(cursor.description_flags))


@check
def connect_and_select():
    connection = connect()
    rows("one", query(connection, "SELECT 1, 'zwei', 3.50, NULL"))
    rows("session", query(connection, "SELECT DATABASE(), @@character_set_client, @@collation_connection"))
    connection.close()


@check
def connect_with_and_without_tls():
    tls = {"check_hostname": False} if PURE else {"cipher": "HIGH"}
    for name, options in {"tls": {"ssl": tls}, "plain": {"ssl_disabled": True} if PURE else {}}.items():
        connection = connect(**options)
        cipher = query(connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        line(name, "answers", query(connection, "SELECT 1"), "status rows", len(cipher))
        if PURE:
            line("  socket", type(connection._sock).__name__)
        connection.close()


@check
def connect_without_database():
    connection = connect(database=None) if PURE else connect(database="")
    rows("none", query(connection, "SELECT DATABASE()"))
    expect_error("no database selected", db.Error, lambda: query(connection, "SELECT * FROM numbers"))
    connection.select_db(Target.database)
    rows("chosen", query(connection, "SELECT DATABASE(), COUNT(*) FROM numbers"))
    rows("qualified", query(connection, f"SELECT COUNT(*) FROM {Target.database}.numbers"))
    connection.close()


@check
def connect_refused():
    expect_error("wrong password", db.Error, lambda: connect(password="wrong"))
    expect_error("empty password", db.Error, lambda: connect(password=""))
    expect_error("unknown user", db.Error, lambda: connect(user="nobody_here", password="x"))
    expect_error("unknown database", db.Error, lambda: connect(database="no_such_database"))
    connection = connect()
    expect_error("use", db.Error, lambda: query(connection, "USE no_such_database"))
    expect_error("select_db", db.Error, lambda: connection.select_db("no_such_database"))
    rows("still", query(connection, "SELECT DATABASE()"))
    connection.close()


@check
def native_password():
    if not Target.native_user:
        raise Skip("the server has no account with mysql_native_password")
    connection = connect(user=Target.native_user)
    line("native", query(connection, "SELECT 1"))
    connection.close()
    expect_error("wrong", db.Error, lambda: connect(user=Target.native_user, password="wrong"))


@check
def ping_and_server_text():
    connection = connect()
    line("ping", connection.ping())
    line("thread id is positive", connection.thread_id() > 0)
    line("id as SQL sees it", query(connection, "SELECT CONNECTION_ID()")[0][0] == connection.thread_id())
    line("character set", connection.character_set_name())
    if not PURE:
        line("statistics", connection.stat().split(":")[0])
    connection.close()


@check
def types_in_text():
    connection = connect()
    with connection.cursor() as cursor:
        line("count", cursor.execute("SELECT * FROM all_types ORDER BY id"))
        columns(cursor)
        rows("all types", cursor.fetchall())
    connection.close()


@check
def expression_metadata():
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 AS a, -1 b, 1.0, 1e0, 'x', X'41', NULL, NOW(6) > 0, DATE'2020-01-01', SUM(n), AVG(n), "
            "COUNT(*), CONCAT('a', 1), CAST('1' AS JSON), CAST(1 AS UNSIGNED), UNHEX('00'), 1 = 1, "
            "TIME'10:11:12.5', MAX(name) FROM numbers")
        columns(cursor)
        rows("expressions", cursor.fetchall())
        cursor.execute("SELECT t.`größe 日本` AS `名前`, n.name FROM all_types AS t JOIN numbers AS n ON n.n = t.id "
                       "ORDER BY t.id")
        columns(cursor)
        rows("aliases", cursor.fetchall())
    connection.close()


@check
def writes_and_their_answers():
    connection = connect(autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM notes")
        cursor.execute("ALTER TABLE notes AUTO_INCREMENT = 1000")
        for sql in [
            "INSERT INTO notes (name) VALUES ('a')",
            "INSERT INTO notes (name) VALUES ('b'), ('c'), ('d')",
            "INSERT IGNORE INTO notes (name) VALUES ('a'), ('e')",
            "INSERT INTO notes (name) VALUES ('a') ON DUPLICATE KEY UPDATE body = 'x'",
            "INSERT INTO notes (name) VALUES ('a') ON DUPLICATE KEY UPDATE body = 'x'",
            "REPLACE INTO notes (name) VALUES ('b')",
            "INSERT INTO notes (name) SELECT CONCAT('n', n) FROM numbers WHERE n <= 5",
            "UPDATE notes SET body = 'y' WHERE name IN ('c', 'd', 'zz')",
            "UPDATE notes SET body = 'y' WHERE name IN ('c', 'd', 'zz')",
            "UPDATE notes SET at = 'never' WHERE 1 = 0",
            "DELETE FROM notes WHERE name LIKE 'n%'",
            "DO 1",
            "SET @x = 5",
            "CREATE TABLE IF NOT EXISTS notes (id INT)",
            "DROP TABLE IF EXISTS no_such_table",
        ]:
            count = cursor.execute(sql)
            line(sql[:60], "| rows", count, cursor.rowcount, "id", cursor.lastrowid)
            if PURE:
                line("  ", cursor._result.message, "warnings", cursor._result.warning_count,
                     "status", f"{cursor._result.server_status & 0x3:x}")
            rows("  warnings", query(connection, "SHOW WARNINGS"))
        rows("left", query(connection, "SELECT id, name, body FROM notes ORDER BY id"))
        rows("last id", query(connection, "SELECT LAST_INSERT_ID(), ROW_COUNT()"))
        cursor.executemany("INSERT INTO notes (name) VALUES (%s)", [("m1",), ("m2",), ("it's",), ("ü\\'\"\0",)])
        line("executemany", cursor.rowcount)
        rows("escaped", query(connection, "SELECT name FROM notes WHERE name = %s", ("ü\\'\"\0",)))
    connection.close()


@check
def warnings_are_kept():
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")
        cursor.execute("SELECT 1 / 0, CAST('12abc' AS SIGNED), CAST('x' AS DATE)")
        rows("odd", cursor.fetchall())
        rows("warnings", query(connection, "SHOW WARNINGS"))
        rows("count", query(connection, "SHOW COUNT(*) WARNINGS"))
        rows("variable", query(connection, "SELECT @@warning_count, @@error_count"))
        cursor.execute("INSERT INTO notes (name) VALUES (REPEAT('w', 200))")
        rows("truncated", query(connection, "SHOW WARNINGS LIMIT 1"))
        connection.rollback()
        expect_error("bad", db.Error, lambda: query(connection, "SELECT bad FROM numbers"))
        rows("errors", query(connection, "SHOW ERRORS"))
    connection.close()


@check
def errors_by_number():
    connection = connect(autocommit=True)
    for sql in [
        "SELEC 1", "", "SELECT * FROM no_such_table", "SELECT nothing FROM numbers", "INSERT INTO numbers VALUES (1, 1, 'x')",
        "INSERT INTO numbers (n) VALUES (5000)", "INSERT INTO numbers VALUES ('x', 1, 'x')", "SELECT * FROM numbers WHERE",
        "CALL no_such_procedure()", "CALL two_results()", "SELECT no_such_function(1)", "DROP TABLE no_such_table",
        "CREATE TABLE numbers (n INT)", "SELECT (SELECT n FROM numbers)", "SELECT 1 UNION SELECT 1, 2",
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'mine'", "KILL 999999999", "SET no_such_variable = 1",
        "SET SESSION sql_mode = 'NONSENSE'", "SELECT /* unfinished", "SELECT 'unfinished", "ALTER TABLE numbers DROP COLUMN zz",
        "SELECT 18446744073709551615 + 1", "SAVEPOINT ok; SELECT 1", "ROLLBACK TO nowhere", "SELECT JSON_EXTRACT('{', '$')",
    ]:
        expect_error(sql[:50] or "empty", db.Error, lambda sql=sql: query(connection, sql))
    rows("alive", query(connection, "SELECT 1"))
    connection.close()


@check
def transactions():
    one, two = connect(), connect()
    query(one, "DELETE FROM notes")
    one.commit()
    query(one, "INSERT INTO notes (name) VALUES ('t1')")
    rows("other sees", query(two, "SELECT COUNT(*) FROM notes"))
    query(one, "SAVEPOINT s1")
    query(one, "INSERT INTO notes (name) VALUES ('t2')")
    query(one, "ROLLBACK TO SAVEPOINT s1")
    query(one, "RELEASE SAVEPOINT s1")
    one.commit()
    two.rollback()
    rows("after commit", query(two, "SELECT name FROM notes"))
    two.rollback()
    for sql in ["SET TRANSACTION READ ONLY", "START TRANSACTION"]:
        query(one, sql)
    expect_error("read only", db.Error, lambda: query(one, "INSERT INTO notes (name) VALUES ('t3')"))
    one.rollback()
    query(one, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    rows("in it", query(one, "SELECT COUNT(*) FROM notes"))
    query(one, "COMMIT AND CHAIN")
    if PURE:
        line("status", f"{one.server_status & 0x2003:x}")
    query(one, "ROLLBACK")
    query(one, "BEGIN")
    query(one, "INSERT INTO notes (name) VALUES ('implicit')")
    query(one, "CREATE TABLE IF NOT EXISTS scrap (n INT)")
    one.rollback()
    rows("implicit commit", query(two, "SELECT COUNT(*) FROM notes WHERE name = 'implicit'"))
    query(one, "DROP TABLE scrap")
    one.close()
    two.close()


@check
def found_rows_flag():
    for flag in [0, CLIENT.FOUND_ROWS]:
        connection = connect(client_flag=flag, autocommit=True)
        with connection.cursor() as cursor:
            line("flag", flag, "rows", cursor.execute("UPDATE numbers SET name = name WHERE n <= 10"))
            line("upsert", cursor.execute("INSERT INTO numbers VALUES (1, 1, 'number 1') "
                                          "ON DUPLICATE KEY UPDATE name = 'number 1'"))
        connection.close()


@check
def several_statements():
    connection = connect(client_flag=CLIENT.MULTI_STATEMENTS, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS a; INSERT INTO notes (name) VALUES (UUID()); SELECT 2 AS b, ';' AS c; DO 0")
        drain(cursor)
        cursor.execute("SELECT 'one'; SELECT broken FROM numbers; SELECT 'three'")
        rows("first", cursor.fetchall())
        expect_error("second", db.Error, cursor.nextset)
    rows("after it", query(connection, "SELECT 'alive'"))
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; INSERT INTO notes (name) VALUES ('multi'); ROLLBACK; SELECT COUNT(*) FROM notes "
                       "WHERE name = 'multi'")
        drain(cursor)
        cursor.execute("SELECT 1;")
        drain(cursor)
        cursor.execute("SELECT ';'; -- a comment; and more\nSELECT /* ; */ 2; # end;")
        drain(cursor)
    connection.close()
    connection = connect(client_flag=0)
    # mysqlclient always asks for several statements, PyMySQL only when told to.
    if PURE:
        expect_error("without the flag", db.Error, lambda: query(connection, "SELECT 1; SELECT 2"))
    connection.close()


def drain(cursor):
    while True:
        rows("set", cursor.fetchall() if cursor.description else [])
        line("  rowcount", cursor.rowcount)
        if not cursor.nextset():
            return


@check
def procedures_with_several_results():
    connection = connect()
    with connection.cursor() as cursor:
        cursor.callproc("two_results", (3,))
        drain(cursor)
        cursor.execute("SET @x = 21")
        cursor.execute("CALL doubles(@x, @y)")
        drain(cursor)
        cursor.execute("SELECT @x, @y")
        rows("out", cursor.fetchall())
        cursor.execute("CALL fails_midway()")
        rows("before", cursor.fetchall())
        expect_error("midway", db.Error, cursor.nextset)
    rows("alive", query(connection, "SELECT 1"))
    connection.close()


@check
def text_prepared_statements():
    connection = connect()
    for sql in ["PREPARE s FROM 'SELECT n, name FROM numbers WHERE n BETWEEN ? AND ? ORDER BY n'",
                "SET @a = 3, @b = 5", "EXECUTE s USING @a, @b", "DEALLOCATE PREPARE s"]:
        rows(sql[:30], query(connection, sql))
    expect_error("gone", db.Error, lambda: query(connection, "EXECUTE s USING @a, @b"))
    connection.close()


@check
def streamed_rows():
    connection = connect()
    with connection.cursor(cursors.SSCursor) as cursor:
        cursor.execute("SELECT a.n, a.name FROM numbers a, numbers b WHERE b.n <= 20")
        total = count = 0
        for n, _name in cursor:
            total, count = total + n, count + 1
        line("streamed", count, total)
    with connection.cursor(cursors.SSCursor) as cursor:
        cursor.execute("SELECT n FROM numbers ORDER BY n")
        line("some", cursor.fetchmany(3))
    rows("left early", query(connection, "SELECT 'alive'"))
    connection.close()


@check
def load_local_file():
    connection = connect(autocommit=True)
    query(connection, "DELETE FROM notes")
    path = os.path.join(tempfile.mkdtemp(), "notes.tsv")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"l{n}\tbody {n} ü🦀\n" for n in range(20_000))
        file.write("l1\tduplicate\nonly one field\n")
    with connection.cursor() as cursor:
        count = cursor.execute(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE notes CHARACTER SET utf8mb4 (name, body)")
        line("loaded", count)
        if PURE:
            line(cursor._result.message)
    rows("warnings", query(connection, "SHOW WARNINGS"))
    rows("there", query(connection, "SELECT COUNT(*), SUM(LENGTH(body)), SUM(CRC32(body)) FROM notes"))
    expect_error("missing file", (db.Error, OSError), lambda: query(
        connection, "LOAD DATA LOCAL INFILE '/nonexistent/file' INTO TABLE notes (name)"))
    with open(path, "w", encoding="utf-8") as file:
        file.write("")
    line("empty", query(connection, f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE notes (name)"))
    query(connection, "DELETE FROM notes")
    connection.close()
    os.remove(path)


@check
def big_packets():
    connection = connect(autocommit=True)
    for size in [16 * MIB - 1, 16 * MIB, 40 * MIB] if PURE else [17 * MIB]:
        body = (hashlib.sha256(str(size).encode()).hexdigest() * (size // 64 + 1))[:size]
        query(connection, "REPLACE INTO notes (id, name, body) VALUES (1, 'big', %s)", (body,))
        back = query(connection, "SELECT LENGTH(body), SHA2(body, 256), body FROM notes WHERE id = 1")[0]
        line("sent", size, "stored", back[0], back[1] == hashlib.sha256(body.encode()).hexdigest(),
             "back", (back[2] if isinstance(back[2], bytes) else back[2].encode()) == body.encode())
    query(connection, "DELETE FROM notes")
    connection.close()


@check
def character_sets():
    for charset in ["utf8mb4", "latin1", "cp1251", "ascii"]:
        connection = connect(charset=charset)
        rows(charset, query(connection, "SELECT @@character_set_client, @@character_set_results, 'x', _utf8mb4 X'C3BC'"))
        with connection.cursor() as cursor:
            cursor.execute("SELECT c_latin1, HEX(c_latin1) FROM all_types ORDER BY id")
            rows("  latin1 column", cursor.fetchall())
        connection.close()
    connection = connect()
    query(connection, "SET NAMES latin1")
    rows("set names", query(connection, "SELECT HEX('ü'), @@character_set_connection"))
    query(connection, "SET NAMES utf8mb4 COLLATE utf8mb4_bin")
    rows("collate", query(connection, "SELECT 'a' = 'A', COLLATION('x')"))
    connection.close()


@check
def session_state():
    connection = connect()
    for sql in ["SET SESSION sql_mode = 'ANSI_QUOTES'", "SET time_zone = '+05:30', @@session.group_concat_max_len = 2000",
                "SET @a := 1, @b = 'zwei', @c = NULL"]:
        query(connection, sql)
    for _ in range(3):
        rows("state", query(connection, "SELECT @@sql_mode, @@time_zone, @@group_concat_max_len, @a, @b, @c"))
    rows("found rows", query(connection, "SELECT SQL_CALC_FOUND_ROWS n FROM numbers LIMIT 2"))
    rows("  of", query(connection, "SELECT FOUND_ROWS()"))
    query(connection, "CREATE TEMPORARY TABLE temp_rows (n INT)")
    query(connection, "INSERT INTO temp_rows VALUES (1), (2)")
    rows("temporary", query(connection, "SELECT SUM(n) FROM temp_rows"))
    query(connection, "DROP TEMPORARY TABLE temp_rows")
    rows("locks", query(connection, "SELECT GET_LOCK('driver', 1), IS_FREE_LOCK('driver'), RELEASE_LOCK('driver'), "
                                    "RELEASE_LOCK('driver')"))
    query(connection, "LOCK TABLES numbers READ")
    expect_error("locked", db.Error, lambda: query(connection, "SELECT * FROM notes"))
    query(connection, "UNLOCK TABLES")
    connection.close()


@check
def schema_statements():
    connection = connect()
    for sql in ["SHOW TABLES", "SHOW FULL COLUMNS FROM numbers", "DESCRIBE numbers", "SHOW CREATE TABLE numbers",
                "SHOW INDEX FROM numbers", "SHOW VARIABLES LIKE 'version_comment_none'", "SHOW COUNT(*) ERRORS",
                f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{Target.database}' ORDER BY 1",
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = DATABASE() "
                "AND table_name = 'numbers' ORDER BY ordinal_position",
                "SHOW COLLATION LIKE 'utf8mb4_bin'", "SHOW CHARACTER SET LIKE 'latin1'", "HELP 'no such thing'"]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            line(sql[:70])
            if not sql.startswith("HELP"):
                line("  columns", [column[0] for column in cursor.description])
            # Cardinalities are estimates.
            found = [[v for i, v in enumerate(row) if not (sql.startswith("SHOW INDEX") and i == 6)]
                     for row in cursor.fetchall()]
            rows("  ", found)
    connection.close()


@check
def kill_a_query():
    victim, killer = connect(), connect()
    number = victim.thread_id()
    timer = threading.Thread(target=lambda: (time.sleep(0.5), query(killer, f"KILL QUERY {number}")))
    timer.start()
    expect_error("killed query", db.Error, lambda: query(victim, COUNT_FOREVER))
    timer.join()
    rows("lives on", query(victim, "SELECT 1"))
    query(killer, f"KILL {number}")
    try:
        query(victim, "SELECT 1")
        line("still there")
    except db.Error as error:
        line("killed connection", type(error).__name__)
    line("killer", query(killer, "SELECT 1"))
    killer.close()


@check
def time_limit():
    connection = connect()
    expect_error("hint", db.Error, lambda: query(connection, COUNT_FOREVER.replace(
        "SELECT", "SELECT /*+ MAX_EXECUTION_TIME(200) */")))
    query(connection, "SET SESSION max_execution_time = 200")
    expect_error("variable", db.Error, lambda: query(connection, COUNT_FOREVER))
    rows("alive", query(connection, "SELECT 1"))
    connection.close()


@check
def raw_commands():
    if not PURE:
        raise Skip("only PyMySQL lets commands be written by hand")
    connection = connect()

    def command(name, code, argument=b"", packets=1):
        connection._execute_command(code, argument)
        for _ in range(packets):
            packet = connection._sock and connection._rfile and read_packet(connection)
            line(name, packet.hex() if len(packet) < 100 else f"{len(packet)} bytes")
            if packet[:1] in (b"\xfe", b"\xff"):
                return

    command("ping", COMMAND.COM_PING)
    command("init db", COMMAND.COM_INIT_DB, Target.database.encode())
    command("init db wrong", COMMAND.COM_INIT_DB, b"no_such_database")
    command("set option on", COMMAND.COM_SET_OPTION, b"\0\0")
    command("set option off", COMMAND.COM_SET_OPTION, b"\1\0")
    command("set option wrong", COMMAND.COM_SET_OPTION, b"\7\0")
    command("field list", COMMAND.COM_FIELD_LIST, b"numbers\0", packets=9)
    command("field list wild", COMMAND.COM_FIELD_LIST, b"numbers\0na%", packets=9)
    command("field list wrong", COMMAND.COM_FIELD_LIST, b"no_such_table\0", packets=9)
    command("unknown command", 0x7F)
    command("empty query", COMMAND.COM_QUERY)
    command("prepare broken", COMMAND.COM_STMT_PREPARE, b"SELEC ?")
    command("execute unknown", COMMAND.COM_STMT_EXECUTE, (4242).to_bytes(4, "little") + b"\0\1\0\0\0")
    command("reset unknown", 0x1A, (4242).to_bytes(4, "little"))
    command("fetch unknown", 0x1C, (4242).to_bytes(4, "little") + b"\1\0\0\0")
    query(connection, "SET @gone = 1")
    command("reset connection", 0x1F)
    rows("after reset", query(connection, "SELECT @gone, DATABASE()"))
    connection._execute_command(COMMAND.COM_STATISTICS, b"")
    line("statistics", read_packet(connection).split(b":")[0])
    rows("alive", query(connection, "SELECT 1"))
    connection.close()


def read_packet(connection):
    header = connection._read_bytes(4)
    length = int.from_bytes(header[:3], "little")
    connection._next_seq_id = (header[3] + 1) % 256
    return connection._read_bytes(length)


@check
def many_connections():
    opened = [connect() for _ in range(40)]
    line("answers", sum(query(connection, "SELECT 1")[0][0] for connection in opened))
    for connection in opened:
        connection.close()


run((db.Error, db.Warning, OSError))
