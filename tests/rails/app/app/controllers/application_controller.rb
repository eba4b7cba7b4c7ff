class ApplicationController < ActionController::Base
  around_action :in_workspace
  rescue_from(ActiveRecord::RecordNotFound) { head :not_found }
  rescue_from(ActiveRecord::RecordInvalid) { |error| render json: { error: error.message }, status: 422 }

  private

  def in_workspace(&block)
    Workspace.with(Integer(params[:workspace_id]), &block)
  end
end
