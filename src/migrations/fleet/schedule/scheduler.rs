//! The state machine that says what to do now.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::act::{Act, Event, Place, Places, Step, Work};
use super::campaign::{Campaign, Turn};
use super::hosts::Young;
use super::lane::{Budget, Change, Lane};
use super::reading::Reading;
use super::status::{LaneStatus, Status};
use crate::ids::{ClusterName, MigrationId};
use crate::migrations::fleet::ledger::{Ending, Header, Kind, Moment, Order, Row, Transition};

/// What was left for later is looked at again after so long.
pub const LATER_AGAIN: Duration = Duration::from_secs(30);
/// Databases begun in one step, at most.
pub const STARTS_MAX: u32 = 64;
/// Looks of one migration at once.
const LOOKS_AT_ONCE: usize = 16;
/// Databases of one lane and migration that one step sets aside or takes back, at most.
const MOVES_MAX: usize = 256;
/// Most databases of one fleet migration.
const DATABASES_MAX: usize = 1_000_000;
/// Bytes of one statement, and of names that are kept: a header is one value of the store.
const STATEMENT_BYTES_MAX: usize = 256 << 10;
/// Fleet migrations that are not over, at most.
const MIGRATIONS_MAX: usize = 256;

/// Bounds of one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Databases that are changed at once on all clusters together.
    pub at_once: u32,
}

impl Default for Limits {
    /// 512 at once.
    fn default() -> Self {
        Self { at_once: 512 }
    }
}

/// Why a fleet migration is not taken on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitRefusal {
    /// There is nothing to change.
    #[error("no database has the table")]
    NoDatabases,
    /// Too many databases.
    #[error("{0} databases, at most {DATABASES_MAX}")]
    TooManyDatabases(usize),
    /// The statement is too long.
    #[error("the statement has {0} bytes, at most {STATEMENT_BYTES_MAX}")]
    TooLong(usize),
    /// It has to wait for another one, and the names of canaries and of the order are too many to be kept.
    #[error(
        "another fleet migration changes the table, and the {0} bytes of names that would have to be kept \
         until it is over are more than {STATEMENT_BYTES_MAX}"
    )]
    TooManyNames(usize),
    /// Too many migrations.
    #[error("{MIGRATIONS_MAX} fleet migrations are not over")]
    TooMany,
    /// A row is of no wave, or there is no wave.
    #[error("a database is in wave {0}, which is not there")]
    NoWave(u16),
    /// The same statement is being carried out.
    #[error("fleet migration {0} carries out the same statement")]
    Same(MigrationId),
    /// The id is taken.
    #[error("there is a fleet migration {0} already")]
    Taken(MigrationId),
}

/// Says what to do now. See the module.
pub struct Scheduler {
    owner: Box<str>,
    limits: Limits,
    budget: Budget,
    pub(super) lanes: Vec<Lane>,
    lane_of: HashMap<ClusterName, u16>,
    pub(super) campaigns: BTreeMap<MigrationId, Campaign>,
    /// How many databases were begun.
    begun: u64,
    /// Those that were begun a moment ago.
    young: Young,
}

impl Scheduler {
    /// Without clusters and migrations. `owner` is written into the rows that are begun; `budget` is that of
    /// clusters that are not given one.
    pub fn new(owner: &str, budget: Budget, limits: Limits) -> Self {
        Self {
            owner: owner.into(),
            limits,
            budget,
            lanes: Vec::new(),
            lane_of: HashMap::new(),
            campaigns: BTreeMap::new(),
            begun: 0,
            young: Young::default(),
        }
    }

    /// Sets what a cluster bears.
    pub fn set_budget(&mut self, cluster: &ClusterName, budget: Budget) {
        let lane = self.lane(cluster);
        self.lanes[usize::from(lane)].set_budget(budget);
    }

    /// Sets on which machine a cluster's primary runs, by its address. Clusters of one machine have what each
    /// of them may change at once together.
    pub fn set_host(&mut self, cluster: &ClusterName, host: Arc<str>) {
        let lane = self.lane(cluster);
        self.lanes[usize::from(lane)].host = Some(host);
    }

    /// The lane of a cluster; made closed when it is new.
    fn lane(&mut self, cluster: &ClusterName) -> u16 {
        lane_in(&mut self.lanes, &mut self.lane_of, self.budget, cluster)
    }

    /// Says whether a migration would be taken on, and gives its turn.
    ///
    /// # Errors
    /// [`SubmitRefusal`].
    pub fn admit(&self, order: &Order, rows: &[Row]) -> Result<u64, SubmitRefusal> {
        let open = || self.campaigns.values().filter(|campaign| !campaign.is_over());
        if rows.is_empty() {
            return Err(SubmitRefusal::NoDatabases);
        }
        if rows.len() > DATABASES_MAX {
            return Err(SubmitRefusal::TooManyDatabases(rows.len()));
        }
        if order.statement.len() > STATEMENT_BYTES_MAX {
            return Err(SubmitRefusal::TooLong(order.statement.len()));
        }
        let names = order.again.as_ref().map_or(0, |again| again.names_bytes());
        if names > STATEMENT_BYTES_MAX {
            return Err(SubmitRefusal::TooManyNames(names));
        }
        if let Some(row) = rows.iter().find(|row| usize::from(row.wave) >= order.waves.len()) {
            return Err(SubmitRefusal::NoWave(row.wave));
        }
        if self.campaigns.contains_key(&order.id) {
            return Err(SubmitRefusal::Taken(order.id.clone()));
        }
        if open().count() >= MIGRATIONS_MAX {
            return Err(SubmitRefusal::TooMany);
        }
        let same = open().find(|campaign| {
            let known = campaign.order();
            known.keyspace == order.keyspace
                && known.statement == order.statement
                && known.action == order.action
        });
        match same {
            Some(campaign) => Err(SubmitRefusal::Same(campaign.id().clone())),
            None => Ok(self.next_turn()),
        }
    }

    pub(super) fn next_turn(&self) -> u64 {
        let turns = self.campaigns.values().map(|campaign| campaign.header.progress.turn);
        turns.max().map_or(0, |last| last + 1)
    }

    /// Takes a migration on that is written down. Rows that say *running* were begun by a proxy that is gone,
    /// unless `is_ours` says that this one still changes them.
    pub fn insert(&mut self, header: Header, rows: Vec<Row>, is_ours: impl Fn(u32) -> bool, now: Moment) {
        let (lanes, lane_of, budget) = (&mut self.lanes, &mut self.lane_of, self.budget);
        let mut campaign = Campaign::new(header, rows, |cluster| lane_in(lanes, lane_of, budget, cluster));
        for row in campaign.rows_of(Kind::Running).into_iter().filter(|row| !is_ours(*row)) {
            campaign.change(row, &Transition::Orphan, now).expect("it is running");
        }
        for lane in campaign.lanes().collect::<Vec<_>>() {
            // What was left behind may still be at work: it counts until it was looked at, and as begun now.
            for _ in 0..campaign.occupied(lane) {
                self.lanes[usize::from(lane)].take(campaign.order().statements);
            }
        }
        self.campaigns.insert(campaign.id().clone(), campaign);
    }

    /// Forgets a migration that is over.
    pub fn forget(&mut self, id: &MigrationId) {
        if self.campaigns.get(id).is_some_and(Campaign::is_over) {
            self.campaigns.remove(id);
        }
    }

    /// Takes a reading of a cluster over.
    pub fn read(&mut self, cluster: &ClusterName, reading: Reading, now: Moment) -> Vec<Event> {
        let lane = self.lane(cluster);
        let change = self.lanes[usize::from(lane)].read(reading, now);
        self.lane_changed(lane, change, now)
    }

    fn lane_changed(&mut self, lane: u16, change: Change, now: Moment) -> Vec<Event> {
        let own = &self.lanes[usize::from(lane)];
        let cluster = own.cluster.clone();
        let mut events = Vec::new();
        match (change, own.closed()) {
            (Change::Opened, _) => events.push(Event::Opened { cluster }),
            (Change::BecameSick | Change::BecameClosed, Some(why)) => {
                events.push(Event::Closed { cluster, why });
            }
            _ => {}
        }
        if change == Change::BecameSick {
            for campaign in self.campaigns.values_mut() {
                let turn = campaign.check_health(own, lane, now);
                events.extend(turn.map(|turn| event(campaign.id(), turn)));
            }
        }
        events
    }

    /// Time goes by: what is to be done now.
    pub fn step(&mut self, places: &dyn Places, now: Moment) -> Step {
        let mut step = Step::default();
        for lane in 0..self.lanes.len() {
            let change = self.lanes[lane].pass(now);
            let lane = u16::try_from(lane).expect("there are no more lanes than that");
            step.events.extend(self.lane_changed(lane, change, now));
        }
        for campaign in self.campaigns.values_mut() {
            let is_going_on = campaign.is_active() && !campaign.is_over() && !campaign.is_provisional();
            if is_going_on && campaign.is_through() {
                let late = places.latecomers(campaign.order(), &campaign.rows);
                let (lanes, lane_of, budget) = (&mut self.lanes, &mut self.lane_of, self.budget);
                campaign.extend(late, |cluster| lane_in(lanes, lane_of, budget, cluster));
            }
            let turn = campaign.advance(&self.lanes, now);
            step.events.extend(turn.map(|turn| event(campaign.id(), turn)));
            while let Some(row) = campaign.look(now, LOOKS_AT_ONCE) {
                step.acts.push(Act::Look(Work::of(campaign, row)));
            }
        }
        step.acts.extend(self.plan_those_due(now));
        let ready = self.ready();
        for id in &ready {
            self.take_back(id, places, now);
            self.move_away(id, places);
        }
        self.begin(&ready, places, now, &mut step.acts);
        step
    }

    /// The migrations that may begin something, by turn: active, and first of those that change one table.
    fn ready(&self) -> Vec<MigrationId> {
        let mut ready = Vec::new();
        for (campaign, behind) in self.in_turn() {
            if behind.is_none() && campaign.is_active() && !campaign.is_provisional() {
                ready.push(campaign.id().clone());
            }
        }
        ready
    }

    /// Those that are not over, by turn, each with the one that it waits for.
    pub(super) fn in_turn(&self) -> Vec<(&Campaign, Option<MigrationId>)> {
        let mut open: Vec<&Campaign> =
            self.campaigns.values().filter(|campaign| !campaign.is_over()).collect();
        open.sort_by_key(|campaign| campaign.header.progress.turn);
        // Whether a server tells capitals from small letters in names is its own affair.
        let mut claims: HashMap<(&str, String), &MigrationId> = HashMap::new();
        let mut waits = Vec::with_capacity(open.len());
        for campaign in open {
            let order = campaign.order();
            let names = || order.tables.iter().map(|table| (order.keyspace.as_str(), table.to_lowercase()));
            let behind = names().find_map(|name| claims.get(&name).map(|id| (*id).clone()));
            names().for_each(|name| {
                claims.insert(name, &order.id);
            });
            waits.push((campaign, behind));
        }
        waits
    }

    /// What was left for later, or tried before, waits again once its time has come.
    fn take_back(&mut self, id: &MigrationId, places: &dyn Places, now: Moment) {
        let Some(campaign) = self.campaigns.get_mut(id) else { return };
        for lane in campaign.lanes().collect::<Vec<_>>() {
            for _ in 0..MOVES_MAX {
                let Some(row) = campaign.due(lane, now) else { break };
                let known = &campaign.rows[row as usize];
                let is_later = known.record.standing.kind() == Kind::Later;
                match places.place(campaign.order(), known) {
                    Place::Later(_) if is_later => campaign.delay(row, now.after(LATER_AGAIN)),
                    Place::Gone => campaign.gone(row, now),
                    _ => campaign.change(row, &Transition::TakeBack, now).expect("it waits, or was left"),
                }
            }
        }
    }

    /// Databases of a cluster of which nothing is heard may be on another one by now.
    fn move_away(&mut self, id: &MigrationId, places: &dyn Places) {
        let Some(campaign) = self.campaigns.get_mut(id) else { return };
        let lanes: Vec<u16> =
            campaign.lanes().filter(|lane| self.lanes[usize::from(*lane)].is_unheard()).collect();
        for lane in lanes {
            for _ in 0..MOVES_MAX {
                let Some(row) = campaign.next(lane) else { break };
                let place = places.place(campaign.order(), &campaign.rows[row as usize]);
                let Place::Elsewhere { shard, cluster } = place else {
                    campaign.put_back(row);
                    break;
                };
                let to = lane_in(&mut self.lanes, &mut self.lane_of, self.budget, &cluster);
                campaign.relocate(row, shard, cluster, to);
                if to == lane {
                    break;
                }
            }
        }
    }

    /// Lanes take turns, the one that began something longest ago first, and on each lane the migrations do,
    /// until none can begin anything.
    fn begin(&mut self, ready: &[MigrationId], places: &dyn Places, now: Moment, acts: &mut Vec<Act>) {
        let mut room = self.limits.at_once.saturating_sub(self.lanes.iter().map(|lane| lane.occupied).sum());
        room = room.min(STARTS_MAX);
        let mut hosts = self.young.count(&self.lanes, now);
        let mut turns: Vec<usize> = (0..self.lanes.len()).collect();
        turns.sort_by_key(|lane| self.lanes[*lane].begun_last);
        let mut turns = VecDeque::from(turns);
        while room > 0
            && let Some(lane) = turns.pop_front()
        {
            if !hosts.admits(&self.lanes[lane]) {
                continue;
            }
            let Some(work) = self.begin_on(lane, ready, places, now) else { continue };
            hosts.add(&self.lanes[lane]);
            self.begun += 1;
            self.lanes[lane].begun_last = self.begun;
            acts.push(Act::Change(work));
            room -= 1;
            turns.push_back(lane);
        }
    }

    fn begin_on(
        &mut self,
        at: usize,
        ready: &[MigrationId],
        places: &dyn Places,
        now: Moment,
    ) -> Option<Work> {
        let lane = u16::try_from(at).expect("there are no more lanes than that");
        for ahead in 0..ready.len() {
            if !self.lanes[at].admits() {
                return None;
            }
            let turn = self.lanes[at].turn + ahead;
            let id = &ready[turn % ready.len()];
            if !self.campaigns.get_mut(id).is_some_and(|campaign| campaign.paces(lane, now)) {
                continue;
            }
            if let Some(row) = self.pick(id, lane, places, now) {
                self.lanes[at].turn = (turn + 1) % ready.len();
                return Some(self.begin_row(id, lane, row, now));
            }
        }
        None
    }

    fn begin_row(&mut self, id: &MigrationId, lane: u16, row: u32, now: Moment) -> Work {
        let campaign = self.campaigns.get_mut(id).expect("it was picked from");
        let begin = Transition::Begin(self.owner.clone());
        campaign.change(row, &begin, now).expect("it was taken from those that wait");
        campaign.take(lane);
        self.lanes[usize::from(lane)].take(campaign.order().statements);
        self.young.begun(id, row, lane, now);
        Work::of(campaign, row)
    }

    /// The next row of a lane that may be touched now; those that may not are set aside on the way.
    fn pick(&mut self, id: &MigrationId, lane: u16, places: &dyn Places, now: Moment) -> Option<u32> {
        let campaign = self.campaigns.get_mut(id)?;
        for _ in 0..MOVES_MAX {
            let row = campaign.next(lane)?;
            match places.place(campaign.order(), &campaign.rows[row as usize]) {
                Place::Ready => return Some(row),
                Place::Later(why) => campaign.set_aside(row, why, now.after(LATER_AGAIN), now),
                Place::Gone => campaign.gone(row, now),
                Place::Elsewhere { shard, cluster } => {
                    let to = lane_in(&mut self.lanes, &mut self.lane_of, self.budget, &cluster);
                    campaign.relocate(row, shard, cluster, to);
                    if to == lane {
                        return Some(row);
                    }
                }
            }
        }
        None
    }

    /// How often a database was begun.
    pub fn attempt(&self, id: &MigrationId, row: u32) -> Option<u16> {
        Some(self.campaigns.get(id)?.rows.get(row as usize)?.record.attempts)
    }

    /// What became of a database that was begun, or what a look at it showed. What is told of a row that is
    /// neither running nor unsure is not heard: it was told before.
    pub fn ended(
        &mut self,
        id: &MigrationId,
        row: u32,
        ending: impl Into<Ending>,
        now: Moment,
    ) -> Vec<Event> {
        let Some(campaign) = self.campaigns.get_mut(id) else { return Vec::new() };
        if row as usize >= campaign.rows.len() {
            return Vec::new();
        }
        let lane = campaign.lane(row);
        let before = campaign.occupied(lane);
        if campaign.end_row(row, ending.into(), now).is_err() {
            return Vec::new();
        }
        let left = before.saturating_sub(campaign.occupied(lane));
        let own = &mut self.lanes[usize::from(lane)];
        own.occupied = own.occupied.saturating_sub(left);
        self.young.ended(id, row);
        let turn = campaign.check_failures(row);
        turn.map(|turn| event(campaign.id(), turn)).into_iter().collect()
    }

    /// A row that an operator left out is not waited for any more.
    pub(super) fn release(&mut self, lane: u16, rows: u32) {
        let own = &mut self.lanes[usize::from(lane)];
        own.occupied = own.occupied.saturating_sub(rows);
    }

    /// Keys and values that are to be written before what was decided is done, in order.
    pub fn take_writes(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut writes = Vec::new();
        self.campaigns.values_mut().for_each(|campaign| campaign.take_writes(&mut writes));
        writes
    }

    /// The migrations, oldest first.
    pub fn status(&self, now: Moment) -> Vec<Status> {
        let mut behind: HashMap<&MigrationId, MigrationId> = HashMap::new();
        for (campaign, waits) in self.in_turn() {
            if let Some(waits) = waits {
                behind.insert(campaign.id(), waits);
            }
        }
        let status =
            |campaign: &Campaign| campaign.status(&self.lanes, behind.get(campaign.id()).cloned(), now);
        self.campaigns.values().map(status).collect()
    }

    /// The clusters.
    pub fn lanes(&self) -> Vec<LaneStatus> {
        let status = |lane: &Lane| LaneStatus {
            cluster: lane.cluster.clone(),
            closed: lane.closed(),
            share: lane.share(),
            at_once: lane.at_once(),
            statements_per_second: lane.rate(),
            occupied: lane.occupied,
            foreign: lane.foreign(),
            worse: lane.worse,
        };
        self.lanes.iter().map(status).collect()
    }

    /// The rows of a migration, as they are now.
    pub fn rows(&self, id: &MigrationId) -> Option<&[Row]> {
        self.campaigns.get(id).map(|campaign| campaign.rows.as_slice())
    }

    /// The header of a migration, as it is now.
    pub fn header(&self, id: &MigrationId) -> Option<&Header> {
        self.campaigns.get(id).map(|campaign| &campaign.header)
    }

    /// Rows that are being changed by this proxy.
    pub fn running(&self) -> HashSet<(MigrationId, u32)> {
        let rows = self.campaigns.values().flat_map(|campaign| {
            campaign.rows_of(Kind::Running).into_iter().map(|row| (campaign.id().clone(), row))
        });
        rows.collect()
    }
}

fn event(id: &MigrationId, turn: Turn) -> Event {
    let id = id.clone();
    match turn {
        Turn::WaveBegan(wave) => Event::WaveBegan { id, wave },
        Turn::Stopped(why) => Event::Stopped { id, why },
        Turn::Ended => Event::Ended { id },
    }
}

fn lane_in(
    lanes: &mut Vec<Lane>,
    lane_of: &mut HashMap<ClusterName, u16>,
    budget: Budget,
    cluster: &ClusterName,
) -> u16 {
    if let Some(lane) = lane_of.get(cluster) {
        return *lane;
    }
    let lane = u16::try_from(lanes.len()).expect("a config has fewer than 65,536 clusters");
    lanes.push(Lane::new(cluster.clone(), budget));
    lane_of.insert(cluster.clone(), lane);
    lane
}
