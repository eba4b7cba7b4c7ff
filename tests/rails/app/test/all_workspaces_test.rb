require_relative "test_helper"
require "uri"

# `rails db:migrate` with the keyspace itself as the database: each migration changes every workspace. On a plain
# server the same migrations change one database, and what Rails then dumps has to be the same. How an application
# chooses a workspace does not matter to it, so one layout's run has it.
class AllWorkspacesTest < ActiveSupport::TestCase
  DATABASE = "offices".freeze
  VERSIONS = %w[20260301000001 20260301000002 20260301000003 20260301000004].freeze
  # What a workspace's database has before the first migration, and new ones are made of.
  TEMPLATE = Rails.root.join("db/offices.sql").read.freeze
  DUMPED = Rails.root.join("db/offices_schema.rb")
  # A migration of every database ends within this, however busy the machine is.
  WITHIN = 600

  def setup
    @offices = (1..Integer(ENV.fetch("OFFICES"))).to_a
    @before = ActiveRecord::Base.connection_db_config.configuration_hash
    timeouts = { read_timeout: WITHIN, write_timeout: WITHIN }
    ActiveRecord::Base.establish_connection(@before.merge(database: DATABASE, **timeouts))
    each_database do
      %w[chairs desks].each { |table| connection.execute("DROP TABLE IF EXISTS #{table}") }
      connection.execute(TEMPLATE)
      connection.execute("INSERT INTO desks (label, number) VALUES ('first', 7)")
    end
    [ActiveRecord::SchemaMigration, ActiveRecord::InternalMetadata].each(&:drop_table)
  end

  def teardown
    @admin&.close
    return unless @before
    ActiveRecord::Base.establish_connection(@before)
    [ActiveRecord::SchemaMigration, ActiveRecord::InternalMetadata].each(&:reset_column_information)
  end

  test "db:migrate changes the database of every workspace, once" do
    assert_equal VERSIONS[0, 1], migrate(VERSIONS[0])
    while_a_workspace_is_made { assert_equal VERSIONS[1, 1], migrate(VERSIONS[1]) }
    assert_equal VERSIONS[2..], migrate
    assert_recorded VERSIONS
    assert_equal "test", ActiveRecord::InternalMetadata[:environment]
    make_workspace if proxied?
    assert_all_alike
    assert_dumped
    # Again: there is nothing to do.
    assert_equal [], migrate
    refute context.needs_migration?
    assert_all_alike

    rename_is_refused
    roll_back_the_last
    assert_equal VERSIONS[3..], migrate
    assert_dumped
    assert_all_alike
  end

  private

  def proxied?
    !Workspace::PLAIN
  end

  def connection
    ActiveRecord::Base.connection
  end

  def context
    ActiveRecord::MigrationContext.new(Rails.root.join("db/offices").to_s, ActiveRecord::SchemaMigration)
  end

  # Versions that were carried out, as `rails db:migrate` does it.
  def migrate(version = nil)
    Schema.quietly { context.migrate(version&.to_i) }.map { |migration| migration.version.to_s }
  ensure
    connection.schema_cache.clear!
  end

  # A migration of all that waits for its servers while a workspace is made.
  def while_a_workspace_is_made(&migration)
    return yield unless proxied?
    freeze_schema("FREEZE")
    # Connections are a thread's own; so are failures, until it is joined.
    migrating = Thread.new { ActiveRecord::Base.connection_pool.with_connection(&migration) }
    migrating.report_on_exception = false
    Timeout.timeout(WITHIN) { sleep 0.05 until fleet_is_active? || !migrating.alive? }
    assert migrating.alive?, "it waits"
    make_workspace
    freeze_schema("THAW")
    migrating.value
  ensure
    freeze_schema("THAW") if @is_frozen
    migrating&.join
  end

  def fleet_is_active?
    admin.query("SHOW MIGRATIONS", as: :hash).any? do |row|
      row.values_at("kind", "database", "state") == ["fleet", DATABASE, "active"]
    end
  end

  def freeze_schema(word)
    %w[c1 c2].each { |cluster| admin.query("#{word} DDL ON #{cluster} WHY 'a spec'") }
    @is_frozen = word == "FREEZE"
  end

  # A new workspace, from a template that knows of no migration.
  def make_workspace
    id = 1_000 + rand(1_000_000_000)
    admin.query("CREATE WORKSPACE #{DATABASE} #{id} WITH DATABASE")
    @offices << id
  end

  def admin
    @admin ||= begin
      uri = URI(ENV.fetch("BULKHEAD_ADMIN_URL"))
      Mysql2::Client.new(host: uri.host, port: uri.port, username: uri.user, password: uri.password)
    end
  end

  # The databases one by one: those of the workspaces, or the one of a plain server.
  def each_database
    return yield(nil) unless proxied?
    @offices.each do |id|
      use("office_#{id}")
      yield id
    end
  ensure
    use(DATABASE)
  end

  def use(database)
    connection.clear_cache!
    connection.schema_cache.clear!
    connection.raw_connection.query("USE `#{database}`")
  end

  def assert_recorded(versions)
    assert_equal versions, ActiveRecord::SchemaMigration.all_versions
  end

  # Every database is as the migrations say, with the rows that were in it.
  def assert_all_alike
    each_database do |id|
      assert_equal %w[id label number colour floor], connection.columns("desks").map(&:name), "office #{id}"
      assert_equal [["bigint", false, "0"], ["varchar(20)", false, "grün"]],
                   columns(%w[number colour]), "office #{id}"
      assert_equal %w[index_desks_on_colour_and_number], connection.indexes("desks").map(&:name), "office #{id}"
      assert_equal %w[index_chairs_on_desk_id index_chairs_on_name],
                   connection.indexes("chairs").map(&:name).sort, "office #{id}"
      rows = connection.select_rows("SELECT label, number, colour FROM desks")
      assert_equal id.to_i >= 1_000 ? [] : [["first", 7, "grün"]], rows, "office #{id}"
    end
  end

  def columns(names)
    connection.columns("desks").select { |column| names.include?(column.name) }
              .map { |column| [column.sql_type, column.null, column.default] }
  end

  # The same text from the plain server and from the keyspace.
  def assert_dumped
    io = StringIO.new
    ActiveRecord::SchemaDumper.dump(connection, io)
    # Without the comment on top, which is Rails' own.
    dumped = io.string[/^ActiveRecord::Schema.*/m]
    DUMPED.write(dumped) if ENV["UPDATE_GOLDEN"] == "1" && !proxied?
    assert_equal DUMPED.read, dumped
  end

  # Running code breaks: nothing is changed anywhere, and the error says what to do instead.
  def rename_is_refused
    return unless proxied?
    rename = Class.new(ActiveRecord::Migration[6.1]) do
      def self.name
        "RenameLabel"
      end

      def change
        rename_column :desks, :label, :name
      end
    end
    migrator = ActiveRecord::Migrator.new(:up, [rename.new("RenameLabel", 20260301000005)],
                                          ActiveRecord::SchemaMigration)
    error = assert_raises(StandardError) { Schema.quietly { migrator.migrate } }.cause
    assert_refused(error, "D107", /add a column of the new name/)
    assert_recorded VERSIONS
    assert_all_alike
  end

  def assert_refused(error, rule, remedy)
    assert_kind_of ActiveRecord::StatementInvalid, error
    assert_kind_of Mysql2::Error, error.cause
    assert_match(/bulkhead E7002 \w+: #{rule} /, error.message)
    assert_match(remedy, error.message)
  end

  # To drop a column is refused, too, unless it is known to break code.
  def roll_back_the_last
    if proxied?
      error = assert_raises(StandardError) { Schema.quietly { context.rollback } }.cause
      assert_refused(error, "D106", /ignored_columns/)
      assert_recorded VERSIONS
    end
    Schema.quietly { Acknowledged.here { context.rollback } }
    assert_recorded VERSIONS[0..2]
    each_database { |id| refute_includes connection.columns("desks").map(&:name), "floor", "office #{id}" }
  end
end if Workspace::LAYOUT == "use"
