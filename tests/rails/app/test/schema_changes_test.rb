require_relative "test_helper"

# Migrations of a table that is in use. On a plain server the same migrations run without a word.
class SchemaChangesTest < TrackerCase
  def run(...)
    BothProtocols.use(false)
    super
  end

  # Made by another session, with rows: to this one it is a table that code uses.
  def setup
    on_second_connection do |other|
      other.create_table(:parcels) do |t|
        t.bigint :workspace_id
        t.string :label, limit: 40
        t.integer :weight
        t.integer :grams, null: false, default: 0
        t.index :label
        t.timestamps precision: 6
      end
      [["one", 1], ["zwölf", 12], ["much", 2_000_000_000]].each do |label, weight|
        other.execute("INSERT INTO parcels (label, weight, created_at, updated_at) " \
                      "VALUES (#{other.quote(label)}, #{weight}, NOW(6), NOW(6))")
      end
    end
    connection.schema_cache.clear!
  end

  def teardown
    Acknowledged.here do
      %i[parcels packets parcels_tags].each { |table| connection.drop_table(table, if_exists: true) }
    end
  end

  def proxied?
    !Workspace::PLAIN
  end

  def column(name, table = "parcels")
    connection.columns(table).find { |column| column.name == name }
  end

  # Bulkhead refuses it and names the rule; nothing has changed.
  def assert_refused(code, rule)
    return unless proxied?
    before = connection.columns("parcels").map { |column| [column.name, column.sql_type, column.null] }
    error = assert_raises(ActiveRecord::StatementInvalid) { yield }
    assert_match(/bulkhead #{code} \w+: #{rule} /, error.message)
    assert_equal before, connection.columns("parcels").map { |column| [column.name, column.sql_type, column.null] }
    assert_equal 3, connection.select_value("SELECT COUNT(*) FROM parcels")
  end

  def labels
    connection.select_rows("SELECT label, weight FROM parcels ORDER BY id")
  end

  def dump
    io = StringIO.new
    ActiveRecord::SchemaDumper.dump(connection, io)
    io.string
  end

  test "what the server can do at once is done at once" do
    connection.add_column :parcels, :colour, :string, default: "blue", null: false
    connection.add_column :parcels, :height, :decimal, precision: 8, scale: 2, after: :label
    connection.add_index :parcels, %i[colour weight], unique: true
    connection.add_reference :parcels, :user, index: true
    connection.change_column_default :parcels, :grams, from: 0, to: 5
    connection.change_column_comment :parcels, :label, "what it says"
    connection.change_table_comment :parcels, "what is sent"
    connection.rename_index :parcels, "index_parcels_on_label", "by_label"
    connection.remove_index :parcels, name: "by_label"
    connection.create_join_table :parcels, :tags
    assert_equal %w[blue blue blue], connection.select_values("SELECT colour FROM parcels")
    assert connection.index_exists?(:parcels, %i[colour weight], unique: true)
    assert_includes connection.tables, "parcels_tags"
  end

  test "a column type change is copied and loses nothing" do
    connection.change_column :parcels, :weight, :bigint
    assert_equal "bigint", column("weight").sql_type
    assert_equal [["one", 1], ["zwölf", 12], ["much", 2_000_000_000]], labels
    connection.execute("UPDATE parcels SET weight = 5000000000 WHERE label = 'one'")
    connection.execute("INSERT INTO parcels (label, created_at, updated_at) VALUES ('next', NOW(6), NOW(6))")
    assert_equal 4, connection.select_value("SELECT MAX(id) FROM parcels")
  end

  test "several changes in one statement are copied together" do
    connection.change_table(:parcels, bulk: true) do |t|
      t.change :weight, :bigint
      t.string :colour, default: "blue"
      t.index :colour
    end
    assert_equal ["bigint", "varchar(255)"], [column("weight").sql_type, column("colour").sql_type]
    assert connection.index_exists?(:parcels, :colour)
    assert_equal 3, labels.size
  end

  test "a copy leaves nothing behind that an application could see" do
    tables = connection.tables.sort
    connection.change_column :parcels, :weight, :bigint
    connection.change_column :parcels, :label, :string, limit: 300
    assert_equal tables, connection.tables.sort
    dumped = dump
    assert_match(/t\.bigint "weight"/, dumped)
    refute_match(/bulkhead|zz_|_old|_new|_shadow/, dumped)
  end

  test "the advisory lock of a migration is kept through a copy" do
    assert connection.get_advisory_lock("parcels", 0)
    connection.change_column :parcels, :weight, :bigint
    taken = on_second_connection { |other| other.get_advisory_lock("parcels", 0) }
    assert_equal false, taken
    assert connection.release_advisory_lock("parcels")
  end

  test "a migration is recorded when its copies are done" do
    widen = Class.new(ActiveRecord::Migration[6.1]) do
      def self.name
        "WidenParcels"
      end

      def change
        reversible { |direction| direction.up { change_column :parcels, :weight, :bigint } }
      end
    end
    migration = widen.new("WidenParcels", 20270101000002)
    Schema.quietly { ActiveRecord::Migrator.new(:up, [migration], ActiveRecord::SchemaMigration).migrate }
    assert_equal "bigint", column("weight").sql_type
    assert_includes ActiveRecord::SchemaMigration.all_versions, "20270101000002"
  ensure
    ActiveRecord::SchemaMigration.where(version: "20270101000002").delete_all
  end

  test "a column is removed when that is known to break code" do
    assert_refused("E7002", "D106") { connection.remove_column :parcels, :weight }
    Acknowledged.here { connection.remove_column :parcels, :weight }
    assert_nil column("weight")
    assert_equal 3, connection.select_value("SELECT COUNT(*) FROM parcels")
  end

  test "a column is renamed when that is known to break code" do
    assert_refused("E7002", "D107") { connection.rename_column :parcels, :label, :name }
    Acknowledged.here { connection.rename_column :parcels, :label, :name }
    assert_equal %w[one zwölf much], connection.select_values("SELECT name FROM parcels ORDER BY id")
  end

  test "a table is renamed when that is known to break code" do
    assert_refused("E7002", "D407") { connection.rename_table :parcels, :packets }
    Acknowledged.here { connection.rename_table :parcels, :packets }
    assert_equal 3, connection.select_value("SELECT COUNT(*) FROM packets")
  end

  test "what could lose values is refused" do
    skip "a plain server refuses nothing" unless proxied?
    assert_refused("E7003", "D202") { connection.change_column :parcels, :weight, :integer, limit: 2 }
    assert_refused("E7003", "D202") { connection.change_column :parcels, :label, :string, limit: 3 }
    assert_refused("E7003", "D111") { connection.change_column_null :parcels, :label, false }
  end

  test "a foreign key on a table in use is refused" do
    skip "a plain server refuses nothing" unless proxied?
    assert_refused("E7001", "D307") { connection.add_foreign_key :parcels, :users, column: :workspace_id }
  end

  test "a change that is submitted answers with its id" do
    skip "a plain server has no such thing" unless proxied?
    connection.execute("SET @bulkhead_ddl = 'submit'")
    answer = connection.execute("ALTER TABLE parcels MODIFY weight BIGINT")
    assert_equal ["migration_id"], answer.fields
    assert_match(/\A\h{16}\z/, answer.first[0])
    wait_until { column("weight").sql_type == "bigint" }
    assert_equal 3, labels.size
  ensure
    connection.execute("SET @bulkhead_ddl = NULL")
  end

  private

  def wait_until
    Timeout.timeout(60) { sleep 0.05 until yield }
  end
end
