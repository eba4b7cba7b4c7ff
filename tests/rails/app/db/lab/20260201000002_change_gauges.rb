class ChangeGauges < ActiveRecord::Migration[6.1]
  def up
    add_column :gauges, :unit, :string, limit: 20, default: "°C", null: false
    rename_column :gauges, :reading, :reading_value
    change_column :gauges, :reading_value, :bigint
    change_column_default :gauges, :reading_value, from: nil, to: 7
    add_index :gauges, %i[unit reading_value], name: "by_unit", order: { reading_value: :desc }
    add_reference :gauges, :user, foreign_key: true
    change_table_comment :gauges, "changed"
    execute "INSERT INTO gauges (name, created_at, updated_at) VALUES ('one', NOW(6), NOW(6))"
  end

  def down
    execute "DELETE FROM gauges"
    change_table_comment :gauges, "readings"
    remove_reference :gauges, :user, foreign_key: true
    remove_index :gauges, name: "by_unit"
    change_column_default :gauges, :reading_value, from: 7, to: nil
    change_column :gauges, :reading_value, :integer
    rename_column :gauges, :reading_value, :reading
    remove_column :gauges, :unit
  end
end
