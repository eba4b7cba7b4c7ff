import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.Arrays;

/** Checks of MariaDB Connector/J: prints what each check saw, for comparison line by line. */
public final class Check {
    private static final String FOREVER =
            "SELECT SUM(a.n * b.n + c.n) FROM numbers a, numbers b, numbers c WHERE c.n <= 200";
    private static PrintStream out;

    private interface Action {
        void run() throws Exception;
    }

    private static String setting(String name, String otherwise) {
        String value = System.getenv("DRIVER_" + name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    private static Connection connect(String options) throws SQLException {
        return connectAs(setting("USER", "app"), setting("PASSWORD", ""), setting("DATABASE", "drivers"), options);
    }

    private static Connection connectAs(String user, String password, String database, String options)
            throws SQLException {
        String url = "jdbc:mariadb://" + setting("HOST", "127.0.0.1") + ":" + setting("PORT", "3306") + "/" + database
                + "?allowPublicKeyRetrieval=true&serverTimezone=UTC" + options;
        return DriverManager.getConnection(url, user, password);
    }

    private static String describe(SQLException error) {
        // The driver puts "(conn=7) " in front of the server's message.
        String message = String.valueOf(error.getMessage()).replaceAll("\\(conn=\\d+\\) ?", "")
                .replaceAll("address=.*\\(type=master\\) : ", "").split("\n")[0];
        return error.getErrorCode() + " " + error.getSQLState() + " " + message;
    }

    private static void fails(String label, Action action) throws Exception {
        try {
            action.run();
            out.println(label + ": no error");
        } catch (SQLException error) {
            out.println(label + ": " + describe(error));
        }
    }

    private static String show(Object value) throws Exception {
        if (value instanceof byte[]) {
            byte[] bytes = (byte[]) value;
            if (bytes.length > 100) {
                return "bytes[" + bytes.length + "] " + Arrays.hashCode(bytes);
            }
            StringBuilder text = new StringBuilder("x'");
            for (byte one : bytes) {
                text.append(String.format("%02x", one));
            }
            return text.append("'").toString();
        }
        if (value instanceof java.sql.Blob) {
            java.sql.Blob blob = (java.sql.Blob) value;
            return show(blob.getBytes(1, (int) blob.length()));
        }
        return String.valueOf(value);
    }

    private static void columns(ResultSet result) throws Exception {
        ResultSetMetaData meta = result.getMetaData();
        for (int i = 1; i <= meta.getColumnCount(); i++) {
            out.println("  column " + meta.getColumnLabel(i) + " " + meta.getColumnName(i) + " " + meta.getTableName(i)
                    + " " + meta.getCatalogName(i) + " " + meta.getColumnTypeName(i) + " " + meta.getPrecision(i) + " "
                    + meta.getScale(i) + " " + meta.isNullable(i) + " " + meta.isAutoIncrement(i) + " "
                    + meta.isSigned(i) + " " + meta.getColumnDisplaySize(i));
        }
    }

    private static void rows(String label, ResultSet result) throws Exception {
        int count = 0;
        int width = result.getMetaData().getColumnCount();
        while (result.next()) {
            if (++count > 20) {
                continue;
            }
            StringBuilder text = new StringBuilder("   ");
            for (int i = 1; i <= width; i++) {
                text.append(i > 1 ? " | " : "").append(show(result.getObject(i)));
            }
            out.println(text);
        }
        out.println(label + ": " + count + " rows");
        result.close();
    }

    private static void query(String label, Connection c, String sql) throws Exception {
        try (Statement statement = c.createStatement()) {
            rows(label, statement.executeQuery(sql));
        }
    }

    private static int update(Connection c, String sql) throws SQLException {
        try (Statement statement = c.createStatement()) {
            return statement.executeUpdate(sql);
        }
    }

    private static void drain(Statement statement, boolean first) throws Exception {
        boolean isRows = first;
        while (isRows || statement.getUpdateCount() != -1) {
            if (isRows) {
                rows("set", statement.getResultSet());
            } else {
                out.println("count " + statement.getUpdateCount());
            }
            isRows = statement.getMoreResults();
        }
    }

    private static void connecting() throws Exception {
        for (String options : new String[] {"", "&useSsl=true&trustServerCertificate=true", "&useCompression=true",
            "&useServerPrepStmts=true", "&connectionAttributes=colour:blue", "&sessionVariables=sql_mode='ANSI'",
            "&useBulkStmts=false", "&usePipelineAuth=false"}) {
            try (Connection c = connect(options)) {
                query("answer " + options, c, "SELECT 1, DATABASE()");
                out.println(c.isValid(1) + " " + c.getCatalog() + " " + c.getTransactionIsolation() + " " + c.getAutoCommit());
            }
        }
        try (Connection c = connectAs(setting("USER", "app"), setting("PASSWORD", ""), "", "")) {
            query("none", c, "SELECT DATABASE()");
            c.setCatalog(setting("DATABASE", "drivers"));
            query("chosen", c, "SELECT DATABASE()");
        }
    }

    private static void refused() throws Exception {
        fails("password", () -> connectAs(setting("USER", "app"), "wrong", setting("DATABASE", "drivers"), ""));
        fails("user", () -> connectAs("nobody_here", "x", setting("DATABASE", "drivers"), ""));
        fails("database", () -> connectAs(setting("USER", "app"), setting("PASSWORD", ""), "no_such_database", ""));
    }

    private static void nativePassword() throws Exception {
        String user = setting("NATIVE_USER", "");
        if (user.isEmpty()) {
            out.println("skip the server has no account with mysql_native_password");
            return;
        }
        try (Connection c = connectAs(user, setting("PASSWORD", ""), setting("DATABASE", "drivers"), "")) {
            query("native", c, "SELECT 1");
        }
    }

    private static void types() throws Exception {
        for (String options : new String[] {"", "&useServerPrepStmts=true"}) {
            try (Connection c = connect(options);
                    PreparedStatement statement = c.prepareStatement("SELECT * FROM all_types WHERE id > ? ORDER BY id")) {
                statement.setInt(1, 0);
                ResultSet result = statement.executeQuery();
                columns(result);
                rows("types " + options, result);
            }
        }
    }

    private static void cursors() throws Exception {
        try (Connection c = connect("&useServerPrepStmts=true&useCursorFetch=true&defaultFetchSize=7")) {
            try (PreparedStatement statement = c.prepareStatement("SELECT n, name FROM numbers WHERE n <= ? ORDER BY n")) {
                statement.setFetchSize(7);
                for (int limit : new int[] {100, 3, 0}) {
                    statement.setInt(1, limit);
                    try (ResultSet result = statement.executeQuery()) {
                        long sum = 0;
                        while (result.next()) {
                            sum += result.getInt(1);
                        }
                        out.println("fetched up to " + limit + " sum " + sum);
                    }
                }
                statement.setInt(1, 900);
                ResultSet open = statement.executeQuery();
                open.next();
                out.println("first " + open.getInt(1));
                query("meanwhile", c, "SELECT 'alive'");
                open.close();
            }
            query("after", c, "SELECT COUNT(*) FROM numbers");
        }
        try (Connection c = connect(""); Statement statement = c.createStatement()) {
            statement.setFetchSize(10);
            ResultSet result = statement.executeQuery("SELECT a.n FROM numbers a, numbers b WHERE b.n <= 10");
            int count = 0;
            while (result.next()) {
                count++;
            }
            out.println("streamed " + count);
        }
    }

    private static void parameters() throws Exception {
        for (String options : new String[] {"", "&useServerPrepStmts=true"}) {
            try (Connection c = connect(options)) {
                try (PreparedStatement statement = c.prepareStatement("SELECT ?, ?, ?, ?, ?, ?, ?")) {
                    statement.setNull(1, Types.VARCHAR);
                    statement.setLong(2, Long.MIN_VALUE);
                    statement.setDouble(3, 1.5);
                    statement.setString(4, "ü🦀'\\");
                    statement.setBytes(5, new byte[] {0, -1, 39});
                    statement.setTimestamp(6, Timestamp.valueOf("2024-02-29 01:02:03.456"));
                    statement.setBigDecimal(7, new java.math.BigDecimal("123456789012345678901234567890.5"));
                    rows("echo " + options, statement.executeQuery());
                }
                try (PreparedStatement insert = c.prepareStatement("INSERT INTO notes (name, body) VALUES (?, ?)",
                        Statement.RETURN_GENERATED_KEYS)) {
                    for (int i = 0; i < 50; i++) {
                        insert.setString(1, "batch" + i);
                        insert.setBytes(2, new byte[] {(byte) i});
                        insert.addBatch();
                    }
                    out.println("batch " + insert.executeBatch().length);
                    ResultSet keys = insert.getGeneratedKeys();
                    int count = 0;
                    while (keys.next()) {
                        count++;
                    }
                    out.println("keys " + count);
                }
                fails("duplicate", () -> update(c, "INSERT INTO notes (name) VALUES ('batch1')"));
                out.println("deleted " + update(c, "DELETE FROM notes WHERE name LIKE 'batch%'"));
            }
        }
        try (Connection c = connect("&rewriteBatchedStatements=true");
                PreparedStatement insert = c.prepareStatement("INSERT INTO notes (name) VALUES (?)")) {
            for (int i = 0; i < 500; i++) {
                insert.setString(1, "rewritten" + i);
                insert.addBatch();
            }
            insert.executeBatch();
            out.println("rewritten " + update(c, "DELETE FROM notes WHERE name LIKE 'rewritten%'"));
        }
    }

    private static void longData() throws Exception {
        byte[] body = new byte[3_000_000];
        Arrays.fill(body, (byte) 7);
        try (Connection c = connect("&useServerPrepStmts=true");
                PreparedStatement insert = c.prepareStatement("REPLACE INTO notes (id, name, body) VALUES (5, ?, ?)")) {
            insert.setString(1, "long");
            InputStream stream = new ByteArrayInputStream(body);
            insert.setBinaryStream(2, stream, body.length);
            out.println("inserted " + insert.executeUpdate());
            query("length", c, "SELECT LENGTH(body), CRC32(body) FROM notes WHERE id = 5");
            update(c, "DELETE FROM notes WHERE id = 5");
        }
    }

    private static void severalResults() throws Exception {
        try (Connection c = connect("&allowMultiQueries=true"); Statement statement = c.createStatement()) {
            drain(statement, statement.execute("SELECT 1; SET @x = 1; SELECT 'zwei', ';'; DO 0"));
            fails("midway", () -> statement.execute("SELECT 1; SELECT broken FROM numbers; SELECT 2"));
            query("alive", c, "SELECT 1");
        }
        for (String options : new String[] {"", "&useServerPrepStmts=true"}) {
            try (Connection c = connect(options)) {
                try (CallableStatement call = c.prepareCall("{CALL two_results(?)}")) {
                    call.setInt(1, 2);
                    drain(call, call.execute());
                }
                try (CallableStatement call = c.prepareCall("{CALL doubles(?, ?)}")) {
                    call.setInt(1, 21);
                    call.registerOutParameter(1, Types.INTEGER);
                    call.registerOutParameter(2, Types.VARCHAR);
                    call.execute();
                    out.println("out " + call.getInt(1) + " " + call.getString(2));
                }
                fails("midway", () -> update(c, "CALL fails_midway()"));
                fails("one only", () -> query("two", c, "SELECT 1; SELECT 2"));
            }
        }
    }

    private static void transactions() throws Exception {
        try (Connection one = connect(""); Connection two = connect("")) {
            one.setAutoCommit(false);
            update(one, "INSERT INTO notes (name) VALUES ('j1')");
            Savepoint savepoint = one.setSavepoint("here");
            update(one, "INSERT INTO notes (name) VALUES ('j2')");
            one.rollback(savepoint);
            query("hidden", two, "SELECT COUNT(*) FROM notes WHERE name LIKE 'j_'");
            one.commit();
            query("shown", two, "SELECT name FROM notes WHERE name LIKE 'j_'");
            update(one, "DELETE FROM notes WHERE name LIKE 'j_'");
            one.commit();
            one.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            query("isolation", one, "SELECT @@transaction_isolation");
            one.rollback();
            one.setReadOnly(true);
            query("read only", one, "SELECT @@transaction_read_only");
            one.rollback();
            one.setReadOnly(false);
        }
    }

    private static void warnings() throws Exception {
        try (Connection c = connect(""); Statement statement = c.createStatement()) {
            statement.execute("INSERT IGNORE INTO numbers VALUES (1, 1, 'x')");
            for (SQLWarning w = statement.getWarnings(); w != null; w = w.getNextWarning()) {
                out.println(w.getErrorCode() + " " + w.getSQLState() + " " + w.getMessage());
            }
            out.println("found " + update(c, "UPDATE numbers SET name = name WHERE n < 5"));
        }
        try (Connection c = connect("&useAffectedRows=true")) {
            out.println("changed " + update(c, "UPDATE numbers SET name = name WHERE n < 5"));
        }
    }

    private static void loadLocalFile() throws Exception {
        File file = File.createTempFile("java", ".tsv");
        StringBuilder text = new StringBuilder();
        for (int n = 0; n < 4000; n++) {
            text.append("java").append(n).append('\t').append("ü").append(n).append('\n');
        }
        Files.write(file.toPath(), text.toString().getBytes(StandardCharsets.UTF_8));
        try (Connection c = connect("&allowLocalInfile=true")) {
            out.println("loaded " + update(c, "LOAD DATA LOCAL INFILE '" + file + "' INTO TABLE notes "
                    + "CHARACTER SET utf8mb4 (name, body)"));
            query("sum", c, "SELECT SUM(CRC32(body)) FROM notes WHERE name LIKE 'java%'");
            out.println("deleted " + update(c, "DELETE FROM notes WHERE name LIKE 'java%'"));
        }
        file.delete();
    }

    private static void bigPackets() throws Exception {
        for (String options : new String[] {"&useServerPrepStmts=true", "&useCompression=true"}) {
            try (Connection c = connect(options);
                    PreparedStatement insert = c.prepareStatement("REPLACE INTO notes (id, name, body) VALUES (6, 'j', ?)")) {
                for (int size : new int[] {17 << 20}) {
                    byte[] body = new byte[size];
                    Arrays.fill(body, (byte) 'j');
                    insert.setBytes(1, body);
                    insert.executeUpdate();
                    try (Statement statement = c.createStatement();
                            ResultSet result = statement.executeQuery("SELECT body FROM notes WHERE id = 6")) {
                        result.next();
                        out.println(options + " " + size + " " + Arrays.equals(body, result.getBytes(1)));
                    }
                }
                update(c, "DELETE FROM notes WHERE id = 6");
            }
        }
    }

    private static void timeoutsAndCancel() throws Exception {
        try (Connection c = connect(""); Statement statement = c.createStatement()) {
            statement.setQueryTimeout(1);
            fails("timeout", () -> statement.executeQuery(FOREVER));
            statement.setQueryTimeout(0);
            query("alive", c, "SELECT 1");
            Thread cancel = new Thread(() -> {
                try {
                    Thread.sleep(400);
                    statement.cancel();
                } catch (Exception error) {
                    out.println("cancel " + error);
                }
            });
            cancel.start();
            fails("cancelled", () -> statement.executeQuery(FOREVER));
            cancel.join();
            query("alive", c, "SELECT 1");
        }
    }

    private static void metadata() throws Exception {
        try (Connection c = connect("")) {
            DatabaseMetaData meta = c.getMetaData();
            String database = setting("DATABASE", "drivers");
            ResultSet columns = meta.getColumns(database, null, "all_types", null);
            while (columns.next()) {
                out.println(columns.getString("COLUMN_NAME") + " " + columns.getInt("DATA_TYPE") + " "
                        + columns.getString("TYPE_NAME") + " " + columns.getInt("COLUMN_SIZE") + " "
                        + columns.getString("IS_NULLABLE"));
            }
            ResultSet keys = meta.getPrimaryKeys(database, null, "notes");
            while (keys.next()) {
                out.println("key " + keys.getString("COLUMN_NAME"));
            }
            ResultSet tables = meta.getTables(database, null, "%", new String[] {"TABLE"});
            while (tables.next()) {
                out.println("table " + tables.getString("TABLE_NAME"));
            }
        }
    }

    private static void serverErrors() throws Exception {
        try (Connection c = connect("")) {
            for (String sql : new String[] {"SELEC 1", "SELECT * FROM no_such_table", "DO no_such_function()",
                "INSERT INTO numbers VALUES (1, 1, 'x')", "CALL nothing()", "SIGNAL SQLSTATE '45000'"}) {
                fails(sql, () -> update(c, sql));
            }
            query("alive", c, "SELECT 1");
        }
    }

    private static void check(String name, Action action) {
        out.println("## " + name);
        try {
            action.run();
        } catch (SQLException error) {
            out.println("raised " + describe(error));
        } catch (Exception error) {
            out.println("FAILED " + error);
        }
    }

    public static void main(String[] arguments) throws Exception {
        out = new PrintStream(System.out, true, "UTF-8");
        if (arguments.length > 0) {
            out.println("usage: java Check    (DRIVER_HOST, DRIVER_PORT, DRIVER_USER, DRIVER_PASSWORD, DRIVER_DATABASE)");
            return;
        }
        check("connecting", Check::connecting);
        check("refused", Check::refused);
        check("native_password", Check::nativePassword);
        check("types", Check::types);
        check("cursors", Check::cursors);
        check("parameters", Check::parameters);
        check("long_data", Check::longData);
        check("several_results", Check::severalResults);
        check("transactions", Check::transactions);
        check("warnings", Check::warnings);
        check("load_local_file", Check::loadLocalFile);
        check("big_packets", Check::bigPackets);
        check("timeouts_and_cancel", Check::timeoutsAndCancel);
        check("metadata", Check::metadata);
        check("server_errors", Check::serverErrors);
        System.exit(0);
    }
}
