class WidenDesks < ActiveRecord::Migration[6.1]
  def up
    change_column :desks, :number, :bigint, null: false, default: 0
    remove_index :desks, name: "index_desks_on_label"
  end

  def down
    raise ActiveRecord::IrreversibleMigration
  end
end
