require_relative "test_helper"
require "uri"

# What an application sees of a shard that takes no statements: errors of classes that are run again, on a connection
# that stays. The gates are set through Bulkhead's admin port.
BothProtocols.define("Admission") do
  def setup
    url = ENV["BULKHEAD_ADMIN_URL"] or skip "BULKHEAD_ADMIN_URL is not set"
    uri = URI(url)
    @admin = Mysql2::Client.new(host: uri.host, port: uri.port, username: uri.user, password: uri.password)
    connection.select_value("SELECT 1")
  end

  def teardown
    return unless @admin
    gates("OPEN")
    lanes("OPEN")
    @admin.close
  end

  def gates(state)
    %w[c1 c2].each { |cluster| @admin.query("SET GATE CLUSTER #{cluster} #{state}") }
  end

  def lanes(state)
    %w[c1 c2].each { |cluster| @admin.query("SET DDL LANE #{cluster} #{state}") }
  end

  def session
    connection.select_value("SELECT CONNECTION_ID()")
  end

  # Raises exactly this class, and the session is the same afterwards.
  def told(klass, number, code)
    before = session
    error = assert_raises(klass) { yield }
    assert_instance_of klass, error
    assert_equal number, error.cause.error_number
    assert_match(/bulkhead #{code} \w+: .*nothing (was sent|of it is left)/, error.message)
    assert_match(/retry after \d+ ms/, error.message)
    assert_equal before, session
    error
  end

  test "a refused write is a lock wait, says when to come again, and succeeds then" do
    gates("REFUSING")
    error = told(ActiveRecord::LockWaitTimeout, 1205, "E4007") { Tag.create!(name: "refused") }
    assert_match(%r{shard (app_test/-|workspaces/ws-[ab]) on cluster c[12]}, error.message)
    told(ActiveRecord::LockWaitTimeout, 1205, "E4007") { Tag.where(name: "x").update_all(name: "y") }
    assert_equal 0, Tag.count
    attempts = 0
    begin
      attempts += 1
      Tag.transaction { Tag.create!(name: "again") }
    rescue ActiveRecord::LockWaitTimeout, ActiveRecord::Deadlocked
      gates("OPEN")
      retry if attempts < 3
      raise
    end
    assert_equal [2, ["again"]], [attempts, Tag.pluck(:name)]
  end

  test "a statement that is held is only late" do
    gates("BUFFERING FOR 20")
    opener = Thread.new do
      sleep 0.5
      gates("OPEN")
    end
    Tag.create!(name: "held")
    opener.join
    assert_equal ["held"], Tag.pluck(:name)
  end

  test "a transaction that a drain cuts is a lock wait, and nothing of it is left" do
    told(ActiveRecord::LockWaitTimeout, 1205, "E4011") do
      Tag.transaction do
        Tag.create!(name: "cut")
        gates("DRAINED")
        Tag.create!(name: "cut too")
      end
    end
    told(ActiveRecord::LockWaitTimeout, 1205, "E4008") { Tag.create!(name: "drained") }
    assert_equal 0, Tag.count
    gates("OPEN")
    Tag.transaction { Tag.create!(name: "later") }
    assert_equal ["later"], Tag.pluck(:name)
  end

  test "a commit behind a drain is a lock wait too" do
    told(ActiveRecord::LockWaitTimeout, 1205, "E4011") do
      Tag.transaction do
        Tag.create!(name: "uncommitted")
        gates("DRAINED")
      end
    end
    assert_equal 0, Tag.count
  end

  test "a migration behind a closed lane is a lock wait" do
    lanes("CLOSED")
    told(ActiveRecord::LockWaitTimeout, 1205, "E4010") { connection.add_column(:tags, :colour, :string) }
    assert_not connection.column_exists?(:tags, :colour)
    Tag.create!(name: "rows go on")
    lanes("OPEN")
  end
end
