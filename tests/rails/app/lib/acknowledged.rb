# Marks the schema changes of a block: it is known that they break running code or drop rows.
#
#   Acknowledged.here { remove_column :users, :nickname }
#
# To a plain server the mark is a comment.
module Acknowledged
  COMMENT = "/* bulkhead: ddl_acknowledged */".freeze

  module_function

  def here
    before = Thread.current[:ddl_acknowledged]
    Thread.current[:ddl_acknowledged] = true
    yield
  ensure
    Thread.current[:ddl_acknowledged] = before
  end

  module Annotation
    def execute(sql, *rest)
      super(Thread.current[:ddl_acknowledged] ? "#{COMMENT} #{sql}" : sql, *rest)
    end
  end
end

ActiveSupport.on_load(:active_record) do
  require "active_record/connection_adapters/mysql2_adapter"
  ActiveRecord::ConnectionAdapters::Mysql2Adapter.prepend(Acknowledged::Annotation)
end
