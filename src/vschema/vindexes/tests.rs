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
