//! Two proxies on one store: one decides, both set their gates.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::super::{Acting, Call, Control, Reins};
use super::{PATIENCE, SharedStore, until};
use crate::admin::LadderView;
use crate::drain::{Command, Moment, Order, Ownership, Refused, Stage, Step};
use crate::ids::ClusterName;
use crate::server::build;
use crate::topology::Store;

const CONFIG: &str = "[users.app]\npassword = \"x\"\n[store]\npath = \"own.redb\"\n\
    [clusters.c1]\nprimary = \"127.0.0.1:1\"\nuser = \"u\"\npassword = \"x\"\n\
    [keyspaces.app]\nshards = { \"-\" = \"c1\" }\n";

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

struct Proxy {
    reins: Reins,
    control: Control,
    /// Ends with this.
    background: JoinSet<()>,
    _folder: TempDir,
}

impl Proxy {
    async fn start(store: &Arc<SharedStore>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("vschema")).unwrap();
        write(&folder.path().join("bulkhead.toml"), CONFIG);
        write(&folder.path().join("vschema/app.toml"), "layout = \"unsharded\"\n");
        let loaded = build::load(&folder.path().join("bulkhead.toml")).unwrap();
        let proxy = build::build(&loaded).await.unwrap();
        let shared: Arc<dyn Store> = store.clone();
        let mut background = JoinSet::new();
        let started = super::super::start(&proxy.services, &shared, &proxy.failovers, &mut background).await;
        let (reins, control) = started.unwrap();
        Self { reins, control, background, _folder: folder }
    }

    fn acting(&mut self) -> &mut Acting {
        &mut self.reins.acting
    }

    fn stage(&self) -> Stage {
        self.reins.acting.stand(&c1()).expect("known from the start").decision.stage
    }

    fn order(&mut self, order: Order) -> Result<Step, Refused> {
        let (reply, mut answer) = oneshot::channel();
        let command = Command { cluster: c1(), order, by: "ana".into(), why: "drill".into() };
        let moment = Moment { now: Instant::now(), wall: SystemTime::now() };
        self.acting().answer(Call::Order { command, is_rehearsal: false, reply }, &[], moment);
        answer.try_recv().expect("answered at once").map(|answered| answered.step)
    }

    /// Hears one thing from the store.
    async fn hear(&mut self) {
        let news = tokio::time::timeout(PATIENCE, self.reins.store.recv()).await.expect("in time").unwrap();
        self.reins.acting.hear(news, Instant::now());
    }
}

fn c1() -> ClusterName {
    ClusterName::new("c1")
}

#[tokio::test]
async fn one_decides_and_the_other_follows_and_takes_over() {
    let store = SharedStore::new();
    let mut first = Proxy::start(&store).await;
    until("the first owns", || first.reins.acting.ownership() == Ownership::Owner).await;
    let mut second = Proxy::start(&store).await;
    assert_eq!(second.order(Order::Drain), Err(Refused::NotOwner));

    let began = Instant::now();
    first.order(Order::Drain).unwrap();
    assert_eq!(first.stage(), Stage::Draining);
    second.hear().await;
    let took = began.elapsed();
    assert_eq!(second.stage(), Stage::Draining);
    assert!(took < Duration::from_secs(2), "followed after {took:?}");
    assert_eq!(second.control.standing().owner, Some(first.control.standing().proxy));
    until("its event is seen there", || {
        second.control.events().iter().any(|logged| logged.entry.by() == Some("ana"))
    })
    .await;

    // The owner is gone without a word; a third one begins with what was decided.
    first.background.shutdown().await;
    let took = until("the second owns", || second.reins.acting.ownership() == Ownership::Owner).await;
    println!("taken over after {took:?}");
    second.order(Order::Undrain).unwrap();
    assert_eq!(second.stage(), Stage::Ramping);
    let third = Proxy::start(&store).await;
    until("it is stored", || !second.control.ledger.has_unwritten()).await;
    drop(third);
    let third = Proxy::start(&store).await;
    assert_eq!(third.stage(), Stage::Ramping);
}

#[tokio::test]
async fn with_the_store_away_gates_are_still_set() {
    let store = SharedStore::new();
    let mut proxy = Proxy::start(&store).await;
    until("it owns", || proxy.reins.acting.ownership() == Ownership::Owner).await;
    store.set_away(true);
    proxy.control.ledger.note(
        crate::drain::Entry::Notice(crate::drain::Notice {
            at: SystemTime::now(),
            cluster: None,
            is_raised: true,
            name: "x".into(),
            said: "y".into(),
        }),
        None,
    );
    proxy.hear().await;
    assert!(proxy.reins.acting.store_away().is_some());
    until("it is alone", || proxy.reins.acting.ownership() == Ownership::Alone).await;
    assert_eq!(proxy.order(Order::FailOver(None)), Err(Refused::StoreAway));
    let step = proxy.order(Order::Drain).unwrap();
    assert!(!step.actions.is_empty() && step.actions.iter().all(|action| !action.touches_server()));
    store.set_away(false);
    proxy.hear().await;
    assert!(proxy.reins.acting.store_away().is_none());
    until("it owns again", || proxy.reins.acting.ownership() == Ownership::Owner).await;
    until("what it decided alone is stored", || !proxy.control.ledger.has_unwritten()).await;
    assert_eq!(Proxy::start(&store).await.stage(), Stage::Draining);
}
