class CreateUsers < ActiveRecord::Migration[6.1]
  def change
    create_table :users do |t|
      t.bigint :workspace_id, null: false
      t.string :email, null: false, limit: 190
      t.string :name, null: false, default: ""
      t.integer :role, null: false, default: 0, limit: 1
      t.boolean :active, null: false, default: true
      t.integer :issues_count, null: false, default: 0
      t.decimal :balance, precision: 20, scale: 6, null: false, default: "0"
      t.timestamps precision: 6
      t.index %i[workspace_id email], unique: true
    end
  end
end
