use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::ids::MigrationId;
use crate::migrations::Failure;
use crate::migrations::fleet::fixture::{TestStore, order, row, wave};
use crate::topology::Store;

fn standing(kind: Kind) -> Standing {
    match kind {
        Kind::Waiting => Standing::Waiting,
        Kind::Later => Standing::Later(Why::Moving),
        Kind::Running => Standing::Running { owner: "a".into() },
        Kind::Unsure => Standing::Unsure,
        Kind::Changed => Standing::Changed,
        Kind::There => Standing::There,
        Kind::Drifted => Standing::Drifted,
        Kind::Failed => Standing::Failed,
        Kind::Skipped => Standing::Skipped,
        Kind::Gone => Standing::Gone,
    }
}

fn outcomes() -> Vec<Outcome> {
    let failure = || Failure::new("no");
    vec![
        Outcome::Changed,
        Outcome::There,
        Outcome::Drifted("it has a column more".into()),
        Outcome::Gone,
        Outcome::Again(failure()),
        Outcome::Failed(failure()),
        Outcome::Unknown(failure()),
        Outcome::Later(Why::Suspended),
        Outcome::Unchanged,
        Outcome::StillRunning,
    ]
}

/// From → to, for every transition that is allowed; everything else is refused and changes nothing.
#[test]
fn rows_change_only_as_they_may() {
    let now = Moment(1_000_000);
    let mut allowed = Vec::new();
    let mut transitions = vec![
        Transition::Begin("a".into()),
        Transition::SetAside(Why::Moving, now),
        Transition::TakeBack,
        Transition::Orphan,
        Transition::Retry,
        Transition::Skip,
    ];
    transitions.extend(outcomes().into_iter().map(Transition::End));
    for from in Kind::ALL {
        for transition in &transitions {
            let mut record = Record { standing: standing(from), tries: 1, ..Record::WAITING };
            let before = record.clone();
            match apply(&mut record, transition, now) {
                Ok(()) => {
                    let name = format!("{transition:?}");
                    let name = name.split(['(', ' ']).next().unwrap().to_owned();
                    let name = match transition {
                        Transition::End(outcome) => {
                            format!("{outcome:?}").split(['(', ' ']).next().unwrap().into()
                        }
                        _ => name,
                    };
                    allowed.push(format!("{} {name} {}", from.word(), record.standing.kind().word()));
                }
                Err(illegal) => {
                    assert_eq!(illegal.from, from);
                    assert_eq!(record, before, "a refused transition changes nothing");
                }
            }
        }
    }
    let ends = "Changed changed, There there, Drifted drifted, Gone gone, Again waiting, Failed failed, \
                Unknown unsure, Later later, Unchanged waiting, StillRunning unsure";
    let mut expected = vec![
        "waiting Begin running",
        "waiting SetAside later",
        "waiting TakeBack waiting",
        "waiting Skip skipped",
        "waiting Gone gone",
        "later TakeBack waiting",
        "later Skip skipped",
        "later Gone gone",
        "running Orphan unsure",
        "unsure Skip skipped",
        "drifted Retry waiting",
        "drifted Skip skipped",
        "failed Retry waiting",
        "failed Skip skipped",
        "skipped Retry waiting",
        "gone Retry waiting",
        "gone Skip skipped",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect::<Vec<_>>();
    for from in ["running", "unsure"] {
        expected.extend(ends.split(", ").map(|end| format!("{from} {end}")));
    }
    allowed.sort();
    expected.sort();
    assert_eq!(allowed, expected);
}

#[test]
fn tries_end_and_wait_longer_each_time() {
    let mut record = Record::WAITING;
    let mut now = Moment(0);
    let mut waits = Vec::new();
    for attempt in 1..=TRIES_MAX {
        apply(&mut record, &Transition::Begin("a".into()), now).unwrap();
        assert_eq!((record.attempts, record.tries), (attempt, attempt));
        let failure = Failure { server: Some((1205, "HY000".into())), message: "x".repeat(2000) };
        apply(&mut record, &Transition::End(Outcome::Again(failure)), now).unwrap();
        assert_eq!(record.failure.as_ref().unwrap().message.len(), 512, "texts are bounded");
        if let Some(until) = record.not_before {
            waits.push(until.since(now).as_secs());
            now = until;
            apply(&mut record, &Transition::TakeBack, now).unwrap();
        }
    }
    assert_eq!((record.standing.kind(), waits), (Kind::Failed, vec![1, 2, 4, 8]));
    // An operator's retry gives it all tries again.
    apply(&mut record, &Transition::Retry, now).unwrap();
    assert_eq!((record.tries, record.attempts), (0, TRIES_MAX));
    assert_eq!(retry_after(u16::MAX), Duration::from_secs(60));
}

#[test]
fn a_page_reads_as_it_was_written() {
    let mut rows: Vec<Row> = (0..64).map(|at| row(at, at % 3, 1)).collect();
    for (row, kind) in rows.iter_mut().zip(Kind::ALL.iter().cycle()) {
        row.record.standing = standing(*kind);
        row.record.began = Some(Moment(5));
        row.record.failure = Some(Box::new(Failure::new("it failed: 'ä'")));
    }
    rows[3].workspace = None;
    (rows[4].there, rows[5].there) = (0b101, u64::MAX);
    let stored = encode_page(&rows);
    assert_eq!(decode_page(&stored).unwrap(), rows);
    for end in 0..stored.len() {
        assert!(decode_page(&stored[..end]).is_err(), "a page cut at {end} is no page");
    }
    let unplaced = String::from_utf8(stored).unwrap().replace("\"p\":2", "\"p\":9");
    assert!(matches!(decode_page(unplaced.as_bytes()), Err(PageFault::Row { at: 2, .. })));
}

fn big(id: &str, databases: usize) -> (Header, Vec<Row>) {
    let order = order(id, "issues", vec![wave("all", 1, Duration::ZERO)]);
    let rows: Vec<Row> = (0..databases).map(|at| row(at, at % 10, 0)).collect();
    (Header::new(order, u32::try_from(databases).unwrap(), 0), rows)
}

async fn write_all(book: &mut Book, header: &Header, rows: &[Row]) -> Result<(), BookError> {
    for part in encode_new(header, rows) {
        book.write(part).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_read_a_few_pages_at_a_time() {
    let store = TestStore::default();
    let mut book = Book::new(Arc::new(store.clone()), "a");
    assert!(book.keep_lease().await.unwrap());
    let (header, rows) = big("0001", 100_000);
    write_all(&mut book, &header, &rows).await.unwrap();
    // Pages, header and lease.
    assert_eq!(store.keys().len(), 1563 + 1 + 1);
    assert!(store.largest_commit() <= 1 << 20, "{} bytes in one commit", store.largest_commit());
    let mut again = Book::new(Arc::new(store.clone()), "a");
    let (loaded, faults) = again.load().await.unwrap();
    assert!(faults.is_empty());
    assert_eq!(loaded.len(), 1);
    assert!(loaded[0].header.is_whole);
    assert_eq!(loaded[0].rows, rows, "in order");
    assert!(store.longest_list() <= 16, "{} keys in one list", store.longest_list());
    // One of them is removed whole.
    again.keep_lease().await.unwrap();
    again.remove(&loaded[0].header).await.unwrap();
    assert_eq!(store.keys(), [LEASE_KEY]);
}

#[tokio::test]
async fn what_was_written_halfway_is_removed_and_what_is_torn_is_told() {
    let store = TestStore::default();
    let mut book = Book::new(Arc::new(store.clone()), "a");
    book.keep_lease().await.unwrap();
    let (header, rows) = big("0001", 200);
    let [begun, pages, _] = encode_new(&header, &rows);
    book.write(begun).await.unwrap();
    book.write(pages).await.unwrap();
    let (header, rows) = big("0002", 200);
    write_all(&mut book, &header, &rows).await.unwrap();
    store
        .delete_if(&page_key(&MigrationId::new("0002"), 0, 1), version(&store, "0002", 1).await)
        .await
        .unwrap();
    let (header, rows) = big("0003", 200);
    write_all(&mut book, &header, &rows).await.unwrap();
    let damaged = page_key(&MigrationId::new("0003"), 0, 0);
    let expect = crate::topology::Expect::Version(version(&store, "0003", 0).await);
    store.put_if(&damaged, b"{".to_vec(), expect).await.unwrap();
    let (header, rows) = big("0004", 1);
    write_all(&mut book, &header, &rows).await.unwrap();
    let (loaded, faults) = book.load().await.unwrap();
    let ids: Vec<_> = loaded.iter().map(|found| found.header.order.id.as_str().to_owned()).collect();
    assert_eq!(ids, ["0004"]);
    assert!(matches!(faults[0], BookError::Torn { expected: 200, found: 136, .. }), "{faults:?}");
    assert!(matches!(&faults[1], BookError::Damaged { key, .. } if *key == damaged), "{faults:?}");
    assert!(!store.keys().iter().any(|key| key.contains("/0001")), "{:?}", store.keys());
}

async fn version(store: &TestStore, id: &str, page: u32) -> u64 {
    store.get(&page_key(&MigrationId::new(id), 0, page)).await.unwrap().unwrap().version
}

#[tokio::test]
async fn whoever_lost_the_lease_writes_nothing() {
    let store = TestStore::default();
    let mut first = Book::new(Arc::new(store.clone()), "a");
    first.keep_lease().await.unwrap();
    let (header, rows) = big("0001", 100);
    write_all(&mut first, &header, &rows).await.unwrap();
    let mut second = Book::new(Arc::new(store.clone()), "b");
    assert!(second.keep_lease().await.unwrap());
    second.load().await.unwrap();
    let key = page_key(&MigrationId::new("0001"), 0, 0);
    second.write(vec![(key.clone(), encode_page(&rows[..64]))]).await.unwrap();
    let refused = first.write(vec![(key, encode_page(&rows[..64]))]).await;
    assert!(matches!(refused, Err(BookError::NotOwner)), "{refused:?}");
}

/// Planned again and cut short: before the header says so the old edition holds, behind it the new one.
#[tokio::test]
async fn an_edition_holds_when_its_header_says_so() {
    let store = TestStore::default();
    let mut book = Book::new(Arc::new(store.clone()), "a");
    book.keep_lease().await.unwrap();
    let (header, old) = big("0001", 200);
    let header = Header { is_provisional: true, ..header };
    write_all(&mut book, &header, &old).await.unwrap();
    let new: Vec<Row> = old.iter().take(70).rev().cloned().collect();
    let planned = Header { is_provisional: false, edition: 1, databases: 70, ..header };
    let [_, pages, whole] = encode_new(&planned, &new);
    book.write(pages.clone()).await.unwrap();
    let (loaded, faults) = book.load().await.unwrap();
    assert!(faults.is_empty() && loaded[0].rows == old, "{faults:?}");
    assert!(!store.keys().iter().any(|key| key.contains("0001.1")), "what was cut short is cleared away");
    book.write(pages).await.unwrap();
    book.write(whole).await.unwrap();
    let (loaded, faults) = book.load().await.unwrap();
    assert!(faults.is_empty() && loaded[0].rows == new, "{faults:?}");
    assert_eq!(
        store.keys(),
        ["fleet/migrations/0001", "fleet/rows/0001.1/00000", "fleet/rows/0001.1/00001", LEASE_KEY]
    );
    book.remove(&loaded[0].header).await.unwrap();
    assert_eq!(store.keys(), [LEASE_KEY]);
}

/// What an attempt finds done may be the work of one before it.
#[test]
fn what_was_there_is_what_no_attempt_has_done() {
    let note = |row: &mut Row, [there, made, unsure]: [u64; 3]| {
        row.note(Steps { there, made, unsure });
        (row.there, row.made, row.unsure)
    };
    let mut known = row(0, 1, 0);
    // The plan said that the first step is there; it was undone meanwhile. The second was not come to.
    known.there = 0b001;
    assert_eq!(note(&mut known, [0, 0b001, 0]), (0, 0b001, 0));
    // The next attempt finds its own work, and the second one done by somebody.
    assert_eq!(note(&mut known, [0b011, 0b100, 0]), (0b010, 0b101, 0));
    assert_eq!(known.not_taken_back(3), 0b010);
    // An attempt that saw nothing, as its connection was refused, leaves the question open.
    let mut late = row(1, 1, 0);
    note(&mut late, [0, 0, 0]);
    assert_eq!(note(&mut late, [0b011, 0b100, 0]), (0b011, 0b100, 0));
    // The connection was lost under the second step: what was seen of the first still holds.
    let mut lost = row(2, 1, 0);
    lost.there = 0b010;
    assert_eq!(note(&mut lost, [0b001, 0, 0b010]), (0b001, 0, 0b010));
    assert_eq!(note(&mut lost, [0b011, 0b100, 0]), (0b001, 0b100, 0b010));
    assert_eq!(lost.not_taken_back(3), 0b001);
    // An attempt of which nothing is known may have done anything; what the plan said still holds.
    let mut orphan = row(3, 1, 0);
    orphan.there = 0b001;
    orphan.note(Steps::LOST);
    assert_eq!(note(&mut orphan, [0b111, 0, 0]), (0b001, 0, u64::MAX));
    assert_eq!((orphan.not_taken_back(3), row(4, 1, 0).not_taken_back(64)), (0b001, 0));
    let all = [known, late, lost, orphan];
    assert_eq!(decode_page(&encode_page(&all)).unwrap(), all);
}
