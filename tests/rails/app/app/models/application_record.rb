class ApplicationRecord < ActiveRecord::Base
  self.abstract_class = true

  # Every row carries its workspace, whatever the layout, so a row in the wrong place is seen.
  default_scope { where(workspace_id: Workspace.current) }
  before_validation { self.workspace_id ||= Workspace.current }
end
