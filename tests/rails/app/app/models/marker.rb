# A row that says which workspace, thread and step wrote it.
class Marker < ApplicationRecord
end
