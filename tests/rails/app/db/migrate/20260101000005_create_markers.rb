class CreateMarkers < ActiveRecord::Migration[6.1]
  def change
    create_table :markers do |t|
      t.bigint :workspace_id, null: false
      t.integer :writer, null: false
      t.integer :step, null: false
      t.integer :balance, null: false, default: 0
      t.string :note
    end
  end
end
