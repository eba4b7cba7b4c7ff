class Issue < ApplicationRecord
  enum state: { open: "open", closed: "closed", parked: "parked" }, _prefix: true
  belongs_to :author, class_name: "User", counter_cache: true
  has_many :comments, dependent: :destroy
  has_many :taggings, dependent: :delete_all
  has_many :tags, through: :taggings
  has_many :attachments, as: :subject, dependent: :destroy
  scope :recent, -> { order(id: :desc) }
  validates :title, presence: true
end
