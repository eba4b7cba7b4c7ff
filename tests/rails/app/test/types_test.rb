require_relative "test_helper"

BothProtocols.define("Types") do
  def stored(attributes)
    Sample.create!(attributes).reload
  end

  test "integers keep their extremes" do
    row = stored(tiny: -128, small: 32_767, medium: -8_388_608, normal: 2_147_483_647, big: -2**63,
                 big_unsigned: 2**64 - 1)
    assert_equal [-128, 32_767, -8_388_608, 2_147_483_647, -2**63, 2**64 - 1],
                 [row.tiny, row.small, row.medium, row.normal, row.big, row.big_unsigned]
    assert_equal 1, Sample.where(big_unsigned: 2**64 - 1).count
    assert_equal 4_294_967_294, Sample.unscoped.pluck(Arel.sql("doubled + 0")).first
  rescue ActiveRecord::RangeError, ActiveRecord::StatementInvalid
    # The generated column overflows INT on purpose: what is stored then is the server's choice.
    row = stored(tiny: -128, small: 32_767, medium: -8_388_608, normal: 21, big: -2**63, big_unsigned: 2**64 - 1)
    assert_equal [-2**63, 2**64 - 1, 42], [row.big, row.big_unsigned, row.doubled]
  end

  test "decimals and floats are exact" do
    text = "12345678901234567890123456789012345.123456789012345678901234567891"
    row = stored(amount: text, whole: "99999999999999999999", ratio: 0.1)
    assert_equal BigDecimal(text), row.amount
    assert_equal 99_999_999_999_999_999_999, row.whole
    assert_equal 0.1, row.ratio
    assert_equal 1, Sample.where(whole: 99_999_999_999_999_999_999).count
    assert_equal BigDecimal("-0.000000000000000000000000000001"), stored(amount: "-1e-30").amount
  end

  test "booleans, NULL and defaults" do
    assert_equal [true, false, nil], [true, false, nil].map { |flag| stored(flag: flag).flag }
    assert_equal 1, Sample.where(flag: true).count
    assert_equal 1, Sample.where(flag: nil).count
    assert_equal [true, "member", 0], User.create!(email: "d@x").reload.then { |u| [u.active, u.role, u.balance] }
  end

  test "dates and times keep microseconds and zones" do
    moment = Time.utc(2024, 2, 29, 23, 59, 59, 123_456)
    row = stored(day: Date.new(1000, 1, 1), moment: moment, stamp: moment, second_only: moment, clock: "13:14:15")
    assert_equal Date.new(1000, 1, 1), row.day
    assert_equal moment, row.moment
    assert_equal 123_456, row.moment.usec
    assert_equal moment, row.stamp
    assert_equal 0, row.second_only.usec
    assert_equal [13, 14, 15], [row.clock.hour, row.clock.min, row.clock.sec]
    Time.use_zone("America/New_York") do
      assert_equal "2024-02-29 18:59:59 -0500", Sample.find(row.id).moment.to_s
      assert_equal 1, Sample.where(moment: moment.in_time_zone).count
    end
    assert_equal Date.new(9999, 12, 31), stored(day: "9999-12-31").day
    assert_equal 1, Sample.where(day: Date.new(9000)..).count
  end

  test "text keeps every character" do
    text = "naïve 日本語 🦀👩‍👩‍👧 \u0000 \\ ' \" ` % _ \r\n\t\u001a"
    row = stored(short: text, long: text * 500, word: "Größe", exact: "A")
    assert_equal text, row.short
    assert_equal text * 500, row.long
    assert_equal ["Größe", Encoding::UTF_8], [row.word, row.word.encoding]
    assert_equal 1, Sample.where(short: text).count
    assert_equal 1, Sample.where(word: "größe").count
    assert_equal 0, Sample.where(exact: "a").count
    assert_equal 1, Sample.where("short LIKE ?", "%🦀%").count
    assert_equal "", stored(short: "").short
  end

  test "binary keeps every byte" do
    bytes = (0..255).to_a.pack("C*")
    row = stored(bytes: bytes, fixed: bytes.first(16))
    assert_equal bytes, row.bytes
    assert_equal Encoding::BINARY, row.bytes.encoding
    assert_equal bytes.first(16), row.fixed
    assert_equal 1, Sample.where(bytes: bytes).count
  end

  test "a blob of one mebibyte" do
    content = Random.new(1).bytes(1.megabyte)
    row = issue.attachments.create!(filename: "one", content: content)
    assert_equal Digest::SHA256.hexdigest(content), Digest::SHA256.hexdigest(row.reload.content)
  end

  test "a blob larger than one packet" do
    content = Random.new(2).bytes(17.megabytes)
    row = issue.attachments.create!(filename: "seventeen", content: content)
    assert_equal content.bytesize, Attachment.where(id: row.id).pick(Arel.sql("LENGTH(content)"))
    assert_equal Digest::SHA256.hexdigest(content), Digest::SHA256.hexdigest(row.reload.content)
  end

  test "json documents" do
    document = { "a" => [1, 2.5, nil, true, "ü🦀"], "deep" => { "quote" => "it's \"so\" \\ fine" } }
    row = stored(document: document)
    assert_equal document, row.document
    assert_equal 1, Sample.where("JSON_EXTRACT(document, '$.a[0]') = 1").count
    assert_equal "it's \"so\" \\ fine", Sample.pick(Arel.sql("document->>'$.deep.quote'"))
    assert_equal [1, 2], stored(document: [1, 2]).document
    row.update!(document: nil)
    assert_nil row.reload.document
  end

  test "enums, sets and bits" do
    row = stored(kind: "ü", choices: "x,z", mask: "\xA5".b)
    assert_equal %w[ü x,z], [row.kind, row.choices]
    assert_equal "\xA5".b, row.mask.b
    admin = User.create!(email: "e@x", role: :admin)
    assert admin.reload.admin?
    assert_equal [admin], User.admin.to_a
    bug = issue(state: :parked)
    assert Issue.find(bug.id).state_parked?
  end

  test "values come typed from select_all" do
    stored(tiny: 1, big: 2, amount: "1.5", day: "2020-02-02", moment: "2020-02-02 02:02:02.000002", ratio: 2.5)
    row = connection.select_one("SELECT tiny, big, amount, day, moment, ratio, document, short FROM samples")
    assert_equal [Integer, Integer, BigDecimal, Date, Time, Float, NilClass, NilClass], row.values.map(&:class)
    assert_equal 2, row["moment"].usec
  end
end
