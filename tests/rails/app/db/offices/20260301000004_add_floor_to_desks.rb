class AddFloorToDesks < ActiveRecord::Migration[6.1]
  def change
    add_column :desks, :floor, :integer
  end
end
