class CreateChairs < ActiveRecord::Migration[6.1]
  def change
    create_table :chairs, comment: "what people sit on" do |t|
      t.references :desk, null: false
      t.string :name, limit: 80, null: false
      t.integer :legs, default: 4
      t.timestamps precision: 6
      t.index :name, unique: true
    end
  end
end
