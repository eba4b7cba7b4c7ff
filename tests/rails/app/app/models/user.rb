class User < ApplicationRecord
  enum role: { member: 0, admin: 1, guest: 2 }
  has_many :issues, foreign_key: :author_id, inverse_of: :author, dependent: :restrict_with_error
  has_many :comments, foreign_key: :author_id, inverse_of: :author
  has_many :commented_issues, through: :comments, source: :issue
  validates :email, uniqueness: { scope: :workspace_id, case_sensitive: false }
end
