use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{GtidSet, Origin};

const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const B: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429563";

fn mysql(text: &str) -> GtidSet {
    GtidSet::parse_mysql(text).unwrap()
}

fn maria(text: &str) -> GtidSet {
    GtidSet::parse_mariadb(text).unwrap()
}

#[test]
fn reads_what_mysql_writes() {
    let text = format!("{}:1-5:7,\n{B}:3", A.to_uppercase());
    assert_eq!(mysql(&text).to_string(), format!("{A}:1-5:7,{B}:3"));
    assert_eq!(mysql("").to_string(), "");
    assert_eq!(mysql(&format!("{A}:5:1-4:9-12:8")).to_string(), format!("{A}:1-5:8-12"));
    // A tag holds for the intervals behind it; printed, each has its own part.
    let tagged = mysql(&format!("{A}:1-3:dba:1:4-5:Tool:2"));
    assert_eq!(tagged.to_string(), format!("{A}:1-3,{A}:dba:1:4-5,{A}:tool:2"));
    assert_eq!(mysql(&tagged.to_string()), tagged);
}

#[test]
fn refuses_what_is_none() {
    for text in ["x", A, "0-1-57", "3e11fa47:1"] {
        assert!(GtidSet::parse_mysql(text).is_err(), "{text}");
    }
    for tail in [":0", ":5-4", ":1-", ":-1", ":+1", ":9223372036854775807", ":1:ta g", ":tag", ":1:2x", ":"] {
        assert!(GtidSet::parse_mysql(&format!("{A}{tail}")).is_err(), "{tail}");
    }
    for text in ["1", "0-1", "0-1-2-3", "0-1-x", "-1-2-3", "4294967296-1-1", "0-1-99999999999999999999"] {
        assert!(GtidSet::parse_mariadb(text).is_err(), "{text}");
    }
}

#[test]
fn mariadb_positions_hold_all_before() {
    assert!(maria("0-1-57").is_subset(&maria("0-1-60,0-2-61")));
    assert!(!maria("0-2-57").is_subset(&maria("0-1-60")));
    assert_eq!(maria("0-1-60,0-2-3").subtract(&maria("0-1-57,0-2-3")).to_string(), "0-1-58..60");
    assert_eq!(maria("0-1-60").subtract(&maria("0-1-59")).to_string(), "0-1-60");
    // A server at position 58 of the domain has what any server of it wrote before.
    let all = maria("0-1-57,0-2-60,7-1-4");
    assert_eq!(all.up_to(&maria("0-9-58").last_by_domain()).to_string(), "0-1-57,0-2-58");
}

#[test]
fn the_largest_numbers_are_no_overflow() {
    let last = i64::MAX as u64 - 1;
    let all = mysql(&format!("{A}:1-{last}"));
    assert_eq!(all.subtract(&mysql(&format!("{A}:{last}"))).to_string(), format!("{A}:1-{}", last - 1));
    let most = maria(&format!("0-1-{}", u64::MAX));
    assert_eq!(most.union(&maria("0-1-5")), most);
}

/// A set as a plain set of (origin, number).
type Plain = BTreeSet<(u8, u64)>;

fn origin(at: u8) -> String {
    match at {
        0 => A.to_owned(),
        1 => format!("{A}:tag"),
        _ => B.to_owned(),
    }
}

fn set_of(plain: &Plain) -> GtidSet {
    let parts: Vec<_> = plain.iter().map(|(at, number)| format!("{}:{number}", origin(*at))).collect();
    mysql(&parts.join(","))
}

fn plain() -> impl Strategy<Value = Plain> {
    proptest::collection::btree_set((0u8..3, 1u64..24), 0..40)
}

proptest! {
    #[test]
    fn is_an_algebra_of_sets(a in plain(), b in plain()) {
        let (x, y) = (set_of(&a), set_of(&b));
        prop_assert_eq!(x.union(&y), set_of(&a.union(&b).copied().collect()));
        prop_assert_eq!(x.subtract(&y), set_of(&a.difference(&b).copied().collect()));
        prop_assert_eq!(x.is_subset(&y), a.is_subset(&b));
        prop_assert_eq!(x.is_empty(), a.is_empty());
        prop_assert_eq!(x.is_subset(&x.union(&y)), true);
        prop_assert_eq!(x.subtract(&y).union(&y), x.union(&y));
        let kept = x.retain(|origin| matches!(origin, Origin::MySql { tag, .. } if tag.is_empty()));
        prop_assert_eq!(kept, set_of(&a.iter().filter(|(at, _)| *at != 1).copied().collect()));
    }

    #[test]
    fn what_is_printed_is_read(a in plain()) {
        let set = set_of(&a);
        prop_assert_eq!(GtidSet::parse_mysql(&set.to_string()), Ok(set));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9a-f:,\\- \u{e9}]{0,60}") {
        // Neither panics; what was read once is read again.
        if let Ok(set) = GtidSet::parse_mysql(&text) {
            prop_assert_eq!(GtidSet::parse_mysql(&set.to_string()), Ok(set));
        }
        if let Ok(set) = GtidSet::parse_mariadb(&text) {
            prop_assert_eq!(GtidSet::parse_mariadb(&set.to_string()), Ok(set));
        }
    }

    #[test]
    fn mariadb_positions_are_an_algebra(a in positions(), b in positions()) {
        let (x, y) = (maria(&a.1), maria(&b.1));
        let max: Vec<u64> = a.0.iter().zip(&b.0).map(|(m, n)| *m.max(n)).collect();
        prop_assert_eq!(x.union(&y), maria(&text_of(&max)));
        prop_assert_eq!(x.is_subset(&y), a.0.iter().zip(&b.0).all(|(m, n)| m <= n));
        prop_assert_eq!(x.subtract(&y).union(&y), x.union(&y));
    }
}

/// Last numbers of four origins in two domains, and the text of them.
fn positions() -> impl Strategy<Value = (Vec<u64>, String)> {
    proptest::collection::vec(0u64..6, 4).prop_map(|numbers| {
        let text = text_of(&numbers);
        (numbers, text)
    })
}

fn text_of(numbers: &[u64]) -> String {
    let at = |at: usize| format!("{}-{}", at / 2, at % 2);
    let parts: Vec<_> = numbers.iter().enumerate().map(|(n, last)| format!("{}-{last}", at(n))).collect();
    parts.join(",")
}

#[test]
fn one_transaction_at_a_time() {
    let mut set = mysql(&format!("{A}:1-3"));
    let origin = Origin::MySql { uuid: Origin::parse_uuid(A).unwrap(), tag: "".into() };
    for number in [5, 4, 7, 6, 9] {
        assert!(!set.contains(&origin, number));
        set.insert(&origin, number);
        assert!(set.contains(&origin, number));
    }
    assert_eq!(set, mysql(&format!("{A}:1-7:9")));
    let other = Origin::MySql { uuid: Origin::parse_uuid(B).unwrap(), tag: "".into() };
    set.insert(&other, 1);
    assert_eq!(set.intersect(&mysql(&format!("{A}:3-5:8-10,{B}:2"))), mysql(&format!("{A}:3-5:9")));
}
