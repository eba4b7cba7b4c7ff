//! Column types and values at their edges, as SQL expressions for a session with `SET NAMES binary`.

use crate::common::servers::Flavour;

/// One column type and values of it.
pub(crate) struct Case {
    pub(crate) column: String,
    pub(crate) values: Vec<String>,
}

fn case(column: &str, values: &[&str]) -> Case {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Case { column: column.to_owned(), values }
}

/// All cases of a flavour.
pub(crate) fn all(flavour: Flavour) -> Vec<Case> {
    let mut cases = integers();
    cases.extend(reals());
    cases.extend(times());
    cases.extend(strings());
    cases.extend(bytes());
    cases.extend(members());
    cases.extend(geometry(flavour));
    match flavour {
        Flavour::MySql => {
            cases.push(json());
            cases.push(case(
                "VECTOR(3)",
                &["STRING_TO_VECTOR('[1,-2.5,3e10]')", "x'000000000000000000000080'"],
            ));
        }
        Flavour::MariaDb => cases.push(case("JSON", &["'{\"a\": [1, 2.50, \"it\\'s\"]}'", "'[]'"])),
    }
    cases
}

fn integers() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, bits) in [("TINYINT", 8), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64)] {
        let (low, high) = (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1);
        let signed = [low, low + 1, -2, -1, 0, 1, high].map(|number| number.to_string());
        let unsigned = [0, 1, high, high + 1, 2 * high + 1].map(|number| number.to_string());
        cases.push(Case { column: name.to_owned(), values: signed.to_vec() });
        cases.push(Case { column: format!("{name} UNSIGNED"), values: unsigned.to_vec() });
        cases.push(Case { column: format!("{name}(5) ZEROFILL"), values: unsigned.to_vec() });
    }
    cases.push(case("BOOL", &["TRUE", "FALSE"]));
    for bits in [1, 7, 8, 9, 31, 33, 63, 64] {
        let high = u64::MAX >> (64 - bits);
        let values = ["0".to_owned(), "1".to_owned(), high.to_string(), (high / 3).to_string()];
        cases.push(Case { column: format!("BIT({bits})"), values: values.to_vec() });
    }
    cases
}

fn reals() -> Vec<Case> {
    let nines = |whole: usize, scale: usize| {
        let text = format!("{}.{}", "9".repeat(whole), "9".repeat(scale));
        text.trim_end_matches('.').to_owned()
    };
    let mut cases = Vec::new();
    for (precision, scale) in [(65, 30), (65, 0), (30, 30), (10, 0), (5, 5), (9, 9), (18, 9), (20, 3), (1, 0)]
    {
        let whole = nines(precision - scale, scale);
        let tiny = format!("0.{}1", "0".repeat(scale.max(1) - 1));
        let mut values = vec!["0".to_owned(), whole.clone(), format!("-{whole}")];
        if scale > 0 {
            values.extend([tiny.clone(), format!("-{tiny}"), format!("0.{}", "10".repeat(scale / 2))]);
        }
        cases.push(Case { column: format!("DECIMAL({precision},{scale})"), values });
    }
    cases.push(case("DECIMAL(10,2) ZEROFILL", &["0", "1.5", "12345678.91"]));
    cases.push(case("DECIMAL(10,2) UNSIGNED", &["0.01"]));
    let floats = [
        "0",
        "-0e0",
        "1",
        "-1.5",
        "0.1",
        "16777217",
        "3.4028234663852886e38",
        "-3.4028234663852886e38",
        "1.1754943508222875e-38",
        "1.401298464324817e-45",
        "1e10",
        "123456.7",
        "0.333333333",
    ];
    cases.push(case("FLOAT", &floats));
    let doubles = [
        "0",
        "-0e0",
        "0.1",
        "1e0/3",
        "1.7976931348623157e308",
        "-1.7976931348623157e308",
        "2.2250738585072014e-308",
        "5e-324",
        "9007199254740993",
        "123456789.123456789",
        "1e22",
        "1e23",
    ];
    cases.push(case("DOUBLE", &doubles));
    cases.push(case("FLOAT(7,2)", &["1.25", "-12345.67", "0.1"]));
    cases.push(case("DOUBLE(12,3)", &["1.25", "-123456789.123", "0.1"]));
    cases
}

fn times() -> Vec<Case> {
    let mut cases = vec![
        case(
            "DATE",
            &["'0000-00-00'", "'1000-01-01'", "'9999-12-31'", "'2024-02-30'", "'2024-00-00'", "'0001-01-01'"],
        ),
        case("YEAR", &["0", "'0000'", "1901", "2024", "2155", "1970"]),
    ];
    for decimals in 0..=6 {
        let whole = ["0", "'838:59:59'", "'-838:59:59'", "'-00:00:01'", "'23:59:59'", "'100:00:00'"];
        let parts = [
            "'-00:00:00.500000'",
            "'-00:00:00.000001'",
            "'-00:00:00.1'",
            "'-00:00:01.999999'",
            "'-12:34:56.789012'",
            "'00:00:00.123456'",
            "'12:34:56.999999'",
            "'-838:59:58.900000'",
            "'00:00:00.99'",
        ];
        let values: Vec<&str> = whole.iter().chain(&parts).copied().collect();
        cases.push(case(&format!("TIME({decimals})"), &values));
        let moments = [
            "'0000-00-00 00:00:00'",
            "'1000-01-01 00:00:00'",
            "'9999-12-31 23:59:59'",
            "'2024-02-28 21:40:00.123456'",
            "'2024-02-30 01:02:03.9'",
            "'2024-00-00 00:00:00.000001'",
            "'1969-12-31 23:59:59.000100'",
        ];
        cases.push(case(&format!("DATETIME({decimals})"), &moments));
        let stamps = [
            "'0000-00-00 00:00:00'",
            "'1970-01-01 00:00:01'",
            "'2038-01-19 03:14:07'",
            "'2024-03-31 02:30:00.123456'",
            "'2024-02-29 12:00:00.01'",
            "'2000-02-29 23:59:59.999'",
        ];
        cases.push(case(&format!("TIMESTAMP({decimals}) NULL"), &stamps));
    }
    cases
}

fn strings() -> Vec<Case> {
    let odd = [
        "_utf8mb4''",
        "_utf8mb4' '",
        "_utf8mb4'a '",
        "_utf8mb4'it\\'s'",
        "_utf8mb4'back\\\\slash'",
        "x'00'",
        "_utf8mb4'a\\0b'",
        "_utf8mb4'%_\\n\\r\\Z\"`'",
    ];
    let mut cases = Vec::new();
    for (charset, own) in [
        ("utf8mb4", &["_utf8mb4'ä'", "_utf8mb4'😀'", "_utf8mb4'ａｂ'"][..]),
        ("utf8mb3", &["_utf8mb3'ä€'"]),
        ("latin1", &["_latin1 x'E9'", "_latin1 x'80FF27'"]),
        ("ascii", &["'z'"]),
        ("gbk", &["_gbk x'A45C'", "_gbk x'BF5C27'", "_gbk x'815C5C'"]),
        ("sjis", &["_sjis x'835C'", "_sjis x'955C27'"]),
        ("utf16", &["_utf16 x'0027005C'", "_utf16 x'D83DDE00'", "_utf16 x'00E9'"]),
        ("utf32", &["_utf32 x'0001F600'"]),
        ("ucs2", &["_ucs2 x'00270020'"]),
    ] {
        let is_wide = charset.starts_with("ut") && charset.len() == 5 || charset == "ucs2";
        let odd = odd.iter().filter(|value| !is_wide || !value.starts_with("x'"));
        let values: Vec<&str> = odd.chain(own).copied().collect();
        for column in ["CHAR(20)", "CHAR(255)", "VARCHAR(20)", "VARCHAR(300)", "TEXT"] {
            cases.push(case(&format!("{column} CHARACTER SET {charset}"), &values));
        }
    }
    let long = ["REPEAT('x', 255)", "REPEAT('\\'', 300)", "REPEAT('ab', 40000)"];
    cases.push(case("TINYTEXT CHARACTER SET utf8mb4", &long[..1]));
    cases.push(case("MEDIUMTEXT CHARACTER SET utf8mb4", &long));
    cases.push(case("LONGTEXT CHARACTER SET latin1", &long));
    cases.push(case("VARCHAR(8000) CHARACTER SET utf8mb4", &["REPEAT('ä', 8000)", "''"]));
    cases
}

fn bytes() -> Vec<Case> {
    let mut all = String::from("x'");
    (0..=255_u8).for_each(|byte| all.push_str(&format!("{byte:02x}")));
    all.push('\'');
    let short = ["''", "x'00'", "x'0000'", "x'61000000'", "x'20'", "x'FF27'", "x'5C'"];
    let mut cases = Vec::new();
    for column in ["BINARY(4)", "BINARY(16)", "BINARY(255)", "VARBINARY(4)", "VARBINARY(300)", "TINYBLOB"] {
        cases.push(case(column, &short));
    }
    for column in ["VARBINARY(256)", "BLOB", "MEDIUMBLOB", "LONGBLOB"] {
        let values: Vec<&str> = short.iter().copied().chain([all.as_str()]).collect();
        cases.push(case(column, &values));
    }
    cases.push(case("BLOB", &["REPEAT(x'27005C', 20000)"]));
    cases
}

fn members() -> Vec<Case> {
    let many: Vec<String> = (0..300).map(|n| format!("'m{n}'")).collect();
    let sixty_four: Vec<String> = (0..64).map(|n| format!("'s{n}'")).collect();
    vec![
        case(
            "ENUM('a','b','it''s','x,y','back\\\\slash','é','') CHARACTER SET utf8mb4",
            &["'a'", "'it\\'s'", "5", "6", "'x,y'", "''"],
        ),
        case("ENUM('a','é') CHARACTER SET latin1", &["1", "2"]),
        case(&format!("ENUM({})", many.join(",")), &["1", "256", "300"]),
        case("SET('a','b','it''s','é') CHARACTER SET utf8mb4", &["''", "'a'", "'a,b'", "15", "4"]),
        case("SET('x','é') CHARACTER SET latin1", &["0", "3"]),
        case(
            &format!("SET({})", sixty_four.join(",")),
            &["0", "1", "9223372036854775808", "18446744073709551615"],
        ),
    ]
}

fn geometry(flavour: Flavour) -> Vec<Case> {
    let mut values = vec![
        "ST_GeomFromText('POINT(1 -2.5)')",
        "ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 0))')",
        "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')",
    ];
    if flavour == Flavour::MySql {
        values.push("ST_GeomFromText('POINT(39 92)', 4326)");
    }
    vec![
        case("GEOMETRY", &values),
        case("POINT", &values[..1]),
        case("MULTIPOINT", &["ST_GeomFromText('MULTIPOINT(0 0,39 92)')"]),
    ]
}

fn json() -> Case {
    let deep = format!("CAST(_utf8mb4'{}1{}' AS JSON)", "[".repeat(90), "]".repeat(90));
    let mut values: Vec<String> = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1",
        "32767",
        "32768",
        "-32768",
        "-32769",
        "65535",
        "65536",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "4294967295",
        "4294967296",
        "-9223372036854775808",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "1.0",
        "-0.0",
        "0.1",
        "-1.5",
        "1e15",
        "1e16",
        "123456789012345.0",
        "1234567890123456.7",
        "1e-5",
        "1e-15",
        "1e-16",
        "1.7976931348623157e308",
        "5e-324",
        "0.30000000000000004",
        "1e100",
        "1.25e-200",
        "\"\"",
        "[]",
        "{}",
        "[[], {}, [[]]]",
        "{\"b\": 1, \"a\": 2, \"aa\": 3, \"\": 4}",
        "[1, 1.0, \"1\", true, null]",
        "{\"key \\\\\\\"x\": \"it\\'s\"}",
        "\"\\\\u0001\\\\u001f\\\\b\\\\f\\\\n\\\\r\\\\t\\\\\\\\\\\\\"/\"",
        "\"ä😀\"",
        "{\"a\": {\"b\": {\"c\": [1, 2, {\"d\": null}]}}}",
        "[65535, 65536, 70000, -70000, 4294967296]",
    ]
    .map(|text| format!("CAST(_utf8mb4'{text}' AS JSON)"))
    .to_vec();
    values.push(deep);
    values.extend(
        [
            "JSON_ARRAY(CAST(1.50 AS DECIMAL(10,2)), CAST(-0.001 AS DECIMAL(65,30)))",
            "CAST(CAST('2024-02-28' AS DATE) AS JSON)",
            "JSON_ARRAY(CAST('-12:34:56.5' AS TIME(6)), CAST('838:59:59' AS TIME))",
            "JSON_ARRAY(CAST('2024-02-28 21:40:00.25' AS DATETIME(6)), TIMESTAMP'1000-01-01 00:00:00')",
            "JSON_ARRAY(CAST('0000-00-00' AS DATE))",
            "JSON_ARRAY(_binary x'00FF27')",
            "JSON_ARRAY(CAST(REPEAT('x', 200) AS BINARY))",
            "JSON_ARRAY(b'101')",
            "JSON_OBJECT(_utf8mb4'long', REPEAT(_utf8mb4'y', 70000))",
            "JSON_ARRAY(REPEAT(_utf8mb4'z', 127), REPEAT(_utf8mb4'z', 128), REPEAT(_utf8mb4'z', 16384))",
            "CAST(CONCAT(_utf8mb4'[', REPEAT(_utf8mb4'{\"k\": 100000},', 9000), _utf8mb4'1]') AS JSON)",
            "JSON_ARRAY(CAST(1e0/3 AS DOUBLE), CAST(0.1 AS FLOAT), 1e0)",
        ]
        .map(str::to_owned),
    );
    Case { column: "JSON".to_owned(), values }
}
