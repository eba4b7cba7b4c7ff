# Checks of Ruby's mysql2 without Rails: prints what each check saw, for comparison line by line.
require "mysql2"
require "digest"
require "tempfile"

if ARGV.include?("--help")
  puts "usage: ruby check.rb    (DRIVER_HOST, DRIVER_PORT, DRIVER_USER, DRIVER_PASSWORD, DRIVER_DATABASE)"
  exit
end

SETTINGS = {
  host: ENV.fetch("DRIVER_HOST", "127.0.0.1"), port: Integer(ENV.fetch("DRIVER_PORT", "3306")),
  username: ENV.fetch("DRIVER_USER", "app"), password: ENV.fetch("DRIVER_PASSWORD", ""),
  database: ENV.fetch("DRIVER_DATABASE", "drivers"), encoding: "utf8mb4", local_infile: true
}.freeze
NATIVE_USER = ENV.fetch("DRIVER_NATIVE_USER", "")
FOREVER = "SELECT SUM(a.n * b.n + c.n) FROM numbers a, numbers b, numbers c WHERE c.n <= 200".freeze
CHECKS = {}

def check(name, &body)
  CHECKS[name] = body
end

def show(value)
  return value.inspect unless value.is_a?(String)
  return "#{value.encoding}[#{value.bytesize}] #{Digest::SHA256.hexdigest(value)[0, 16]}" if value.bytesize > 200
  "#{value.inspect}:#{value.encoding}"
end

def rows(label, result)
  found = result.to_a
  puts "#{label}: #{found.size} rows"
  found.first(20).each { |row| puts "   " + row.map { |key, value| "#{key}=#{show(value)}" }.join(" | ") }
end

def fails(label)
  yield
  puts "#{label}: no error"
rescue Mysql2::Error => error
  puts "#{label}: #{error.class} #{error.errno} #{error.sql_state} #{error.message}"
end

def connect(**options)
  client = Mysql2::Client.new(SETTINGS.merge(options))
  return client unless block_given?
  begin
    yield client
  ensure
    client.close
  end
end

check "connect" do
  connect { |c| rows("plain", c.query("SELECT 1 AS a, DATABASE() AS d, @@character_set_client AS c")) }
  connect(sslcipher: "HIGH", sslverify: false) { |c| puts "tls #{!c.ssl_cipher.nil?}", c.query("SELECT 1 AS a").to_a.inspect }
  connect(connect_attrs: { program_name: "checks" }) { |c| rows("attributes", c.query("SELECT 1 AS a")) }
  connect(init_command: "SET @begun = 1") { |c| rows("init", c.query("SELECT @begun AS b")) }
end

check "refused" do
  fails("password") { connect(password: "wrong") }
  fails("user") { connect(username: "nobody_here") }
  fails("database") { connect(database: "no_such_database") }
end

check "native_password" do
  next puts("skip the server has no account with mysql_native_password") if NATIVE_USER.empty?
  connect(username: NATIVE_USER) { |c| rows("native", c.query("SELECT 1 AS a")) }
  fails("wrong") { connect(username: NATIVE_USER, password: "wrong") }
end

check "types_in_text_and_binary" do
  connect do |c|
    sql = "SELECT * FROM all_types ORDER BY id"
    text = c.query(sql)
    puts text.fields.inspect
    rows("text", text)
    # mysql2 cannot read times beyond a day in the binary protocol.
    names = (text.fields - %w[c_time c_time6]).map { |name| "`#{name}`" }.join(", ")
    binary = c.prepare("SELECT #{names} FROM all_types ORDER BY id").execute
    rows("binary", binary)
    rows("cast", c.query(sql, cast_booleans: true, symbolize_keys: true, database_timezone: :utc))
    rows("raw", c.query(sql, cast: false))
  end
end

check "prepared" do
  connect do |c|
    statement = c.prepare("SELECT n, name, ? AS p FROM numbers WHERE n BETWEEN ? AND ? ORDER BY n")
    puts statement.param_count, statement.field_count
    rows("one", statement.execute("ü🦀", 3, 5))
    rows("two", statement.execute(nil, 1, 1))
    rows("float", statement.execute(1.5, 2, 2))
    rows("time", c.prepare("SELECT ? AS t, ? AS d").execute(Time.utc(2024, 2, 29, 1, 2, 3.5r), Date.new(2020, 1, 2)))
    statement.close
    insert = c.prepare("INSERT INTO notes (name, body) VALUES (?, ?)")
    insert.execute("ruby", "\0\xFF".b)
    puts insert.affected_rows, insert.last_id.positive?
    fails("duplicate") { insert.execute("ruby", nil) }
    fails("broken") { c.prepare("SELECT FROM") }
    c.query("DELETE FROM notes WHERE name = 'ruby'")
    puts c.affected_rows
    50.times { |n| c.prepare("SELECT #{n}").tap(&:execute) }
    rows("alive", c.query("SELECT 1 AS a"))
  end
end

check "several_statements" do
  connect(flags: Mysql2::Client::MULTI_STATEMENTS) do |c|
    rows("first", c.query("SELECT 1 AS a; DO 0; SELECT ';' AS b"))
    while c.next_result
      result = c.store_result
      result ? rows("next", result) : puts("none, #{c.affected_rows}")
    end
    rows("before", c.query("SELECT 1 AS a; SELECT broken FROM numbers; SELECT 2"))
    fails("midway") { c.next_result }
    rows("alive", c.query("SELECT 1 AS a"))
    rows("procedure", c.query("CALL two_results(2)"))
    rows("second", c.store_result) while c.next_result && c.more_results?
    c.abandon_results!
    c.set_server_option(Mysql2::Client::OPTION_MULTI_STATEMENTS_OFF)
    fails("off") { c.query("SELECT 1; SELECT 2") }
    c.set_server_option(Mysql2::Client::OPTION_MULTI_STATEMENTS_ON)
    rows("on", c.query("SELECT 1 AS a; SELECT 2"))
    c.abandon_results!
  end
end

check "streaming" do
  connect do |c|
    sum = 0
    c.query("SELECT a.n FROM numbers a, numbers b WHERE b.n <= 20", stream: true, cache_rows: false)
     .each { |row| sum += row["n"] }
    puts sum
  end
end

check "asynchronous" do
  connect do |c|
    c.query("SELECT SLEEP(0.1) AS s", async: true)
    fails("busy") { c.query("SELECT 1") }
    rows("later", c.async_result)
  end
end

check "answers_of_writes" do
  connect(flags: Mysql2::Client::FOUND_ROWS) do |c|
    c.query("UPDATE numbers SET name = name WHERE n <= 7")
    puts c.affected_rows, c.query_info.inspect, c.query_info_string.inspect
    c.query("INSERT IGNORE INTO numbers VALUES (1, 1, 'x'), (2, 2, 'y')")
    puts c.affected_rows, c.query_info.inspect, c.warning_count
    rows("warnings", c.query("SHOW WARNINGS"))
  end
end

check "load_local_file" do
  connect do |c|
    Tempfile.create("ruby") do |file|
      3000.times { |n| file.puts("ruby#{n}\tü#{n}") }
      file.flush
      c.query("LOAD DATA LOCAL INFILE '#{file.path}' INTO TABLE notes CHARACTER SET utf8mb4 (name, body)")
      puts c.affected_rows, c.query_info.inspect
    end
    rows("sum", c.query("SELECT SUM(CRC32(body)) AS s FROM notes WHERE name LIKE 'ruby%'"))
    c.query("DELETE FROM notes WHERE name LIKE 'ruby%'")
  end
end

check "big_packets" do
  connect do |c|
    [17].each do |size|
      body = Random.new(size).bytes(size << 20)
      c.prepare("REPLACE INTO notes (id, name, body) VALUES (3, 'big ruby', ?)").execute(body)
      row = c.query("SELECT body, SHA2(body, 256) AS s FROM notes WHERE id = 3").first
      puts "#{size} #{row["s"] == Digest::SHA256.hexdigest(body)} #{row["body"] == body}"
    end
    c.query("DELETE FROM notes WHERE id = 3")
  end
end

check "session" do
  connect do |c|
    puts c.ping, c.thread_id == c.query("SELECT CONNECTION_ID() AS i").first["i"]
    c.select_db("information_schema")
    rows("database", c.query("SELECT DATABASE() AS d"))
    c.select_db(SETTINGS[:database])
    fails("nowhere") { c.select_db("no_such_database") }
    rows("still", c.query("SELECT DATABASE() AS d"))
    c.query("SET NAMES latin1")
    puts c.escape("it's \\ \"")
    c.query("SET NAMES utf8mb4")
    c.close
    fails("closed") { c.query("SELECT 1") }
  end
end

check "read_timeout" do
  c = connect(read_timeout: 1)
  fails("timeout") { c.query("SELECT SLEEP(3)") }
  connect { |other| rows("alive", other.query("SELECT 1 AS a")) }
end

check "kill_a_query" do
  connect do |victim|
    connect do |killer|
      thread = Thread.new { sleep(0.4) && killer.query("KILL QUERY #{victim.thread_id}") }
      fails("killed") { victim.query(FOREVER) }
      thread.join
      rows("alive", victim.query("SELECT 1 AS a"))
      killer.query("KILL #{victim.thread_id}")
      sleep 0.1
      begin
        victim.query("SELECT 1")
        puts "still there"
      rescue Mysql2::Error => error
        puts error.class
      end
    end
  end
end

$stdout.sync = true
CHECKS.each do |name, body|
  puts "## #{name}"
  body.call
rescue Mysql2::Error => error
  puts "raised #{error.class} #{error.errno} #{error.sql_state} #{error.message}"
rescue StandardError => error
  puts "FAILED #{error.class} #{error.message.lines.first}"
end
