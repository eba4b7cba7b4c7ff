require_relative "test_helper"

class RequestsTest < ActionDispatch::IntegrationTest
  include InWorkspace

  setup { BothProtocols.use(false) }

  def app
    Rails.application
  end

  def created(id, title, email: "r@example.test")
    post "/workspaces/#{id}/issues", params: { title: title, email: email }
    assert_equal 201, response.status, response.body
    response.parsed_body
  end

  test "a request works in its own workspace" do
    clear_other
    mine = created(HOME, "mine")
    theirs = created(OTHER, "theirs")
    assert_equal [HOME, OTHER], [mine["workspace"], theirs["workspace"]]
    get "/workspaces/#{HOME}/issues"
    assert_equal ["mine"], response.parsed_body.map { |row| row["title"] }
    get "/workspaces/#{OTHER}/issues"
    assert_equal ["theirs"], response.parsed_body.map { |row| row["title"] }
    patch "/workspaces/#{HOME}/issues/#{mine["id"]}", params: { title: "renamed", state: "closed" }
    assert_equal %w[renamed closed], response.parsed_body.values_at("title", "state")
    post "/workspaces/#{HOME}/issues/#{mine["id"]}/comments", params: { body: "🦀" }
    assert_equal 1, response.parsed_body["count"]
    get "/workspaces/#{HOME}/issues/#{mine["id"]}/comments"
    assert_equal ["🦀"], response.parsed_body
    delete "/workspaces/#{HOME}/issues/#{mine["id"]}"
    assert_equal 204, response.status
    get "/workspaces/#{HOME}/issues/#{mine["id"]}"
    assert_equal 404, response.status
    get "/workspaces/#{OTHER}/issues/#{theirs["id"]}"
    assert_equal "theirs", response.parsed_body["title"]
  ensure
    clear_other
  end

  test "a failing request leaves nothing behind" do
    post "/workspaces/#{HOME}/issues", params: { title: "", email: "f@example.test" }
    assert_equal 422, response.status
    Workspace.with(HOME) { assert_equal [0, 1], [Issue.count, User.count] }
  end

  test "requests at the same time do not mix" do
    clear_other
    threads = [HOME, OTHER].cycle.take(8).each_with_index.map do |id, n|
      Thread.new do
        session = ActionDispatch::Integration::Session.new(Rails.application)
        5.times do |k|
          session.post "/workspaces/#{id}/issues", params: { title: "#{id}-#{n}-#{k}", email: "t#{n}@example.test" }
        end
      end
    end
    threads.each(&:join)
    [HOME, OTHER].each do |id|
      get "/workspaces/#{id}/issues"
      titles = response.parsed_body.map { |row| row["title"] }
      assert_equal 20, titles.size
      assert_equal [id.to_s], titles.map { |title| title[/\A\d+/] }.uniq
    end
  ensure
    clear_other
  end

  def clear_other
    Workspace.with(OTHER) { [Comment, Issue, User].each { |model| model.unscoped.delete_all } }
  end
end
