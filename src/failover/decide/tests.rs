//! Goldens and invariants of the decision: a cluster is drawn as a table, the plan or refusal is its text.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::failover::{GtidSet, Origin, Undecided};
use crate::ids::{ClusterName, ServerId};
use crate::protocol::handshake::Flavour;

const MS: Duration = Duration::from_millis(1);

fn server(number: u16) -> ServerId {
    ServerId { host: format!("db{number}").into(), port: 3306 }
}

fn uuid(number: u16) -> u128 {
    0x1111_0000_0000_0000_0000_0000_0000_0000 + u128::from(number)
}

/// `1:1-9` for server 1's transactions 1 to 9; several with commas.
fn gtids(flavour: Flavour, text: &str) -> GtidSet {
    let parts: Vec<_> = text.split(',').filter(|part| !part.is_empty()).collect();
    match flavour {
        Flavour::MySql => {
            let full = |part: &str| {
                let (number, interval) = part.split_once(':').unwrap();
                format!("11110000-0000-0000-0000-{:012x}:{interval}", number.parse::<u64>().unwrap())
            };
            GtidSet::parse_mysql(&parts.into_iter().map(full).collect::<Vec<_>>().join(",")).unwrap()
        }
        Flavour::MariaDb => {
            let last = |part: &str| {
                let (number, interval) = part.split_once(':').unwrap();
                format!("0-{number}-{}", interval.rsplit('-').next().unwrap())
            };
            GtidSet::parse_mariadb(&parts.into_iter().map(last).collect::<Vec<_>>().join(",")).unwrap()
        }
    }
}

fn said(flavour: Flavour, number: u16, executed: &str) -> Said {
    Said {
        flavour,
        version: if flavour == Flavour::MySql { [9, 1, 0] } else { [10, 11, 8] },
        identity: Identity {
            uuid: (flavour == Flavour::MySql).then(|| uuid(number)),
            server_id: u32::from(number),
        },
        is_read_only: false,
        aurora: None,
        uses_gtid: true,
        logs: true,
        logs_updates: true,
        executed: gtids(flavour, executed),
        position: GtidSet::default(),
        sources: Vec::new(),
        semi_sync: SemiSync::default(),
        unbound: Vec::new(),
    }
}

/// What MariaDB tells beside; MySQL nothing.
fn position(executed: &GtidSet) -> GtidSet {
    executed.retain(|origin| matches!(origin, Origin::MariaDb { .. }))
}

/// A replica of server 1.
fn replica(flavour: Flavour, number: u16, executed: &str, received: &str) -> Said {
    let mut said = said(flavour, number, executed);
    said.is_read_only = true;
    let source = said_identity(flavour, 1);
    if flavour == Flavour::MariaDb {
        said.position = gtids(flavour, executed).retain(|origin| source.is_origin(origin));
    }
    said.sources.push(Replication {
        source: server(1),
        source_identity: source,
        receiving: Receiving::Yes,
        receive_error: String::new(),
        applies: true,
        apply_error: String::new(),
        by_gtid: true,
        received: gtids(flavour, received),
        has_read_all: true,
        lag: Some(Duration::ZERO),
        delay: Duration::ZERO,
    });
    said
}

fn said_identity(flavour: Flavour, number: u16) -> Identity {
    said(flavour, number, "").identity
}

/// A cluster of three, well: server 1 is the primary.
#[derive(Clone)]
struct Scene {
    servers: Vec<Result<Said, String>>,
    heard: Option<Heard>,
    cut_off: Vec<ServerId>,
    to: Option<ServerId>,
    planned: bool,
}

impl Scene {
    fn well(flavour: Flavour) -> Self {
        let primary = said(flavour, 1, "1:1-9");
        Self {
            servers: vec![
                Ok(primary.clone()),
                Ok(replica(flavour, 2, "1:1-9", "1:1-9")),
                Ok(replica(flavour, 3, "1:1-9", "1:1-9")),
            ],
            heard: Some(Heard { said: primary, ago: 400 * MS }),
            cut_off: Vec::new(),
            to: None,
            planned: true,
        }
    }

    /// The same with a primary that does not answer.
    fn dead(flavour: Flavour) -> Self {
        let mut scene = Self::well(flavour);
        scene.servers[0] = Err("no answer within 2000 ms".to_owned());
        scene.planned = false;
        scene
    }

    /// Changes one server.
    fn with(mut self, number: usize, change: impl FnOnce(&mut Said)) -> Self {
        change(self.servers[number - 1].as_mut().unwrap());
        self
    }

    fn source(self, number: usize, change: impl FnOnce(&mut Replication)) -> Self {
        self.with(number, |said| change(&mut said.sources[0]))
    }

    fn to(mut self, number: u16) -> Self {
        self.to = Some(server(number));
        self
    }

    fn views(&self) -> Vec<ServerView> {
        let views = self.servers.iter().zip(1..);
        views.map(|(said, number)| ServerView { server: server(number), said: said.clone() }).collect()
    }

    fn decide(&self) -> Result<FailoverPlan, Refusal> {
        decide(&Situation {
            cluster: &ClusterName::new("c1"),
            primary: &server(1),
            views: &self.views(),
            heard: self.heard.as_ref(),
            cut_off: &self.cut_off,
            to: self.to.as_ref(),
            planned: self.planned,
        })
    }
}

type Case = (&'static str, Scene);

fn planned_cases(flavour: Flavour) -> Vec<Case> {
    let well = || Scene::well(flavour);
    vec![
        ("all is well", well()),
        ("a replica is asked for", well().to(3)),
        ("the nearest is taken", well().source(2, |source| source.lag = Some(1000 * MS))),
        ("too far behind", well().to(2).source(2, |source| source.lag = Some(3000 * MS))),
        ("not a replica", well().to(7)),
        ("the primary itself", well().to(1)),
        ("the primary is silent", Scene { planned: true, ..Scene::dead(flavour) }),
        ("transactions of its own", well().to(2).with(2, |said| said.executed = gtids(flavour, "1:1-9,2:1"))),
        ("receives nothing", well().to(2).source(2, |source| source.receiving = Receiving::Connecting)),
        ("a replica is not read-only", well().to(3).with(2, |said| said.is_read_only = false)),
        (
            "somebody promoted another",
            well().with(2, |said| {
                (said.is_read_only, said.sources) = (false, Vec::new());
            }),
        ),
        ("an older replica could not follow", well().to(2).with(3, |said| said.version[0] -= 1)),
        (
            "accounts that read_only does not bind",
            well().with(1, |said| said.unbound = vec!["'a'@'%'".into()]),
        ),
    ]
}

fn dead_cases(flavour: Flavour) -> Vec<Case> {
    let dead = || Scene::dead(flavour);
    let semi_sync = |mut scene: Scene| {
        let timeout = 10_000 * MS;
        let source = SemiSync { can_be_source: true, is_source: true, timeout, is_replica: false };
        scene.heard.as_mut().unwrap().said.semi_sync = source;
        let replica = SemiSync { can_be_source: true, is_source: false, timeout, is_replica: true };
        let replicas = scene.servers[1..].iter_mut().flatten();
        replicas.for_each(|said| said.semi_sync = replica);
        scene
    };
    let late = |mut scene: Scene, ago: Duration| {
        scene.heard.as_mut().unwrap().ago = ago;
        scene
    };
    let behind = |scene: Scene, number: usize| {
        scene.with(number, |said| said.executed = gtids(flavour, "1:1-7")).with(number, |said| {
            said.sources[0].received = gtids(flavour, "1:1-7");
            said.position = position(&said.executed);
        })
    };
    let unheard = || Scene { heard: None, ..dead() };
    let nobody = |number: usize, mut scene: Scene| {
        scene.servers[number - 1] = Err("connection refused".to_owned());
        scene
    };
    vec![
        ("nothing known is lost", dead()),
        ("the most advanced is taken", behind(dead(), 2)),
        (
            "received counts, executed or not",
            dead().with(2, |said| {
                said.executed = gtids(flavour, "1:1-4");
                said.position = position(&said.executed);
            }),
        ),
        ("the one asked for is behind", behind(dead(), 2).to(2)),
        ("all are behind what was heard", behind(behind(dead(), 2), 3)),
        ("never heard of", unheard()),
        ("never heard of, and one alone", nobody(3, unheard())),
        (
            "its own transactions, compared with the other",
            unheard().with(2, |said| {
                said.executed = gtids(flavour, "1:1-9,2:4");
            }),
        ),
        ("semi-synchronous", semi_sync(dead())),
        ("semi-synchronous, not heard of for too long", late(semi_sync(dead()), 10_000 * MS)),
        ("semi-synchronous, one replica silent", nobody(3, semi_sync(dead()))),
        (
            "the one ahead cannot be promoted",
            behind(dead(), 2).source(3, |s| s.apply_error = "1062: dup".into()),
        ),
        (
            "that is accepted when it is named",
            behind(dead(), 2).to(2).source(3, |source| {
                source.apply_error = "1062: dup".into();
            }),
        ),
        (
            "the other's own transactions are no reason",
            dead().with(2, |said| {
                said.executed = gtids(flavour, "1:1-9,2:1");
            }),
        ),
        ("nobody answers", nobody(2, nobody(3, dead()))),
        ("no GTIDs, no log", dead().with(2, |s| s.uses_gtid = false).with(3, |s| s.logs_updates = false)),
        ("stopped, delayed", dead().source(2, |s| s.applies = false).source(3, |s| s.delay = 3_600_000 * MS)),
        (
            "from elsewhere, from nowhere",
            dead()
                .source(2, |s| (s.source, s.source_identity) = (server(9), said_identity(flavour, 9)))
                .with(3, |said| said.sources.clear()),
        ),
        ("one was left behind before", Scene { cut_off: vec![server(2)], ..dead() }),
        ("that one is asked for", Scene { cut_off: vec![server(2)], ..nobody(3, dead()) }.to(2)),
        ("sick, and answers", Scene { planned: false, ..Scene::well(flavour) }),
    ]
}

#[test]
fn plans_and_refusals_are_golden() {
    let mut text = String::new();
    for (flavour, title) in [(Flavour::MySql, "MySQL"), (Flavour::MariaDb, "MariaDB")] {
        let cases = planned_cases(flavour).into_iter().chain(dead_cases(flavour));
        for (name, scene) in cases {
            let _ = writeln!(text, "# {title}: {name}");
            let _ = match scene.decide() {
                Ok(plan) => writeln!(text, "{plan}\n"),
                Err(refusal) => writeln!(text, "refused: {refusal}\n"),
            };
        }
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/failover/decide/tests.golden");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    for (at, (wanted, got)) in golden.lines().zip(text.lines()).enumerate() {
        assert_eq!(got, wanted, "line {}", at + 1);
    }
    assert_eq!(text.lines().count(), golden.lines().count());
}

fn judged(scene: &Scene, strays: &[ServerId]) -> Judgement {
    let heard = scene.heard.as_ref().map(|heard| &heard.said);
    let before = Before { primary: &server(1), heard, cut_off: &scene.cut_off, strays };
    judge(before, &scene.views())
}

#[test]
fn a_primary_changed_by_others_is_told_from_a_stray() {
    for flavour in [Flavour::MySql, Flavour::MariaDb] {
        let promoted = |said: &mut Said| (said.is_read_only, said.sources) = (false, Vec::new());
        let well = || Scene::well(flavour);
        assert_eq!(judged(&well(), &[]), Judgement::Same);
        let stepped_down = || well().with(1, |said| said.is_read_only = true);
        assert_eq!(judged(&stepped_down(), &[]), Judgement::Undecided(Undecided::NoneWritable));
        assert_eq!(judged(&stepped_down().with(2, promoted), &[]), Judgement::Changed(server(2)));
        let dead = || Scene::dead(flavour);
        assert_eq!(judged(&dead().with(3, promoted), &[]), Judgement::Changed(server(3)));
        // Two at once, whichever.
        let two = Undecided::SeveralWritable(vec![server(1), server(2)]);
        assert_eq!(judged(&well().with(2, promoted), &[]), Judgement::Undecided(two));
        let two = Undecided::SeveralWritable(vec![server(2), server(3)]);
        assert_eq!(judged(&dead().with(2, promoted).with(3, promoted), &[]), Judgement::Undecided(two));
        // One that was left behind does not count, nor one that still replicates or took writes before.
        let left = Scene { cut_off: vec![server(2)], ..well() }.with(2, promoted);
        assert_eq!(judged(&left, &[]), Judgement::Same);
        let replicates = dead().with(2, |said| said.is_read_only = false);
        assert!(matches!(judged(&replicates, &[]), Judgement::Undecided(Undecided::Unproven { .. })));
        let stray = judged(&dead().with(2, promoted), &[server(2)]);
        assert!(matches!(stray, Judgement::Undecided(Undecided::Unproven { .. })));
        // Nor an empty server at a known address.
        let empty = dead().with(2, promoted).with(2, |said| {
            (said.executed, said.position) = (gtids(flavour, "2:1"), GtidSet::default());
        });
        assert!(matches!(judged(&empty, &[]), Judgement::Undecided(Undecided::Unproven { .. })));
    }
}

#[test]
fn aurora_says_itself_which_is_the_writer() {
    let aurora = |own: &str, writer: &str| {
        let pair = Some((own.to_owned(), Some(writer.to_owned())));
        move |said: &mut Said| (said.aurora, said.sources, said.uses_gtid) = (pair, Vec::new(), false)
    };
    let cluster = |writer: &str| {
        let mut scene = Scene::well(Flavour::MySql);
        for number in 1..=3 {
            let own = format!("i{number}");
            scene = scene.with(number, aurora(&own, writer)).with(number, |s| s.is_read_only = own != writer);
        }
        scene
    };
    assert_eq!(judged(&cluster("i1"), &[]), Judgement::Same);
    assert_eq!(judged(&cluster("i3"), &[]), Judgement::Changed(server(3)));
    // For a moment both are open, and know already who is the writer.
    let late = cluster("i3").with(1, |said| said.is_read_only = false);
    assert_eq!(judged(&late, &[]), Judgement::Changed(server(3)));
}

proptest! {
    /// Whatever three servers have: who is promoted has no transaction of its own, and nothing that a fit
    /// replica has is lost; what is said to be lost is what was heard of and is not there.
    #[test]
    fn no_plan_loses_what_a_replica_has(
        executed in proptest::collection::vec(0u64..12, 2),
        received in proptest::collection::vec(0u64..12, 2),
        heard in 1u64..12,
        own in proptest::collection::vec(any::<bool>(), 2),
        is_maria in any::<bool>(),
    ) {
        let flavour = if is_maria { Flavour::MariaDb } else { Flavour::MySql };
        let mut scene = Scene::dead(flavour);
        scene.heard.as_mut().unwrap().said.executed = gtids(flavour, &format!("1:1-{heard}"));
        for at in 0..2 {
            let text = |last: u64| if last == 0 { String::new() } else { format!("1:1-{last}") };
            let (executed, received) = (text(executed[at]), text(received[at].max(executed[at])));
            let mut said = replica(flavour, at as u16 + 2, &executed, &received);
            if own[at] {
                said.executed = said.executed.union(&gtids(flavour, &format!("{}:1", at + 2)));
            }
            scene.servers[at + 1] = Ok(said);
        }
        match scene.decide() {
            Err(refusal) => prop_assert!(own.iter().any(|own| *own), "{refusal}"),
            Ok(plan) => {
                let at = usize::from(plan.to.host.ends_with('3'));
                prop_assert!(!own[at], "{plan}");
                let has = |at: usize| received[at].max(executed[at]);
                prop_assert!(has(at) >= has(1 - at), "{plan}");
                let lost = if heard > has(at) { format!("1:{}-{heard}", has(at) + 1) } else { String::new() };
                let Loss::Known { gtids: said, .. } = &plan.loss else { panic!("{plan}") };
                let all = gtids(flavour, &format!("1:1-{heard}"));
                let kept = if has(at) == 0 { String::new() } else { format!("1:1-{}", has(at)) };
                prop_assert_eq!(said, &all.subtract(&gtids(flavour, &kept)), "{}", lost);
            }
        }
    }
}
