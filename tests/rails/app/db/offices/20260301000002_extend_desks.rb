class ExtendDesks < ActiveRecord::Migration[6.1]
  def change
    add_column :desks, :colour, :string, limit: 20, default: "grün", null: false
    add_index :desks, %i[colour number]
  end
end
