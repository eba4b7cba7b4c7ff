class CommentsController < ApplicationController
  def index
    render json: issue.comments.order(:id).pluck(:body)
  end

  def create
    comment = issue.comments.create!(body: params.require(:body), author: issue.author)
    render json: { id: comment.id, count: issue.reload.comments_count }, status: :created
  end

  private

  def issue
    @issue ||= Issue.find(params[:issue_id])
  end
end
