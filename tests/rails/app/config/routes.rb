Rails.application.routes.draw do
  scope "/workspaces/:workspace_id" do
    resources :issues, only: %i[index show create update destroy] do
      resources :comments, only: %i[index create]
    end
  end
end
