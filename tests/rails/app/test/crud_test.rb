require_relative "test_helper"

BothProtocols.define("Crud") do
  test "the connection uses the protocol under test" do
    assert_equal prepared?, connection.prepared_statements
  end

  test "rows are created, read, updated and deleted" do
    ada = user
    assert_equal ada, User.find(ada.id)
    assert_equal ada, User.find_by(email: "ada@example.test")
    ada.update!(name: "Ada L.", balance: "12.345678")
    assert_equal ["Ada L.", BigDecimal("12.345678")], User.where(id: ada.id).pick(:name, :balance)
    assert_equal 1, User.where(id: ada.id).update_all(active: false)
    refute ada.reload.active
    ada.toggle!(:active)
    assert ada.reload.active
    ada.increment!(:issues_count, 3)
    assert_equal 3, ada.reload.issues_count
    ada.decrement!(:issues_count, 3)
    ada.reload.destroy!
    assert_raises(ActiveRecord::RecordNotFound) { User.find(ada.id) }
    assert_equal 0, User.where(id: ada.id).delete_all
  end

  test "affected rows count rows found, not rows changed" do
    ada = user
    assert_equal 1, User.where(id: ada.id).update_all(name: "ada")
    assert_equal 1, connection.update("UPDATE users SET name = name WHERE id = #{ada.id}")
  end

  test "generated ids come back and grow" do
    first = issue("one")
    second = issue("two")
    assert_operator second.id, :>, first.id
    id = connection.insert("INSERT INTO tags (workspace_id, name) VALUES (#{HOME}, 'by hand')")
    assert_equal "by hand", Tag.find(id).name
  end

  test "associations load lazily, eagerly, through and by joins" do
    ada = user
    bob = user("bob")
    bug = issue("bug", author: ada)
    bug.tags << Tag.create!(name: "urgent") << Tag.create!(name: "später")
    bug.comments.create!(body: "why?", author: bob)
    bug.comments.create!(body: "because", author: ada)
    found = Issue.includes(:author, :tags, comments: :author).find(bug.id)
    assert_equal %w[später urgent], found.tags.map(&:name).sort
    assert_equal %w[bob ada], found.comments.map { |comment| comment.author.name }
    assert_equal [bug], Issue.eager_load(:tags).where(tags: { name: "urgent" }).to_a
    assert_equal [bug], Issue.joins(:comments).where(comments: { author_id: bob.id }).distinct.to_a
    assert_equal [bug], bob.commented_issues.to_a
    assert_equal [bug], Issue.left_outer_joins(:taggings).where.not(taggings: { id: nil }).distinct.to_a
    assert_equal [bug], Issue.preload(:comments).where(id: Comment.select(:issue_id)).to_a
    assert_equal [ada], User.where(id: Issue.where(title: "bug").select(:author_id)).to_a
    assert_equal [bug], Tag.find_by!(name: "urgent").issues.to_a
    assert_equal 1, bug.tags.where(name: "urgent").count
    refute ada.destroy
  end

  test "counter caches and touch follow their children" do
    bug = issue
    before = bug.reload.updated_at
    comment = bug.comments.create!(body: "x", author: bug.author)
    assert_equal 1, bug.reload.comments_count
    assert_operator bug.updated_at, :>, before
    comment.destroy!
    assert_equal 0, bug.reload.comments_count
    Issue.update_counters(bug.id, comments_count: 5)
    assert_equal 5, bug.reload.comments_count
    Issue.reset_counters(bug.id, :comments)
    assert_equal 0, bug.reload.comments_count
    assert_equal 1, bug.author.reload.issues_count
  end

  test "single table inheritance and polymorphic owners" do
    author = user
    task = Task.create!(title: "task", author: author)
    defect = Defect.create!(title: "defect", author: author)
    assert_equal [Defect, Task], Issue.order(:title).map(&:class)
    assert_equal [task], Task.all.to_a
    comment = task.comments.create!(body: "c", author: author)
    task.attachments.create!(filename: "t.png")
    comment.attachments.create!(filename: "c.png")
    assert_equal [["c.png", comment], ["t.png", task]],
                 Attachment.includes(:subject).order(:filename).map { |a| [a.filename, a.subject] }
    assert_equal defect, defect.becomes(Issue).becomes(Defect)
  end

  test "insert_all, insert_all! and upsert_all" do
    now = Time.current
    rows = (1..250).map { |n| { workspace_id: HOME, email: "u#{n}@x", name: "u#{n}", created_at: now, updated_at: now } }
    User.insert_all!(rows)
    assert_equal 250, User.count
    User.insert_all(rows.first(3) + [rows.first.merge(email: "new@x")])
    assert_equal 251, User.count
    assert_raises(ActiveRecord::RecordNotUnique) { User.insert_all!(rows.first(1)) }
    User.upsert_all(rows.first(2).map { |row| row.merge(name: "renamed") })
    assert_equal 2, User.where(name: "renamed").count
    assert_equal 251, User.count
  end

  test "batches walk every row once" do
    now = Time.current
    User.insert_all!((1..120).map { |n| { workspace_id: HOME, email: "b#{n}@x", created_at: now, updated_at: now } })
    seen = []
    User.find_each(batch_size: 17) { |row| seen << row.email }
    assert_equal 120, seen.uniq.size
    assert_equal 120, seen.size
    sizes = User.in_batches(of: 50).map { |batch| batch.update_all(role: :admin) }
    assert_equal [50, 50, 20], sizes
    assert_equal 120, User.admin.count
    assert_equal [40, 40, 40], User.find_in_batches(batch_size: 40).map(&:size)
    assert_equal [120, 113, 106], User.find_each(order: :desc, batch_size: 7).map(&:email)
                                      .each_slice(7).map { |slice| slice.first[1..-3].to_i }.first(3)
  end

  test "pluck and calculations keep their types" do
    author = user
    [3, 5, nil, 8].each { |points| issue("i#{points}", author: author, points: points) }
    assert_equal 16, Issue.sum(:points)
    assert_equal BigDecimal("5.3333"), Issue.average(:points)
    assert_equal [3, 8], [Issue.minimum(:points), Issue.maximum(:points)]
    assert_equal({ 3 => 1, 5 => 1, nil => 1, 8 => 1 }, Issue.group(:points).count)
    assert_equal({ "open" => 4 }, Issue.group(:state).having("COUNT(*) > 1").count)
    assert_equal [["i3", 3], ["i5", 5]], Issue.where(points: 3..5).order(:points).pluck(:title, :points)
    assert_equal 3, Issue.distinct.count(:points)
    assert_equal true, Issue.exists?(points: 8)
    assert_equal [nil, 3, 5, 8], Issue.order(:points).pluck(:points)
    assert_equal 2, Issue.where(points: [3, 8, 11]).size
    assert_equal 1, Issue.where(points: nil).count
    assert_equal 2, Issue.where(points: 3).or(Issue.where(points: 5)).count
    assert_equal %w[i8 i5], Issue.where.not(points: nil).order(points: :desc).limit(2).pluck(:title)
    assert_equal ["i5"], Issue.order(:id).offset(1).limit(1).pluck(:title)
    assert_equal 1, Issue.where("title LIKE ?", "%8").count
  end

  test "find_or_create_by and create_or_find_by" do
    one = Tag.find_or_create_by!(name: "a")
    assert_equal one, Tag.find_or_create_by!(name: "a")
    assert_equal one, Tag.create_or_find_by!(name: "a")
    assert_equal 1, Tag.count
  end

  test "uniqueness is validated and also enforced" do
    user
    assert_raises(ActiveRecord::RecordInvalid) { user }
    copy = User.new(email: "ada@example.test")
    assert_raises(ActiveRecord::RecordNotUnique) { copy.save!(validate: false) }
  end

  test "statements with hints, comments and annotations" do
    issue("commented")
    assert_equal 1, Issue.annotate("controller:issues action:index").count
    assert_equal 1, Issue.optimizer_hints("MAX_EXECUTION_TIME(5000)", "NO_INDEX_MERGE(issues)").to_a.size
    assert_equal 1, connection.select_value("/* first */ SELECT /* second */ COUNT(*) -- third\n FROM issues # fourth\n")
    assert_equal "a /* not a comment */ b", connection.select_value("SELECT 'a /* not a comment */ b'")
    assert_equal 7, connection.select_value("SELECT /*!50000 3 + */ 4")
  end

  test "find_by_sql, exec_query and select_all with binds" do
    bug = issue("bound")
    assert_equal [bug], Issue.find_by_sql(["SELECT * FROM issues WHERE title = ? AND id = ?", "bound", bug.id])
    binds = [ActiveRecord::Relation::QueryAttribute.new("title", "bound", ActiveRecord::Type::String.new)]
    if prepared?
      result = connection.exec_query("SELECT id, title FROM issues WHERE title = ?", "bound", binds, prepare: true)
      assert_equal [[bug.id, "bound"]], result.rows
    end
    result = connection.select_all("SELECT COUNT(*) AS n, MAX(created_at) AS at, 1.50 AS d, NULL AS nothing FROM issues")
    assert_equal %w[n at d nothing], result.columns
    row = result.first
    assert_equal [1, Time, BigDecimal("1.5"), nil], [row["n"], row["at"].class, row["d"], row["nothing"]]
  end

  test "the query cache answers repeats and is emptied by writes" do
    issue("cached")
    queries = []
    watch = ->(*, payload) { queries << payload if payload[:sql].start_with?("SELECT") }
    ActiveSupport::Notifications.subscribed(watch, "sql.active_record") do
      Issue.cache do
        2.times { assert_equal 1, Issue.count }
        issue("another", author: User.first)
        assert_equal 2, Issue.count
      end
    end
    assert_includes queries.map { |payload| payload[:cached] }, true
  end

  test "explain shows a plan" do
    issue
    assert_match(/EXPLAIN for: SELECT .*issues/, Issue.where(state: "open").explain)
  end

  test "rows of another workspace are not seen" do
    mine = issue("mine")
    if Workspace.separate_databases?
      in_workspace(OTHER) do
        Issue.unscoped.delete_all
        User.unscoped.delete_all
        issue("theirs", author: user("eve"))
        assert_equal ["theirs"], Issue.unscoped.pluck(:title)
      end
    else
      in_workspace(OTHER) { assert_equal 0, Issue.count }
    end
    assert_equal [mine], Issue.unscoped.to_a
    assert_equal 0, Issue.unscoped.where.not(workspace_id: HOME).count
  end
end
