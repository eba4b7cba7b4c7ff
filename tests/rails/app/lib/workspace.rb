# Chooses the workspace a block of work belongs to. How that reaches the database is the layout:
#
#   unsharded  one database; the workspace is a column, nothing is switched
#   use        a database per workspace; the connection is switched by USE ws_<id>
#   comment    a database per workspace; every statement carries /*workspace_id:<id>*/ and the session stays on
#              the logical database. A plain server knows no such thing, so with WORKSPACE_PLAIN=1 the
#              connection is switched as well.
module Workspace
  LAYOUTS = %w[unsharded use comment].freeze
  LAYOUT = ENV.fetch("WORKSPACE_LAYOUT", "unsharded")
  raise "WORKSPACE_LAYOUT must be one of #{LAYOUTS.join(", ")}" unless LAYOUTS.include?(LAYOUT)
  PLAIN = ENV["WORKSPACE_PLAIN"] == "1"
  STYLES = { "marginalia" => "/*workspace_id:%d*/", "sqlcommenter" => "/*workspace_id='%d'*/" }.freeze

  module_function

  def current
    Thread.current[:workspace_id]
  end

  def separate_databases?
    LAYOUT != "unsharded"
  end

  # The comment for a statement, nil where none is wanted.
  def comment
    return unless LAYOUT == "comment" && current
    format(STYLES.fetch(Thread.current[:workspace_comment_style] || "marginalia"), current)
  end

  def with_comment_style(style)
    before = Thread.current[:workspace_comment_style]
    Thread.current[:workspace_comment_style] = style
    yield
  ensure
    Thread.current[:workspace_comment_style] = before
  end

  def with(id)
    before = current
    enter(id)
    yield
  ensure
    enter(before)
  end

  # Switches this thread's connection; nil goes back to the database of the configuration.
  def enter(id)
    Thread.current[:workspace_id] = id
    return unless LAYOUT == "use" || (LAYOUT == "comment" && PLAIN)
    connection = ActiveRecord::Base.connection
    switch(connection, id)
  end

  def switch(connection, id)
    name = id ? "ws_#{id}" : connection.pool.db_config.database
    # Prepared statements and cached results belong to the database they were made in.
    connection.clear_cache!
    connection.clear_query_cache
    connection.raw_connection.query("USE `#{name}`")
  end

  # Appends the comment the way query log tags do, below everything that builds SQL.
  module Annotation
    def execute(sql, *rest)
      super(annotate_workspace(sql), *rest)
    end

    # Several statements in one text: each says where it belongs.
    def execute_batch(statements, *rest)
      super(statements.map { |sql| annotate_workspace(sql) }, *rest)
    end

    private

    def exec_stmt_and_free(sql, *rest, **options, &block)
      super(annotate_workspace(sql), *rest, **options, &block)
    end

    def annotate_workspace(sql)
      comment = Workspace.comment
      return sql if comment.nil? || sql.include?(comment)
      # Appending to a statement of many megabytes would copy it twice; leading is as good.
      sql.bytesize > 1_000_000 ? "#{comment} #{sql}" : "#{sql} #{comment}"
    end
  end
end

ActiveSupport.on_load(:active_record) do
  require "active_record/connection_adapters/mysql2_adapter"
  ActiveRecord::ConnectionAdapters::Mysql2Adapter.prepend(Workspace::Annotation)
end
