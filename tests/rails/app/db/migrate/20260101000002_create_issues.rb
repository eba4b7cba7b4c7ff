class CreateIssues < ActiveRecord::Migration[6.1]
  def change
    create_table :issues do |t|
      t.bigint :workspace_id, null: false
      t.string :type
      t.string :title, null: false, limit: 200
      t.text :body
      t.string :state, null: false, default: "open", limit: 16
      t.references :author, null: false, foreign_key: { to_table: :users }
      t.integer :comments_count, null: false, default: 0
      t.integer :lock_version, null: false, default: 0
      t.integer :points
      t.timestamps precision: 6
      t.index %i[workspace_id state]
    end
  end
end
