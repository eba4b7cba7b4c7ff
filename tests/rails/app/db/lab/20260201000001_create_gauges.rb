class CreateGauges < ActiveRecord::Migration[6.1]
  def change
    create_table :gauges, comment: "readings; of a 'gauge'" do |t|
      t.string :name, null: false, comment: "what is read"
      t.integer :reading
      t.timestamps precision: 6
    end
    add_index :gauges, :name, unique: true
  end
end
