class Attachment < ApplicationRecord
  belongs_to :subject, polymorphic: true
end
