require_relative "test_helper"

# Twenty threads move through fifty workspaces in random order and write, change and read rows that say whose
# they are. Afterwards every row must be in its own workspace, and all must be there.
class IsolationTest < TrackerCase
  THREADS = 20
  VISITS = 25

  setup do
    BothProtocols.use(false)
    CROWD.each { |id| in_workspace(id) { Marker.unscoped.where(*own(id)).delete_all } }
  end

  def own(id)
    Workspace.separate_databases? ? ["1 = 1"] : [{ workspace_id: id }]
  end

  test "no row ends in the wrong workspace" do
    tallies = THREADS.times.map { |writer| Thread.new { wander(writer) } }.map(&:value)
    expected = tallies.each_with_object(Hash.new(0)) { |tally, sum| tally.each { |id, n| sum[id] += n } }
    CROWD.each do |id|
      in_workspace(id) do
        assert_equal expected[id], Marker.count, "workspace #{id}"
        next unless Workspace.separate_databases?
        assert_equal 0, Marker.unscoped.where.not(workspace_id: id).count, "strangers in workspace #{id}"
        assert_equal expected[id], Marker.unscoped.count
      end
    end
  end

  test "a comment in either style reaches its workspace" do
    skip "only with comments" unless Workspace::LAYOUT == "comment"
    Workspace::STYLES.each_key do |style|
      Workspace.with_comment_style(style) do
        in_workspace(OTHER) do
          Marker.transaction { Marker.create!(writer: 0, step: 1, note: style) }
          assert_equal 1, Marker.where(note: style).count
        end
        assert_equal 0, Marker.where(note: style).count
      end
    end
  end

  private

  def wander(writer)
    random = Random.new(writer)
    tally = Hash.new(0)
    ActiveRecord::Base.connection_pool.with_connection do
      VISITS.times do |step|
        id = CROWD.sample(random: random)
        Workspace.with(id) { tally[id] += visit(id, writer, step, random) }
      end
    end
    tally
  end

  # Returns the number of rows it left.
  def visit(id, writer, step, random)
    mine = Marker.where(writer: writer, step: step)
    case random.rand(4)
    when 0 then Marker.create!(writer: writer, step: step)
    when 1 then Marker.transaction { 2.times { Marker.create!(writer: writer, step: step) } }
    when 2 then roll_back(writer, step)
    else
      Marker.insert_all!(Array.new(3) { { workspace_id: id, writer: writer, step: step } })
      mine.update_all("balance = balance + 1")
      mine.limit(1).delete_all
    end
    strangers = Marker.unscoped.where.not(workspace_id: id)
    raise "workspace #{id} shows a stranger" if Workspace.separate_databases? && strangers.exists?
    mine.count
  end

  def roll_back(writer, step)
    Marker.transaction do
      Marker.create!(writer: writer, step: step)
      raise ActiveRecord::Rollback
    end
  end
end
