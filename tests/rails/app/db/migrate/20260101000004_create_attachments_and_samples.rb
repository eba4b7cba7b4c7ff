class CreateAttachmentsAndSamples < ActiveRecord::Migration[6.1]
  def change
    create_table :attachments do |t|
      t.bigint :workspace_id, null: false
      t.references :subject, polymorphic: true, null: false
      t.string :filename, null: false
      t.binary :content, limit: 4.gigabytes - 1
    end

    create_table :samples do |t|
      t.bigint :workspace_id, null: false
      t.integer :tiny, limit: 1
      t.integer :small, limit: 2
      t.integer :medium, limit: 3
      t.integer :normal
      t.bigint :big
      t.bigint :big_unsigned, unsigned: true
      t.float :ratio, limit: 53
      t.decimal :amount, precision: 65, scale: 30
      t.decimal :whole, precision: 20, scale: 0
      t.boolean :flag
      t.date :day
      t.time :clock
      t.datetime :moment, precision: 6
      t.datetime :second_only
      t.timestamp :stamp, precision: 6, null: true
      t.string :short
      t.text :long, limit: 16.megabytes - 1
      t.binary :bytes, limit: 16.megabytes - 1
      t.binary :fixed, limit: 16
      t.json :document
      t.column :kind, "enum('a','b','ü')"
      t.column :choices, "set('x','y','z')"
      t.column :mask, "bit(8)"
      t.column :word, "varchar(50) CHARACTER SET latin1"
      t.column :exact, "varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
      t.virtual :doubled, type: :integer, as: "normal * 2", stored: false
    end
  end
end
