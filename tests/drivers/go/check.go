// Checks of go-sql-driver/mysql: prints what each check saw, for comparison line by line.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"database/sql"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

func setting(name, otherwise string) string {
	if value := os.Getenv("DRIVER_" + name); value != "" {
		return value
	}
	return otherwise
}

// open makes a pool; options are appended to the data source name.
func open(options string) *sql.DB { return openAs(setting("USER", "app"), setting("PASSWORD", ""), "", options) }

func openAs(user, password, database, options string) *sql.DB {
	if database == "" {
		database = setting("DATABASE", "drivers")
	}
	dsn := fmt.Sprintf("%s:%s@tcp(%s:%s)/%s?charset=utf8mb4&maxAllowedPacket=0%s", user, password,
		setting("HOST", "127.0.0.1"), setting("PORT", "3306"), database, options)
	pool, err := sql.Open("mysql", dsn)
	must(err)
	return pool
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func describe(err error) string {
	if err == nil {
		return "no error"
	}
	if known, ok := err.(*mysql.MySQLError); ok {
		return fmt.Sprintf("%d %s", known.Number, known.Message)
	}
	return err.Error()
}

func show(value interface{}) string {
	switch typed := value.(type) {
	case []byte:
		if len(typed) > 200 {
			return fmt.Sprintf("bytes[%d] %x", len(typed), sha256.Sum256(typed))
		}
		return fmt.Sprintf("%q", typed)
	case time.Time:
		return typed.Format(time.RFC3339Nano)
	default:
		return fmt.Sprintf("%T %v", value, value)
	}
}

// rows prints columns, their types and up to 20 rows of every result.
func rows(label string, found *sql.Rows, err error) {
	if err != nil {
		fmt.Println(label+":", describe(err))
		return
	}
	defer found.Close()
	for set := true; set; set = found.NextResultSet() {
		types, err := found.ColumnTypes()
		must(err)
		for _, column := range types {
			nullable, _ := column.Nullable()
			precision, scale, _ := column.DecimalSize()
			fmt.Println("  column", column.Name(), column.DatabaseTypeName(), nullable, precision, scale, column.ScanType())
		}
		count := 0
		for found.Next() {
			values := make([]interface{}, len(types))
			targets := make([]interface{}, len(types))
			for i := range values {
				targets[i] = &values[i]
			}
			must(found.Scan(targets...))
			if count++; count <= 20 {
				shown := make([]string, len(values))
				for i, value := range values {
					shown[i] = show(value)
				}
				fmt.Println("  ", strings.Join(shown, " | "))
			}
		}
		fmt.Println(label+":", count, "rows")
	}
	if found.Err() != nil {
		fmt.Println(label+":", describe(found.Err()))
	}
}

func query(label string, pool *sql.DB, text string, arguments ...interface{}) {
	found, err := pool.Query(text, arguments...)
	rows(label, found, err)
}

func exec(label string, pool *sql.DB, text string, arguments ...interface{}) {
	result, err := pool.Exec(text, arguments...)
	if err != nil {
		fmt.Println(label+":", describe(err))
		return
	}
	affected, _ := result.RowsAffected()
	fmt.Println(label+":", affected, "affected")
}

func connecting() {
	for _, options := range []string{"", "&tls=skip-verify", "&collation=utf8mb4_bin", "&clientFoundRows=true", "&tls=preferred"} {
		pool := open(options)
		fmt.Println("ping", options, describe(pool.Ping()))
		query("  answer", pool, "SELECT 1 AS a, DATABASE() AS d, @@collation_connection LIKE 'utf8mb4%' AS c")
		pool.Close()
	}
	state := tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	must(mysql.RegisterTLSConfig("own", &state))
	pool := open("&tls=own")
	fmt.Println("own tls", describe(pool.Ping()))
	pool.Close()
}

func refused() {
	for _, pool := range []*sql.DB{
		openAs(setting("USER", "app"), "wrong", "", ""),
		openAs("nobody_here", "x", "", ""),
		openAs(setting("USER", "app"), setting("PASSWORD", ""), "no_such_database", ""),
	} {
		fmt.Println(describe(pool.Ping()))
		pool.Close()
	}
}

func nativePassword() {
	user := setting("NATIVE_USER", "")
	if user == "" {
		fmt.Println("skip the server has no account with mysql_native_password")
		return
	}
	pool := openAs(user, setting("PASSWORD", ""), "", "")
	fmt.Println(describe(pool.Ping()))
	pool.Close()
}

func types() {
	pool := open("")
	defer pool.Close()
	query("text", pool, "SELECT * FROM all_types ORDER BY id")
	query("binary", pool, "SELECT * FROM all_types WHERE id > ? ORDER BY id", 0)
	parsed := open("&parseTime=true&interpolateParams=true&loc=UTC")
	defer parsed.Close()
	query("times", parsed, "SELECT c_date, c_datetime, c_datetime6, c_timestamp3 FROM all_types WHERE id > ? ORDER BY id", 0)
}

func parameters() {
	pool := open("")
	defer pool.Close()
	query("echo", pool, "SELECT ?, ?, ?, ?, ?, ?", nil, int64(-1), 1.5, "ü🦀", []byte{0, 255, 39}, true)
	query("time", pool, "SELECT ?", time.Date(2024, 2, 29, 1, 2, 3, 456000, time.UTC))
	statement, err := pool.Prepare("SELECT n, name FROM numbers WHERE n = ?")
	must(err)
	for n := 1; n <= 3; n++ {
		found, err := statement.Query(n)
		rows("again", found, err)
	}
	must(statement.Close())
	exec("insert", pool, "INSERT INTO notes (name, body) VALUES (?, ?), (?, ?)", "go1", []byte{1}, "go2", nil)
	exec("update", pool, "UPDATE notes SET body = 'x' WHERE name LIKE ?", "go%")
	exec("duplicate", pool, "INSERT INTO notes (name) VALUES (?)", "go1")
	exec("delete", pool, "DELETE FROM notes WHERE name LIKE ?", "go%")
	exec("broken", pool, "SELECT FROM ?", 1)
}

func multiple() {
	pool := open("&multiStatements=true")
	defer pool.Close()
	query("several", pool, "SELECT 1 AS a; SELECT 'zwei' AS b, 3.5 AS c; SELECT ';'")
	query("procedure", pool, "CALL two_results(2)")
	query("prepared procedure", pool, "CALL two_results(?)", 2)
	// An error after a first result makes this version of the driver wait for ever, so it is left to others.
	exec("writes", pool, "INSERT INTO notes (name) VALUES ('gm'); DELETE FROM notes WHERE name = 'gm'")
	single := open("")
	defer single.Close()
	query("not allowed", single, "SELECT 1; SELECT 2")
}

func transactions() {
	pool := open("")
	defer pool.Close()
	ctx := context.Background()
	for _, options := range []*sql.TxOptions{nil, {Isolation: sql.LevelSerializable}, {ReadOnly: true}} {
		tx, err := pool.BeginTx(ctx, options)
		must(err)
		_, err = tx.Exec("INSERT INTO notes (name) VALUES ('gotx')")
		fmt.Println("insert", describe(err))
		found, err := tx.Query("SELECT @@transaction_isolation, COUNT(*) FROM notes WHERE name = 'gotx'")
		rows("inside", found, err)
		must(tx.Rollback())
	}
	query("after", pool, "SELECT COUNT(*) FROM notes WHERE name = 'gotx'")
}

func sessions() {
	pool := open("&time_zone=%27%2B02%3A00%27&sql_mode=%27ANSI_QUOTES%27")
	defer pool.Close()
	query("parameters", pool, "SELECT @@time_zone, @@sql_mode")
	ctx := context.Background()
	connection, err := pool.Conn(ctx)
	must(err)
	_, err = connection.ExecContext(ctx, "SET @go = 7")
	must(err)
	found, err := connection.QueryContext(ctx, "SELECT @go")
	rows("variable", found, err)
	must(connection.Close())
}

func cancelled() {
	pool := open("")
	defer pool.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	// Bounded: a plain server does not notice that its client has gone.
	_, err := pool.QueryContext(ctx, "SELECT SLEEP(2)")
	fmt.Println("cancelled:", describe(err))
	query("alive", pool, "SELECT 1")
}

func loadLocalFile() {
	pool := open("")
	defer pool.Close()
	var text bytes.Buffer
	for n := 0; n < 30000; n++ {
		fmt.Fprintf(&text, "gofile%d\tü🦀%d\n", n, n)
	}
	mysql.RegisterReaderHandler("rows", func() io.Reader { return bytes.NewReader(text.Bytes()) })
	exec("loaded", pool, "LOAD DATA LOCAL INFILE 'Reader::rows' INTO TABLE notes CHARACTER SET utf8mb4 (name, body)")
	query("sum", pool, "SELECT COUNT(*), SUM(CRC32(body)) FROM notes WHERE name LIKE 'gofile%'")
	exec("missing", pool, "LOAD DATA LOCAL INFILE 'Reader::none' INTO TABLE notes (name)")
	query("alive", pool, "SELECT 1")
	exec("deleted", pool, "DELETE FROM notes WHERE name LIKE 'gofile%'")
}

func bigPackets() {
	pool := open("")
	defer pool.Close()
	for _, size := range []int{17 << 20} {
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		exec("stored", pool, "REPLACE INTO notes (id, name, body) VALUES (4, 'big go', ?)", body)
		var back []byte
		must(pool.QueryRow("SELECT body FROM notes WHERE id = ?", 4).Scan(&back))
		fmt.Println(size, bytes.Equal(back, body))
	}
	exec("deleted", pool, "DELETE FROM notes WHERE id = 4")
}

func concurrent() {
	pool := open("")
	defer pool.Close()
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(4)
	var group sync.WaitGroup
	var lock sync.Mutex
	total := 0
	for worker := 0; worker < 32; worker++ {
		group.Add(1)
		go func(worker int) {
			defer group.Done()
			for step := 0; step < 20; step++ {
				var got int
				if err := pool.QueryRow("SELECT ? + n FROM numbers WHERE n = ?", worker, step+1).Scan(&got); err != nil {
					fmt.Println(describe(err))
				}
				lock.Lock()
				total += got
				lock.Unlock()
			}
		}(worker)
	}
	group.Wait()
	fmt.Println("total", total)
}

func serverErrors() {
	pool := open("")
	defer pool.Close()
	for _, text := range []string{"SELEC 1", "SELECT * FROM no_such_table", "USE no_such_database", "DO no_such_function()",
		"INSERT INTO numbers VALUES (1, 1, 'x')", "SIGNAL SQLSTATE '01000'", "CALL nothing()"} {
		exec(text, pool, text)
	}
}

func main() {
	if len(os.Args) > 1 {
		fmt.Println("usage: check    (DRIVER_HOST, DRIVER_PORT, DRIVER_USER, DRIVER_PASSWORD, DRIVER_DATABASE)")
		return
	}
	// The driver logs packet errors the checks provoke.
	must(mysql.SetLogger(quiet{}))
	for _, check := range []struct {
		name string
		run  func()
	}{
		{"connecting", connecting}, {"refused", refused}, {"native_password", nativePassword}, {"types", types},
		{"parameters", parameters}, {"multiple", multiple}, {"transactions", transactions}, {"sessions", sessions},
		{"cancelled", cancelled}, {"load_local_file", loadLocalFile}, {"big_packets", bigPackets},
		{"concurrent", concurrent}, {"server_errors", serverErrors},
	} {
		fmt.Println("##", check.name)
		guard(check.run)
	}
}

type quiet struct{}

func (quiet) Print(...interface{}) {}

func guard(run func()) {
	defer func() {
		if failure := recover(); failure != nil {
			if err, ok := failure.(error); ok {
				failure = describe(err)
			}
			fmt.Println("FAILED", failure)
		}
	}()
	run()
}
