use super::*;

fn hex(kind: &str, value: Value<'_>) -> String {
    match Vindex::of_type(kind).unwrap().map(&[value]).unwrap() {
        Mapped::KeyspaceId(id) => id.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn hash_is_vitess_s() {
    let golden = [
        (1, "166b40b44aba4bd6"),
        (2, "06e7ea22ce92708f"),
        (3, "4eb190c9a2fa169c"),
        (4, "d2fd8867d50d2dfe"),
        (5, "70bb023c810ca87a"),
        (6, "f098480ac4c4be71"),
        (0, "8ca64de9c1b123a7"),
        (-1, "355550b2150e2451"),
    ];
    for (number, id) in golden {
        assert_eq!(hex("hash", Value::Int(number)), id, "{number}");
    }
    assert_eq!(hex("hash", Value::text("1")), "166b40b44aba4bd6");
    assert_eq!(hex("hash", Value::Uint(u64::MAX)), "355550b2150e2451");
}

#[test]
fn xxhash_is_vitess_s() {
    assert_eq!(hex("xxhash", Value::Int(1)), "d46405367612b4b7");
    assert_eq!(hex("xxhash", Value::Int(2)), "8b59801662b52160");
    assert_eq!(hex("xxhash", Value::text("tenant-42")), "404f5103a9b9fbf9");
    assert_eq!(hex("xxhash", Value::Int(12345)), "b64fd60addd2f2c6");
    assert_eq!(hex("xxhash", Value::Null), "99e9d85137db46ef");
}

#[test]
fn multicol_is_vitess_s() {
    let mut params = Params::new([("column_count", "3")], &|_| Err(std::io::ErrorKind::NotFound.into()));
    let vindex = Vindex::try_new("multicol", &mut params).unwrap();
    let map = |values: &[i64]| {
        let values: Vec<_> = values.iter().map(|number| Value::Int(*number)).collect();
        match vindex.map(&values).unwrap() {
            Mapped::KeyspaceId(id) => id.to_string(),
            Mapped::Range(range) => range.to_string(),
            Mapped::Directory(_) => unreachable!(),
        }
    };
    assert_eq!(map(&[1, 1, 1]), "166b40166b40166b");
    assert_eq!(map(&[255, 1, 1]), "254e88166b40166b");
    assert_eq!(map(&[256, 1, 1]), "dd7c0b166b40166b");
    assert_eq!(map(&[1]), "166b40-166b41");
    assert_eq!(map(&[1, 1]), "166b40166b40-166b40166b41");
    assert!(vindex.map(&[Value::text("abcd"), Value::Int(256), Value::Int(256)]).is_err());
    assert_eq!(vindex.cost(), 3);
}

#[test]
fn unicode_loose_is_vitess_s() {
    let texts = ["Test", "TEst", "Te\u{301}st", "Tést", "Test  "];
    for text in texts {
        assert_eq!(hex("unicode_loose_xxhash", Value::text(text)), "42d21361087a4c07", "{text}");
        assert_eq!(hex("unicode_loose_md5", Value::text(text)), "0b5edbb401fd7524393690491d64f1f5", "{text}");
    }
    assert_eq!(hex("unicode_loose_xxhash", Value::text("Bést")), "926975b9ce2ec316");
    assert_eq!(hex("unicode_loose_xxhash", Value::text("T")), "f81c3be2d501fe18");
    assert_eq!(hex("unicode_loose_xxhash", Value::text("TéstLooong")), "d3ea873942b484a7");
    assert_eq!(hex("unicode_loose_xxhash", Value::Null), "99e9d85137db46ef");
}

#[test]
fn other_types_are_vitess_s() {
    assert_eq!(hex("numeric", Value::text("7")), "0000000000000007");
    assert_eq!(hex("binary", Value::text("abc")), "616263");
    assert_eq!(hex("binary_md5", Value::text("test1")), "5a105e8b9d40e1329780d62ea2265d8a");
    assert_eq!(hex("reverse_bits", Value::Int(1)), "8000000000000000");
    assert_eq!(hex("null", Value::text("anything")), "00");
    let refused = |kind: &str, value: Value<'_>| Vindex::of_type(kind).unwrap().map(&[value]).is_err();
    assert!(
        refused("hash", Value::Null)
            && refused("hash", Value::text("-1"))
            && refused("hash", Value::text(""))
    );
    assert!(refused("numeric", Value::Int(-1)) && refused("numeric", Value::text("1.0")));
    assert!(refused("xxhash", Value::Other("decimal")) && refused("directory", Value::Null));
    assert!(refused("unicode_loose_md5", Value::Text(b"\xff".into())));
}

#[test]
fn static_maps_map() {
    let read = |params: &[(&'static str, &'static str)]| {
        Vindex::try_new(
            "numeric_static_map",
            &mut Params::new(params.iter().copied(), &|_| Ok("{\"1\": 3}".into())),
        )
    };
    let vindex = read(&[("json", "{\"1\": 2, \"3\": 4}")]).unwrap();
    assert_eq!(vindex.map(&[Value::Int(1)]), Ok(Mapped::KeyspaceId(2.into())));
    assert_eq!(vindex.map(&[Value::Int(5)]), Ok(Mapped::KeyspaceId(5.into())));
    let vindex = read(&[("json_path", "map.json"), ("fallback_type", "xxhash")]).unwrap();
    assert_eq!(vindex.map(&[Value::text("1")]), Ok(Mapped::KeyspaceId(3.into())));
    let xxhash = Vindex::of_type("xxhash").unwrap().map(&[Value::Int(2)]);
    assert_eq!(vindex.map(&[Value::Int(2)]), xxhash);
    assert!(
        read(&[]).is_err() && read(&[("json", "[]")]).is_err() && read(&[("json", "{\"x\": 1}")]).is_err()
    );
    assert!(read(&[("json", "{}"), ("json_path", "x")]).is_err());
    assert!(read(&[("json", "{}"), ("fallback_type", "multicol")]).is_err());
}

#[test]
fn multicol_parameters_are_checked() {
    let read = |params: &[(&'static str, &'static str)]| {
        Vindex::try_new(
            "multicol",
            &mut Params::new(params.iter().copied(), &|_| Err(std::io::ErrorKind::NotFound.into())),
        )
    };
    assert!(read(&[]).is_err());
    for count in ["0", "9", "x"] {
        assert!(read(&[("column_count", count)]).is_err());
    }
    assert!(read(&[("column_count", "3"), ("column_bytes", "1,2,3,4")]).is_err());
    assert!(read(&[("column_count", "3"), ("column_bytes", "4,4")]).is_err());
    assert!(read(&[("column_count", "3"), ("column_bytes", "100,200,300")]).is_err());
    assert!(read(&[("column_count", "2"), ("column_vindex", "binary,null")]).is_err());
    let vindex =
        read(&[("column_count", "3"), ("column_bytes", "1,,3"), ("column_vindex", "binary,,binary")])
            .unwrap();
    assert_eq!((vindex.column_count(), vindex.cost()), (3, 1));
    let mapped = vindex.map(&[Value::text(""), Value::Int(1), Value::text("abcdef")]);
    let Ok(Mapped::KeyspaceId(id)) = mapped else { panic!("{mapped:?}") };
    assert_eq!(id.to_string(), "00166b40b4616263");
    let vindex =
        read(&[("column_count", "2"), ("column_bytes", "1"), ("column_vindex", "binary,hash")]).unwrap();
    let ranges = [("\u{7f}", "7f-80"), ("", "-")];
    for (text, range) in ranges {
        let mapped = vindex.map(&[Value::text(text)]);
        assert!(matches!(&mapped, Ok(Mapped::Range(found)) if found.to_string() == range), "{mapped:?}");
    }
    let mapped = vindex.map(&[Value::Text(b"\xff"[..].into())]);
    assert!(matches!(&mapped, Ok(Mapped::Range(found)) if found.to_string() == "ff-"), "{mapped:?}");
}

#[test]
fn collation_keys_are_the_libraries() {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let (mut same, mut refused) = (0, 0);
    for line in include_str!("unicode_loose_golden.txt").lines().filter(|line| !line.starts_with('#')) {
        let (text, key) = line.split_once(' ').unwrap();
        let text = bytes(text);
        if text.ends_with(b" ") {
            continue;
        }
        match super::unicode::collation_key(&text) {
            Ok(found) => {
                assert_eq!(found, bytes(key), "{:?}", String::from_utf8_lossy(&text));
                same += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(same > 300 && refused < 80, "{same} {refused}");
}

#[test]
fn the_weight_table_is_well_formed() {
    let mut last = None;
    for line in include_str!("unicode_loose.txt").lines().filter(|line| !line.starts_with('#')) {
        let (head, rest) = line.split_once(' ').unwrap_or((line, ""));
        if matches!(head, "starts" | "follows" | "marks") {
            assert!(rest.split_whitespace().count() > 10);
            continue;
        }
        let range = head.trim_end_matches(['+', '=']);
        let (first, end) = range.split_once('-').unwrap_or((range, range));
        let first = u32::from_str_radix(first, 16).unwrap();
        let end = u32::from_str_radix(end, 16).unwrap();
        assert!(last.is_none_or(|last| last < first) && first <= end, "{line}");
        assert!(rest.split_whitespace().all(|weight| u32::from_str_radix(weight, 16).is_ok()), "{line}");
        last = Some(end);
    }
}

proptest::proptest! {
    /// Stable, and eight bytes or what the type says, for whatever it takes.
    #[test]
    fn vindexes_are_stable_and_total(number: i64, text in ".{0,24}") {
        for (kind, _) in TYPES {
            let Some(vindex) = Vindex::of_type(kind) else { continue };
            for value in [Value::Int(number), Value::text(&text), Value::Null] {
                let mapped = vindex.map(std::slice::from_ref(&value));
                proptest::prop_assert_eq!(&mapped, &vindex.map(&[value]));
                if let Ok(Mapped::KeyspaceId(id)) = mapped {
                    let length = id.as_bytes().len();
                    let right = match *kind {
                        "binary" => true,
                        "null" => length == 1,
                        "binary_md5" | "unicode_loose_md5" => length == 16,
                        _ => length == 8,
                    };
                    proptest::prop_assert!(right, "{} {}", kind, length);
                }
            }
        }
    }

    /// A number and its text are the same workspace, so they have the same id.
    #[test]
    fn numbers_and_their_text_agree(number: u64) {
        let text = number.to_string();
        for kind in ["hash", "xxhash", "numeric", "binary", "binary_md5", "reverse_bits", "directory"] {
            let vindex = Vindex::of_type(kind).unwrap();
            proptest::prop_assert_eq!(vindex.map(&[Value::Uint(number)]), vindex.map(&[Value::text(&text)]));
        }
    }
}
