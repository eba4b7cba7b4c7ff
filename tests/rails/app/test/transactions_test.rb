require_relative "test_helper"

BothProtocols.define("Transactions") do
  def titles
    Issue.order(:id).pluck(:title)
  end

  test "commit and rollback" do
    author = user
    Issue.transaction { issue("kept", author: author) }
    Issue.transaction do
      issue("lost", author: author)
      raise ActiveRecord::Rollback
    end
    assert_raises(RuntimeError) do
      Issue.transaction do
        issue("lost too", author: author)
        raise "stop"
      end
    end
    assert_equal ["kept"], titles
  end

  test "savepoints nest and roll back alone" do
    author = user
    Issue.transaction do
      issue("outer", author: author)
      Issue.transaction(requires_new: true) do
        issue("inner", author: author)
        Issue.transaction(requires_new: true) do
          issue("innermost", author: author)
          raise ActiveRecord::Rollback
        end
      end
      Issue.transaction(requires_new: true) do
        issue("dropped", author: author)
        raise ActiveRecord::Rollback
      end
      issue("last", author: author)
    end
    assert_equal %w[outer inner last], titles
    assert_equal 0, connection.open_transactions
  end

  test "a duplicate inside a savepoint leaves the transaction usable" do
    Tag.transaction do
      Tag.create!(name: "a")
      assert_raises(ActiveRecord::RecordNotUnique) { Tag.transaction(requires_new: true) { Tag.create!(name: "a") } }
      Tag.create!(name: "b")
    end
    assert_equal %w[a b], Tag.order(:name).pluck(:name)
  end

  test "callbacks run after commit and after rollback only" do
    events = []
    model = Class.new(Tag) do
      def self.name
        "Tag"
      end
      after_commit { events << :commit }
      after_rollback { events << :rollback }
      define_method(:events) { events }
    end
    model.transaction do
      model.create!(name: "x")
      assert_empty events
    end
    model.transaction do
      model.create!(name: "y")
      raise ActiveRecord::Rollback
    end
    assert_equal %i[commit rollback], events
  end

  test "uncommitted rows are not seen elsewhere" do
    Tag.transaction do
      Tag.create!(name: "hidden")
      assert_equal(0, on_second_connection { Tag.count })
    end
    assert_equal(1, on_second_connection { Tag.count })
  end

  test "isolation levels" do
    tag = Tag.create!(name: "a")
    Tag.transaction(isolation: :repeatable_read) do
      assert_equal "a", Tag.find(tag.id).name
      on_second_connection { Tag.where(id: tag.id).update_all(name: "b") }
      assert_equal "a", Tag.find(tag.id).name
    end
    Tag.transaction(isolation: :read_committed) do
      assert_equal "b", Tag.find(tag.id).name
      on_second_connection { Tag.where(id: tag.id).update_all(name: "c") }
      assert_equal "c", Tag.find(tag.id).name
    end
    Tag.transaction(isolation: :read_uncommitted) { assert_equal "c", Tag.find(tag.id).name }
    Tag.transaction(isolation: :serializable) { assert_equal "c", Tag.find(tag.id).name }
  end

  test "optimistic locking notices the other writer" do
    bug = issue
    copy = Issue.find(bug.id)
    bug.update!(title: "first")
    assert_raises(ActiveRecord::StaleObjectError) { copy.update!(title: "second") }
    copy.reload.update!(title: "second")
    assert_equal [2, "second"], Issue.where(id: bug.id).pick(:lock_version, :title)
  end

  test "pessimistic locks wait for each other" do
    marker = Marker.create!(writer: 0, step: 0)
    threads = 6.times.map do
      Thread.new do
        ActiveRecord::Base.connection_pool.with_connection do
          Workspace.with(HOME) do
            5.times { Marker.find(marker.id).with_lock { |*| bump(marker.id) } }
          end
        end
      end
    end
    threads.each(&:join)
    assert_equal 30, marker.reload.balance
  end

  def bump(id)
    row = Marker.lock.find(id)
    row.update!(balance: row.balance + 1)
  end

  test "lock clauses are understood" do
    Marker.create!(writer: 0, step: 0)
    Marker.transaction do
      assert_equal 1, Marker.lock("FOR SHARE").to_a.size
      assert_equal 1, Marker.lock("FOR UPDATE NOWAIT").to_a.size
      assert_equal 0, on_second_connection { Marker.lock("FOR UPDATE SKIP LOCKED").to_a.size }
      error = assert_raises(ActiveRecord::StatementInvalid) do
        on_second_connection { Marker.transaction { Marker.lock("FOR UPDATE NOWAIT").to_a } }
      end
      assert_match(/NOWAIT/, error.message)
    end
  end
end
