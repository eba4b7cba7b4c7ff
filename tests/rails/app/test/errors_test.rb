require_relative "test_helper"

BothProtocols.define("Errors") do
  def errno(error)
    error.cause.error_number
  end

  def fails_with(klass, number)
    error = assert_raises(klass) { yield }
    assert_instance_of klass, error
    assert_equal number, errno(error)
    assert_equal 1, connection.select_value("SELECT 1")
    error
  end

  test "constraint violations have their own classes" do
    ada = user
    fails_with(ActiveRecord::RecordNotUnique, 1062) { User.insert!({ workspace_id: HOME, email: ada.email, created_at: Time.now, updated_at: Time.now }) }
    fails_with(ActiveRecord::NotNullViolation, 1048) { Tag.create!(name: "x").update_column(:name, nil) }
    fails_with(ActiveRecord::ValueTooLong, 1406) { Tag.create!(name: "x" * 101) }
    fails_with(ActiveRecord::RangeError, 1264) { connection.execute("INSERT INTO samples (workspace_id, tiny) VALUES (#{HOME}, 1000)") }
    fails_with(ActiveRecord::InvalidForeignKey, 1452) { Issue.new(title: "x", author_id: 0).save!(validate: false) }
    issue(author: ada)
    fails_with(ActiveRecord::InvalidForeignKey, 1451) { User.where(id: ada.id).delete_all }
  end

  test "messages name the key, not the server behind" do
    ada = user
    error = assert_raises(ActiveRecord::RecordNotUnique) { User.insert!({ workspace_id: HOME, email: ada.email, created_at: Time.now, updated_at: Time.now }) }
    assert_match(/Duplicate entry '42-ada@example.test' for key/, error.message)
    assert_equal "23000", error.cause.sql_state
  end

  test "statements the server cannot run" do
    fails_with(ActiveRecord::StatementInvalid, 1064) { connection.execute("SELEC 1") }
    fails_with(ActiveRecord::StatementInvalid, 1146) { connection.execute("SELECT * FROM no_such_table") }
    fails_with(ActiveRecord::StatementInvalid, 1054) { connection.execute("SELECT no_such_column FROM tags") }
    fails_with(ActiveRecord::StatementInvalid, 1305) { connection.execute("SELECT no_such_function()") }
    fails_with(ActiveRecord::StatementInvalid, 1365) do
      connection.execute("INSERT INTO samples (workspace_id, tiny) VALUES (#{HOME}, 1 DIV 0)")
    end
  end

  test "a lock wait that lasts too long" do
    marker = Marker.create!(writer: 0, step: 0)
    Marker.transaction do
      Marker.lock.find(marker.id)
      error = assert_raises(ActiveRecord::LockWaitTimeout) do
        on_second_connection do |second|
          second.execute("SET SESSION innodb_lock_wait_timeout = 1")
          begin
            Marker.where(id: marker.id).update_all(balance: 1)
          ensure
            second.execute("SET SESSION innodb_lock_wait_timeout = DEFAULT")
          end
        end
      end
      assert_equal 1205, errno(error)
    end
  end

  test "a deadlock is one side's error and the other's success" do
    one = Marker.create!(writer: 1, step: 0)
    two = Marker.create!(writer: 2, step: 0)
    gate = Concurrent::CyclicBarrier.new(2)
    outcomes = [[one, two], [two, one]].map do |first, second|
      Thread.new do
        ActiveRecord::Base.connection_pool.with_connection do
          Workspace.with(HOME) { lock_in_order(first, second, gate) }
        end
      end
    end.map(&:value)
    assert_equal %w[ActiveRecord::Deadlocked done], outcomes.sort
    assert_equal [1, 1], Marker.pluck(:balance)
  end

  def lock_in_order(first, second, gate)
    Marker.transaction do
      Marker.where(id: first.id).update_all("balance = balance + 1")
      raise "the other did not come" unless gate.wait(60)
      Marker.where(id: second.id).update_all("balance = balance + 1")
    end
    "done"
  rescue ActiveRecord::Deadlocked => error
    error.class.name
  end

  test "a statement that runs too long or is killed" do
    error = assert_raises(ActiveRecord::StatementTimeout) do
      connection.select_value("SELECT /*+ MAX_EXECUTION_TIME(100) */ COUNT(*) FROM #{big_join}")
    end
    assert_equal 3024, errno(error)
    id = connection.select_value("SELECT CONNECTION_ID()")
    is_over = false
    killer = Thread.new do
      ActiveRecord::Base.connection_pool.with_connection do |other|
        # A KILL QUERY that comes before its statement, or behind it, kills nothing.
        until is_over
          other.execute("KILL QUERY #{id}")
          sleep 0.1
        end
      end
    end
    error = begin
      assert_raises(ActiveRecord::QueryCanceled) { connection.select_value("SELECT COUNT(*) FROM #{big_join}") }
    ensure
      is_over = true
      killer.join
    end
    assert_equal 1317, errno(error)
    assert_equal 1, connection.select_value("SELECT 1")
  end

  # Work for minutes, made of nothing.
  def big_join
    ones = (["SELECT 1 AS n"] + ["SELECT 1"] * 40).join(" UNION ALL ")
    (1..7).map { |i| "(#{ones}) AS t#{i}" }.join(" CROSS JOIN ")
  end

  test "a database that is not there" do
    config = ActiveRecord::Base.connection_db_config.configuration_hash.merge(database: "no_such_database_here")
    handler = ActiveRecord::ConnectionAdapters::ConnectionHandler.new
    pool = handler.establish_connection(config)
    assert_raises(ActiveRecord::NoDatabaseError) { pool.connection }
    pool = handler.establish_connection(config.merge(database: nil, password: "wrong"))
    error = assert_raises(StandardError) { pool.connection }
    assert_match(/Access denied for user/, error.message)
  end
end
