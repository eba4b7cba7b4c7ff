class IssuesController < ApplicationController
  def index
    issues = Issue.includes(:author, :tags).recent
    render json: issues.map { |issue| shown(issue).merge(author: issue.author.name, tags: issue.tags.map(&:name)) }
  end

  def show
    render json: shown(Issue.find(params[:id]))
  end

  def create
    author = User.find_or_create_by!(email: params.require(:email)) { |user| user.name = params[:email] }
    issue = Issue.transaction { Issue.create!(title: params[:title], author: author) }
    render json: shown(issue), status: :created
  end

  def update
    issue = Issue.find(params[:id])
    issue.update!(params.permit(:title, :state))
    render json: shown(issue)
  end

  def destroy
    Issue.find(params[:id]).destroy!
    head :no_content
  end

  private

  def shown(issue)
    { id: issue.id, title: issue.title, state: issue.state, workspace: issue.workspace_id }
  end
end
