# One column of each type an application uses.
class Sample < ApplicationRecord
end
