ENV["RAILS_ENV"] = "test"
require_relative "../config/environment"
require "minitest"
require "minitest/autorun"
require "active_support/test_case"
require "action_dispatch/testing/integration"
require "stringio"
require "timeout"

# The workspaces the specs work in. Those of a database each are made before the run.
HOME = 42
OTHER = 7
CROWD = (1..50).to_a.freeze

# Brings the tables of a workspace to a known state, by the migrations themselves.
module Schema
  MIGRATIONS = Rails.root.join("db/migrate").to_s
  LAB = Rails.root.join("db/lab").to_s

  module_function

  def context(path = MIGRATIONS)
    ActiveRecord::MigrationContext.new(path, ActiveRecord::SchemaMigration)
  end

  def prepare
    quietly do
      clear_tables(HOME)
      migrate(HOME)
      next unless Workspace.separate_databases?
      (CROWD - [HOME]).each { |id| clear_tables(id) }
      migrate(OTHER)
      (CROWD - [HOME, OTHER]).each { |id| Workspace.with(id) { create_markers } }
    end
  end

  def migrate(id, path = MIGRATIONS)
    Workspace.with(id) { context(path).migrate }
  end

  def create_markers
    require Rails.root.join("db/migrate/20260101000005_create_markers")
    CreateMarkers.migrate(:up)
  end

  def clear_tables(id)
    Workspace.with(id) do
      connection = ActiveRecord::Base.connection
      connection.disable_referential_integrity do
        Acknowledged.here { connection.tables.each { |table| connection.drop_table(table) } }
      end
    end
  end

  def quietly
    verbose = ActiveRecord::Migration.verbose
    ActiveRecord::Migration.verbose = false
    yield
  ensure
    ActiveRecord::Migration.verbose = verbose
  end
end

# Common ground of the specs: each runs in the workspace HOME, with its tables empty.
module InWorkspace
  TABLES = [Attachment, Tagging, Tag, Comment, Issue, User, Sample, Marker].freeze

  def before_setup
    Workspace.with(HOME) { TABLES.each { |model| model.unscoped.delete_all } }
    super
  end

  def in_workspace(id, &block)
    Workspace.with(id, &block)
  end

  def connection
    ActiveRecord::Base.connection
  end

  def user(name = "ada", **attributes)
    User.create!(email: "#{name}@example.test", name: name, **attributes)
  end

  def issue(title = "a title", author: nil, **attributes)
    Issue.create!(title: title, author: author || User.first || user, **attributes)
  end

  # A second connection of its own, in the same workspace, closed at the end of the block.
  def on_second_connection(id = Workspace.current)
    failure = nil
    result = nil
    thread = Thread.new do
      ActiveRecord::Base.connection_pool.with_connection do |second|
        Workspace.with(id) { result = yield(second) }
      end
    rescue Exception => error # the caller's thread reports it
      failure = error
    end
    thread.join
    raise failure if failure
    result
  end
end

class TrackerCase < ActiveSupport::TestCase
  include InWorkspace

  def run(...)
    # As a request would: a connection that an earlier spec broke is made anew.
    ActiveRecord::Base.connection.verify!
    Workspace.with(HOME) { super }
  end
end

# Defines a spec class twice, for prepared statements off (the adapter's default) and on.
module BothProtocols
  def self.define(name, &body)
    [false, true].each do |prepared|
      klass = Class.new(TrackerCase) do
        define_method(:run) do |*arguments|
          BothProtocols.use(prepared)
          super(*arguments)
        end
        define_method(:prepared?) { prepared }
        class_eval(&body)
      end
      Object.const_set("#{name}#{prepared ? "Prepared" : "Text"}Test", klass)
    end
  end

  def self.use(prepared)
    config = ActiveRecord::Base.connection_db_config.configuration_hash
    return if (config[:prepared_statements] || false) == prepared
    ActiveRecord::Base.establish_connection(config.merge(prepared_statements: prepared))
  end
end

Minitest.after_run { ActiveRecord::Base.connection_handler.clear_all_connections! }
Schema.prepare
