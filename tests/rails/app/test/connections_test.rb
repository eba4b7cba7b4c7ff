require_relative "test_helper"

class ConnectionsTest < TrackerCase
  def run(...)
    BothProtocols.use(false)
    super
  end

  test "the session is set up as Rails asks" do
    modes = connection.select_value("SELECT @@SESSION.sql_mode")
    assert_includes modes, "STRICT_ALL_TABLES"
    assert_equal 0, connection.select_value("SELECT @@SESSION.sql_auto_is_null")
    assert_equal "utf8mb4", connection.select_value("SELECT @@SESSION.character_set_results")
    assert_equal 2_147_483, connection.select_value("SELECT @@SESSION.wait_timeout")
  end

  test "settings of one connection do not leak into another" do
    connection.execute("SET SESSION sql_mode = 'ANSI_QUOTES', SESSION group_concat_max_len = 4444, time_zone = '+03:00'")
    assert_equal [4444, "+03:00"], settings(connection)
    30.times do
      on_second_connection { |second| refute_equal [4444, "+03:00"], settings(second) }
    end
    assert_equal [4444, "+03:00"], settings(connection)
    assert_equal "issues", connection.select_value('SELECT "issues" FROM (SELECT \'issues\' AS "issues") AS t')
  ensure
    connection.reconnect!
  end

  def settings(of)
    of.select_rows("SELECT @@SESSION.group_concat_max_len, @@SESSION.time_zone").first
  end

  test "user variables belong to their session" do
    connection.execute("SET @seen = 'mine'")
    assert_nil(on_second_connection { |second| second.select_value("SELECT @seen") })
    assert_equal "mine", connection.select_value("SELECT @seen")
    connection.execute("SET @seen = NULL")
  end

  test "reset! forgets what the session had" do
    on_second_connection do |second|
      second.execute("SET @forget = 1, SESSION group_concat_max_len = 4321")
      second.begin_db_transaction
      second.execute("INSERT INTO tags (workspace_id, name) VALUES (#{HOME}, 'uncommitted')")
      second.reset!
      Workspace.enter(HOME)
      assert_nil second.select_value("SELECT @forget")
      refute_equal 4321, second.select_value("SELECT @@SESSION.group_concat_max_len")
    end
    assert_equal 0, Tag.count
  end

  test "reconnect! and disconnect! give a fresh session" do
    on_second_connection do |second|
      second.execute("SET @forget = 1")
      assert second.active?
      second.reconnect!
      Workspace.enter(HOME)
      assert_nil second.select_value("SELECT @forget")
      second.disconnect!
      refute second.active?
      second.verify!
      Workspace.enter(HOME)
      assert_equal 0, Tag.count
    end
  end

  test "a connection killed by an operator is replaced" do
    victim = Queue.new
    killed = Queue.new
    thread = Thread.new do
      ActiveRecord::Base.connection_pool.with_connection do |second|
        victim << second.select_value("SELECT CONNECTION_ID()")
        killed.pop
        assert_raises(ActiveRecord::StatementInvalid) { second.select_value("SELECT 1") }
        refute second.active?
        second.verify!
        second.select_value("SELECT 1 + 1")
      end
    end
    connection.execute("KILL #{victim.pop}")
    killed << true
    assert_equal 2, thread.value
  end

  test "several statements in one packet" do
    config = connection.instance_variable_get(:@config).merge(flags: Mysql2::Client::MULTI_STATEMENTS)
    client = Mysql2::Client.new(config)
    Workspace.separate_databases? && client.query("USE `ws_#{HOME}`")
    values = client.query("SELECT 1 AS a; SELECT 'two' AS b, 2.5 AS c; DO 0; SELECT 4 AS d").to_a
    while client.next_result
      result = client.store_result
      values.concat(result.to_a) if result
    end
    assert_equal [{ "a" => 1 }, { "b" => "two", "c" => BigDecimal("2.5") }, { "d" => 4 }],
                 values.map { |row| row.transform_keys(&:to_s) }
    assert_equal({ "n" => 0 }, client.query("SELECT COUNT(*) AS n FROM tags").first.transform_keys(&:to_s))
  ensure
    client&.close
  end

  test "fixtures are inserted with several statements at once" do
    rows = { "tags" => [{ workspace_id: HOME, name: "f1" }, { workspace_id: HOME, name: "f2" }],
             "markers" => [{ workspace_id: HOME, writer: 1, step: 1 }] }
    connection.insert_fixtures_set(rows, %w[tags markers])
    assert_equal [%w[f1 f2], 1], [Tag.order(:name).pluck(:name), Marker.count]
  end

  test "the pool reaps and flushes connections" do
    config = ActiveRecord::Base.connection_db_config.configuration_hash.merge(pool: 5, idle_timeout: 1)
    pool = ActiveRecord::ConnectionAdapters::ConnectionHandler.new.establish_connection(config)
    Thread.new { pool.connection.select_value("SELECT 1") }.join
    assert_equal 1, pool.stat[:dead]
    pool.reap
    assert_equal [0, 1], pool.stat.values_at(:dead, :idle)
    pool.flush(0)
    assert_equal 0, pool.stat[:connections]
    5.times.map { Thread.new { pool.with_connection { |c| c.select_value("SELECT SLEEP(0.05)") } } }.each(&:join)
    assert_operator pool.stat[:connections], :<=, 5
  ensure
    pool&.disconnect!
  end

  test "many short connections" do
    config = connection.instance_variable_get(:@config)
    60.times do
      client = Mysql2::Client.new(config)
      assert_equal [{ "n" => 1 }], client.query("SELECT 1 AS n", symbolize_keys: false).to_a
      client.close
    end
  end

  test "the query cache works per request" do
    executor = Rails.application.executor
    executor.wrap do
      Workspace.enter(HOME)
      assert ActiveRecord::Base.connection.query_cache_enabled
      2.times { assert_equal 0, Tag.count }
    end
  ensure
    Workspace.enter(HOME)
  end

  test "work goes on after the server was restarted" do
    command = ENV["RESTART_COMMAND"] or skip "RESTART_COMMAND is not set"
    tag = Tag.create!(name: "before")
    assert_raises(ActiveRecord::StatementInvalid, ActiveRecord::ConnectionNotEstablished) do
      Tag.transaction do
        Tag.create!(name: "in flight")
        assert system(command, out: File::NULL), "the restart command failed"
        Tag.create!(name: "after the restart")
      end
    end
    connection.verify!
    Workspace.enter(HOME)
    assert_equal [tag], Tag.all.to_a
    Tag.create!(name: "after")
    assert_equal %w[after before], Tag.order(:name).pluck(:name)
    # What idled in the pool meanwhile is no use any more, and is not handed out.
    assert_equal(2, on_second_connection { |second| second.verify! && Workspace.enter(HOME) || Tag.count })
  end
end
