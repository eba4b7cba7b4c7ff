require_relative "test_helper"

class SchemaTest < TrackerCase
  def run(...)
    BothProtocols.use(false)
    super
  end

  test "every migration is recorded as applied" do
    assert_equal %w[20260101000001 20260101000002 20260101000003 20260101000004 20260101000005],
                 ActiveRecord::SchemaMigration.all_versions.sort
    assert_equal 20260101000005, Schema.context.current_version
    refute Schema.context.needs_migration?
    assert_equal "test", ActiveRecord::InternalMetadata[:environment]
  end

  test "migrations run up and down, step by step" do
    in_lab do |lab|
      lab.up(20260201000001)
      assert_includes connection.tables, "gauges"
      assert_equal "readings; of a 'gauge'", connection.table_comment("gauges")
      lab.up
      assert_includes connection.tables, "meters"
      refute_includes connection.tables, "gauges"
      assert_equal %w[name unit reading_value user_id].sort,
                   (connection.columns("meters").map(&:name) & %w[name unit reading_value user_id]).sort
      assert_equal "°C", connection.select_value("SELECT unit FROM meters WHERE name = 'one'")
      assert_equal ["by_unit"], lab_indexes.grep(/by_unit\z/).map { |name| name.delete_prefix("meters_") }
      lab.rollback(1)
      assert_includes connection.tables, "gauges"
      refute_includes connection.tables, "meters_tags"
      lab.down
      refute_includes connection.tables, "gauges"
      assert_equal 20260101000005, ActiveRecord::SchemaMigration.all_versions.map(&:to_i).max
    end
  end

  test "a migration that fails leaves its version unrecorded" do
    broken = Class.new(ActiveRecord::Migration[6.1]) do
      def self.name
        "BreakThings"
      end

      def up
        execute "ALTER TABLE no_such_table ADD COLUMN x INT"
      end
    end
    instance = broken.new("BreakThings", 20270101000001)
    migrator = ActiveRecord::Migrator.new(:up, [instance], ActiveRecord::SchemaMigration)
    error = assert_raises(StandardError) { Schema.quietly { migrator.migrate } }
    assert_match(/no_such_table/, error.message)
    refute_includes ActiveRecord::SchemaMigration.all_versions, "20270101000001"
  end

  test "the advisory lock keeps a second migration out" do
    assert connection.supports_advisory_locks?
    name = ActiveRecord::Migrator.new(:up, [], ActiveRecord::SchemaMigration).send(:generate_migrator_advisory_lock_id)
    ready = Queue.new
    done = Queue.new
    workspace = Workspace.current
    holder = Thread.new do
      # The statements of both belong to one workspace; neither connection was switched to it.
      Thread.current[:workspace_id] = workspace
      config = ActiveRecord::Base.connection_db_config
      pool = ActiveRecord::ConnectionAdapters::ConnectionHandler.new.establish_connection(config)
      pool.with_connection do |other|
        ready << other.get_advisory_lock(name)
        done.pop
        ready << other.release_advisory_lock(name)
      end
    ensure
      pool&.disconnect!
    end
    assert_equal true, ready.pop
    assert_raises(ActiveRecord::ConcurrentMigrationError) { in_lab(clean: false, &:up) }
    done << true
    assert_equal true, ready.pop
    holder.join
    in_lab { |lab| lab.up(20260201000001) }
  end

  test "advisory locks are held by one connection, counted and released" do
    assert connection.get_advisory_lock("tracker:a", 0)
    assert connection.get_advisory_lock("tracker:a", 0)
    free = on_second_connection { |second| second.get_advisory_lock("tracker:a", 0) }
    assert_equal false, free
    assert connection.release_advisory_lock("tracker:a")
    assert connection.release_advisory_lock("tracker:a")
    refute connection.release_advisory_lock("tracker:a")
    assert_equal(true, on_second_connection do |second|
      second.get_advisory_lock("tracker:a", 0) && second.release_advisory_lock("tracker:a")
    end)
  end

  test "a lock that another has ties a connection to nothing" do
    assert connection.get_advisory_lock("tracker:b", 0)
    on_second_connection do |second|
      assert_equal false, second.get_advisory_lock("tracker:b", 0)
      in_workspace(OTHER) do
        Marker.transaction { Marker.create!(writer: -1, step: 0) }
        assert_equal 1, Marker.where(writer: -1).delete_all
      end
    end
  ensure
    assert connection.release_advisory_lock("tracker:b")
  end

  test "the schema dump loads elsewhere and dumps the same again" do
    first = dump
    assert_match(/create_table "samples"/, first)
    assert_match(/t\.json "document"/, first)
    assert_match(/add_foreign_key "issues", "users", column: "author_id"/, first)
    target = Workspace.separate_databases? ? OTHER : HOME
    in_workspace(target) do
      Schema.clear_tables(target)
      Schema.quietly { eval(first, TOPLEVEL_BINDING, "schema.rb") }
      assert_equal first, dump
      refute Schema.context.needs_migration?
    end
  end

  test "tables, columns, indexes and foreign keys are read back" do
    assert_equal %w[ar_internal_metadata attachments comments issues markers samples schema_migrations taggings tags
                    users], connection.tables.sort
    assert connection.table_exists?("issues")
    refute connection.table_exists?("ws_issues")
    assert_equal [], connection.views
    columns = connection.columns("users").index_by(&:name)
    assert_equal "varchar(190)", columns["email"].sql_type
    assert_equal false, columns["email"].null
    assert_equal "decimal(20,6)", columns["balance"].sql_type
    assert_equal [:boolean, "1"], [columns["active"].type, columns["active"].default]
    assert_equal "id", connection.primary_key("users")
    indexes = connection.indexes("issues").map { |index| [index.columns, index.unique] }
    assert_includes indexes, [%w[workspace_id state], false]
    assert_equal([["comments", "issues", "issue_id", :cascade], ["comments", "users", "author_id", nil]],
                 connection.foreign_keys("comments").map { |k| [k.from_table, k.to_table, k.column, k.on_delete] }
                           .sort)
    assert connection.foreign_key_exists?("issues", "users")
    assert connection.index_exists?(:users, %i[workspace_id email], unique: true)
    assert_equal "utf8mb4", connection.show_variable("character_set_client")
  end

  test "a view is made, read, listed and dropped" do
    connection.execute("CREATE VIEW open_issues AS SELECT id, title FROM issues WHERE state = 'open'")
    issue("seen")
    assert_equal ["open_issues"], connection.views
    assert_equal ["seen"], connection.select_values("SELECT title FROM open_issues")
    assert_includes connection.data_sources, "open_issues"
  ensure
    connection.execute("DROP VIEW IF EXISTS open_issues")
  end

  test "a temporary table lives as long as its connection" do
    connection.create_table(:scratch, temporary: true) { |t| t.integer :n }
    connection.execute("INSERT INTO scratch (n) VALUES (1), (2)")
    assert_equal 3, connection.select_value("SELECT SUM(n) FROM scratch")
    assert_raises(ActiveRecord::StatementInvalid) do
      on_second_connection { |second| second.select_value("SELECT 1 FROM scratch") }
    end
    connection.execute("DROP TEMPORARY TABLE scratch")
  end

  test "bulk changes of a table are one statement" do
    connection.create_table(:bulky) { |t| t.integer :a }
    connection.change_table(:bulky, bulk: true) do |t|
      t.string :b, null: false, default: "x"
      t.rename :a, :c
      t.index :b
    end
    assert_equal %w[id c b], connection.columns("bulky").map(&:name)
    connection.truncate("bulky")
    assert_equal 0, connection.select_value("SELECT COUNT(*) FROM bulky")
  ensure
    connection.drop_table(:bulky, if_exists: true)
  end

  private

  def dump
    io = StringIO.new
    ActiveRecord::SchemaDumper.dump(connection, io)
    io.string
  end

  def lab_indexes
    connection.indexes("meters").map(&:name)
  end

  # Runs the block on the migrations of db/lab and takes back whatever it applied.
  def in_lab(clean: true)
    paths = [Schema::MIGRATIONS, Schema::LAB]
    lab = ActiveRecord::MigrationContext.new(paths, ActiveRecord::SchemaMigration)
    Schema.quietly { yield Lab.new(lab) }
  ensure
    Schema.quietly { lab.down(20260101000005) } if clean
  end

  # Moves among the lab's versions only.
  Lab = Struct.new(:context) do
    def up(version = nil)
      context.up(version)
    end

    def down
      context.down(20260101000005)
    end

    def rollback(steps)
      context.rollback(steps)
    end
  end
end
