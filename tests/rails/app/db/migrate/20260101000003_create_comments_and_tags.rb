class CreateCommentsAndTags < ActiveRecord::Migration[6.1]
  def change
    create_table :comments do |t|
      t.bigint :workspace_id, null: false
      t.references :issue, null: false, foreign_key: { on_delete: :cascade }
      t.references :author, null: false, foreign_key: { to_table: :users }
      t.text :body, null: false
      t.timestamps precision: 6
    end

    create_table :tags do |t|
      t.bigint :workspace_id, null: false
      t.string :name, null: false, limit: 100
      t.index %i[workspace_id name], unique: true
    end

    create_table :taggings do |t|
      t.bigint :workspace_id, null: false
      t.references :issue, null: false
      t.references :tag, null: false
      t.index %i[issue_id tag_id], unique: true
    end
  end
end
