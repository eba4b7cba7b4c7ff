class RenameGauges < ActiveRecord::Migration[6.1]
  def change
    rename_table :gauges, :meters
    rename_index :meters, "by_unit", "meters_by_unit"
    create_join_table :meters, :tags do |t|
      t.index %i[meter_id tag_id]
    end
    reversible do |direction|
      direction.up { change_column_null :meters, :reading_value, false, 0 }
      direction.down { change_column_null :meters, :reading_value, true }
    end
  end
end
