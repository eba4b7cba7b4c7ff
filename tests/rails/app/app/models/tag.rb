class Tag < ApplicationRecord
  has_many :taggings
  has_many :issues, through: :taggings
end
