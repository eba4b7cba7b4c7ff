ActiveRecord::Schema.define(version: 2026_03_01_000004) do

  create_table "chairs", charset: "utf8mb4", collation: "utf8mb4_0900_ai_ci", comment: "what people sit on", force: :cascade do |t|
    t.bigint "desk_id", null: false
    t.string "name", limit: 80, null: false
    t.integer "legs", default: 4
    t.datetime "created_at", precision: 6, null: false
    t.datetime "updated_at", precision: 6, null: false
    t.index ["desk_id"], name: "index_chairs_on_desk_id"
    t.index ["name"], name: "index_chairs_on_name", unique: true
  end

  create_table "desks", charset: "utf8mb4", collation: "utf8mb4_0900_ai_ci", force: :cascade do |t|
    t.string "label", limit: 40, null: false
    t.bigint "number", default: 0, null: false
    t.string "colour", limit: 20, default: "grün", null: false
    t.integer "floor"
    t.index ["colour", "number"], name: "index_desks_on_colour_and_number"
  end

end
