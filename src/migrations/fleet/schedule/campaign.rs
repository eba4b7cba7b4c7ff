//! One fleet migration: its rows, its waves, what it waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::again::Planning;
use super::lane::Lane;
use super::queue::Queue;
use super::status::{ClusterStatus, Stage, Status};
use crate::ids::{ClusterName, MigrationId, ShardName};
use crate::migrations::fleet::ledger::{
    Counts, Ending, Header, Illegal, Kind, Moment, Order, Outcome, Phase, ROWS_PER_PAGE, Row, Standing,
    Steps, Transition, Why, apply, encode_header, encode_page, header_key, page_key, page_of,
};

/// The rate that is shown is that of about the last minute.
const RATE_OVER: Duration = Duration::from_secs(60);
/// A cluster that becomes sick so soon after something was done on it may be so for that reason.
const BLAMED_FOR: Duration = Duration::from_secs(60);

/// What happened to a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A wave is done and has soaked; the next one has begun.
    WaveBegan(u16),
    /// It stopped by itself.
    Stopped(String),
    /// It is over.
    Ended,
}

pub(super) struct Campaign {
    pub(super) header: Header,
    pub(super) rows: Vec<Row>,
    /// The lane of each row.
    lanes: Vec<u16>,
    queues: BTreeMap<u16, Queue>,
    /// Those of which it is not known, by when they are looked at.
    unsure: BTreeSet<(Moment, u32)>,
    /// Those that are being looked at.
    looking: BTreeSet<u32>,
    is_header_dirty: bool,
    dirty_pages: BTreeSet<u32>,
    per_second: f64,
    rated: Option<Moment>,
    /// Of one that has to be planned again.
    pub(super) planning: Planning,
}

impl Campaign {
    /// From its rows as they are written; `lane_of` gives the lane of a cluster.
    pub(super) fn new(header: Header, rows: Vec<Row>, mut lane_of: impl FnMut(&ClusterName) -> u16) -> Self {
        let waves = header.order.waves.len();
        let lanes: Vec<u16> = rows.iter().map(|row| lane_of(&row.cluster)).collect();
        let mut campaign = Self {
            header,
            rows: Vec::new(),
            lanes: Vec::new(),
            queues: lanes.iter().map(|lane| (*lane, Queue::new(waves))).collect(),
            unsure: BTreeSet::new(),
            looking: BTreeSet::new(),
            is_header_dirty: false,
            dirty_pages: BTreeSet::new(),
            per_second: 0.0,
            rated: None,
            planning: Planning::default(),
        };
        for ((row, lane), at) in rows.iter().zip(&lanes).zip(0..) {
            let queue = campaign.queues.get_mut(lane).expect("made from the same lanes");
            queue.counts[usize::from(row.wave)].add(row.record.standing.kind());
            enqueue(queue, &mut campaign.unsure, row, at, End::Back);
        }
        (campaign.rows, campaign.lanes) = (rows, lanes);
        campaign
    }

    /// Takes databases on that came into being since.
    pub(super) fn extend(&mut self, late: Vec<Row>, mut lane_of: impl FnMut(&ClusterName) -> u16) {
        let waves = self.header.order.waves.len();
        for row in late.into_iter().filter(|row| usize::from(row.wave) < waves) {
            let at = u32::try_from(self.rows.len()).expect("a million at most");
            let lane = lane_of(&row.cluster);
            let queue = self.queues.entry(lane).or_insert_with(|| Queue::new(waves));
            queue.counts[usize::from(row.wave)].add(row.record.standing.kind());
            enqueue(queue, &mut self.unsure, &row, at, End::Back);
            self.rows.push(row);
            self.lanes.push(lane);
            self.dirty_pages.insert(page_of(at));
            self.header.databases += 1;
            self.is_header_dirty = true;
        }
    }

    /// Says whether nothing is to come of any of its databases.
    pub(super) fn is_through(&self) -> bool {
        let counts = self.counts();
        counts.over() == counts.total()
    }

    pub(super) fn id(&self) -> &MigrationId {
        &self.header.order.id
    }

    pub(super) fn order(&self) -> &Arc<Order> {
        &self.header.order
    }

    pub(super) fn is_active(&self) -> bool {
        self.header.progress.phase == Phase::Active
    }

    /// Says whether it has to be planned again before anything is begun.
    pub(super) fn is_provisional(&self) -> bool {
        self.header.is_provisional
    }

    /// Says whether it is at rest for good, and no longer in the way of others.
    pub(super) fn is_over(&self) -> bool {
        self.header.progress.ended.is_some()
    }

    /// The lane of a row.
    pub(super) fn lane(&self, row: u32) -> u16 {
        self.lanes[row as usize]
    }

    /// Lanes that it has databases on.
    pub(super) fn lanes(&self) -> impl Iterator<Item = u16> + '_ {
        self.queues.keys().copied()
    }

    /// Databases of a lane that are being changed, or are not known.
    pub(super) fn occupied(&self, lane: u16) -> u32 {
        self.queues.get(&lane).map_or(0, Queue::occupied)
    }

    /// Rows of one kind.
    pub(super) fn rows_of(&self, kind: Kind) -> Vec<u32> {
        let rows = self.rows.iter().zip(0..);
        rows.filter(|(row, _)| row.record.standing.kind() == kind).map(|(_, at)| at).collect()
    }

    /// The row of a database.
    pub(super) fn row_of(&self, database: &str) -> Option<u32> {
        let at = self.rows.iter().position(|row| *row.database == *database)?;
        u32::try_from(at).ok()
    }

    /// Changes a row, counts it, and puts it where it belongs now.
    ///
    /// # Errors
    /// [`Illegal`]; nothing changed.
    pub(super) fn change(&mut self, row: u32, to: &Transition, now: Moment) -> Result<(), Illegal> {
        let lane = self.lane(row);
        let changed = &mut self.rows[row as usize];
        let before = changed.record.standing.kind();
        apply(&mut changed.record, to, now)?;
        if *to == Transition::Orphan {
            changed.note(Steps::LOST);
        }
        let after = changed.record.standing.kind();
        let queue = self.queues.get_mut(&lane).expect("every row's lane has a queue");
        let counts = &mut queue.counts[usize::from(changed.wave)];
        counts.remove(before);
        counts.add(after);
        queue.touched =
            matches!(to, Transition::Begin(_) | Transition::End(_)).then_some(now).or(queue.touched);
        // What was begun and is unchanged goes on first; what was set aside has waited long enough too.
        enqueue(queue, &mut self.unsure, changed, row, End::Front);
        self.looking.remove(&row);
        self.dirty_pages.insert(page_of(row));
        if after.is_over() && !before.is_over() {
            self.rate(now);
        }
        Ok(())
    }

    /// As [`Campaign::change`], with what was seen of the row's steps.
    pub(super) fn end_row(&mut self, row: u32, ending: Ending, now: Moment) -> Result<(), Illegal> {
        self.change(row, &Transition::End(ending.outcome), now)?;
        self.rows[row as usize].note(ending.steps);
        Ok(())
    }

    /// A row is on another cluster than was thought.
    pub(super) fn relocate(&mut self, row: u32, shard: ShardName, cluster: ClusterName, lane: u16) {
        let waves = self.header.order.waves.len();
        let moved = &mut self.rows[row as usize];
        let (kind, wave) = (moved.record.standing.kind(), usize::from(moved.wave));
        let old = self.queues.get_mut(&self.lanes[row as usize]).expect("every row's lane has a queue");
        old.counts[wave].remove(kind);
        (moved.shard, moved.cluster) = (shard, cluster);
        self.lanes[row as usize] = lane;
        let queue = self.queues.entry(lane).or_insert_with(|| Queue::new(waves));
        queue.counts[wave].add(kind);
        enqueue(queue, &mut self.unsure, moved, row, End::Front);
        self.dirty_pages.insert(page_of(row));
    }

    /// Says whether its own pace allows to begin something on a lane.
    pub(super) fn paces(&mut self, lane: u16, now: Moment) -> bool {
        let Some(pace) = self.header.progress.pace else { return true };
        let Some(queue) = self.queues.get_mut(&lane) else { return false };
        queue.bucket.fill(pace.statements_per_second, now);
        queue.bucket.has_any() && queue.occupied() < pace.at_once
    }

    /// The next row of a lane that may be begun.
    pub(super) fn next(&mut self, lane: u16) -> Option<u32> {
        // While a wave soaks nothing of the next one is begun, but what came back of it and of earlier ones
        // is.
        let wave = self.header.progress.wave;
        let queue = self.queues.get_mut(&lane)?;
        loop {
            let row = queue.next(wave)?;
            // What an operator left out meanwhile is still in the queue.
            let record = &self.rows[row as usize].record;
            if record.standing == Standing::Waiting && record.not_before.is_none() {
                return Some(row);
            }
        }
    }

    /// Puts a row back that was taken by [`Campaign::next`].
    pub(super) fn put_back(&mut self, row: u32) {
        let (lane, wave) = (self.lane(row), usize::from(self.rows[row as usize].wave));
        if let Some(queue) = self.queues.get_mut(&lane) {
            queue.waiting[wave].push_front(row);
        }
    }

    /// Takes from its own pace.
    pub(super) fn take(&mut self, lane: u16) {
        let statements = f64::from(self.header.order.statements);
        if let Some(queue) = self.queues.get_mut(&lane) {
            queue.bucket.take(statements);
        }
    }

    /// A row of a lane whose time has come.
    pub(super) fn due(&mut self, lane: u16, now: Moment) -> Option<u32> {
        let queue = self.queues.get_mut(&lane)?;
        loop {
            let row = queue.due(now)?;
            if matches!(self.rows[row as usize].record.standing, Standing::Waiting | Standing::Later(_)) {
                return Some(row);
            }
        }
    }

    /// It is still to be left for later; its row says so already.
    pub(super) fn delay(&mut self, row: u32, until: Moment) {
        let lane = self.lane(row);
        if let Some(queue) = self.queues.get_mut(&lane) {
            queue.delayed.insert((until, row));
        }
    }

    /// A row to be looked at, if there is one and not too many are.
    pub(super) fn look(&mut self, now: Moment, at_once: usize) -> Option<u32> {
        while self.looking.len() < at_once {
            let (at, row) = *self.unsure.first()?;
            if at > now {
                return None;
            }
            self.unsure.pop_first();
            if self.rows[row as usize].record.standing == Standing::Unsure && self.looking.insert(row) {
                return Some(row);
            }
        }
        None
    }

    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.header.progress.phase = phase;
        self.is_header_dirty = true;
    }

    /// Something else of its progress is set.
    pub(super) fn progress(&mut self) -> &mut crate::migrations::fleet::ledger::Progress {
        self.is_header_dirty = true;
        &mut self.header.progress
    }

    /// What follows from the failure of a row: more than its wave bears, and it stops.
    pub(super) fn check_failures(&mut self, row: u32) -> Option<Turn> {
        let row = &self.rows[row as usize];
        if row.record.standing != Standing::Failed || !self.is_active() {
            return None;
        }
        let (at, last) = (usize::from(row.wave), row.record.failure.as_ref());
        let wave = &self.header.order.waves[at];
        let failed: u32 = self.queues.values().map(|queue| queue.counts[at].of(Kind::Failed)).sum();
        if failed <= wave.failures_max {
            return None;
        }
        let last = last.map_or("", |failure| failure.message.as_str());
        let why = format!("{failed} databases of wave {} failed, the last one: {last}", wave.name);
        self.set_phase(Phase::Stopped { why: why.clone() });
        Some(Turn::Stopped(why))
    }

    /// A lane became sick; more often than the wave bears while it was worked on, and it stops.
    pub(super) fn check_health(&mut self, lane: &Lane, at: u16, now: Moment) -> Option<Turn> {
        let touched = self.queues.get(&at)?.touched?;
        if !self.is_active() || now.since(touched) > BLAMED_FOR {
            return None;
        }
        let closings = self.header.progress.closings + 1;
        self.progress().closings = closings;
        let wave = &self.header.order.waves[usize::from(self.header.progress.wave)];
        if closings <= wave.closings_max {
            return None;
        }
        let why = format!("cluster {} became suspect in wave {}", lane.cluster, wave.name);
        self.set_phase(Phase::Stopped { why: why.clone() });
        Some(Turn::Stopped(why))
    }

    /// Goes on to the next wave, or comes to its end.
    pub(super) fn advance(&mut self, lanes: &[Lane], now: Moment) -> Option<Turn> {
        if self.is_over() {
            return None;
        }
        let is_at_rest = self.queues.values().all(|queue| queue.occupied() == 0);
        if matches!(self.header.progress.phase, Phase::Cancelled { .. }) && is_at_rest {
            return Some(self.end(lanes, now));
        }
        if !self.is_active() || self.is_provisional() {
            return None;
        }
        let counts = self.counts();
        if counts.over() == counts.total() {
            self.set_phase(Phase::Finished);
            return Some(self.end(lanes, now));
        }
        self.advance_wave(lanes, now)
    }

    pub(super) fn end(&mut self, lanes: &[Lane], now: Moment) -> Turn {
        let progress = self.progress();
        (progress.ended, progress.soaking) = (Some(now), None);
        self.tally(lanes);
        Turn::Ended
    }

    /// Writes down what is told of it while its rows are not in memory.
    pub(super) fn tally(&mut self, lanes: &[Lane]) {
        let totals = self.counts();
        let part =
            |(lane, queue): (&u16, &Queue)| (lanes[usize::from(*lane)].cluster.clone(), queue.counts.clone());
        let parts = self.queues.iter().map(part).collect();
        let progress = self.progress();
        (progress.totals, progress.parts) = (Some(totals), parts);
    }

    fn advance_wave(&mut self, lanes: &[Lane], now: Moment) -> Option<Turn> {
        let at = usize::from(self.header.progress.wave);
        if at + 1 >= self.header.order.waves.len() {
            return None;
        }
        let is_well = !self.queues.keys().any(|lane| lanes[usize::from(*lane)].is_sick());
        match self.header.progress.soaking {
            // Something came back of it, or a cluster became sick: it soaks from the beginning.
            Some(_) if !is_well || !self.is_wave_done(at, lanes) => {
                self.progress().soaking = None;
                None
            }
            Some(since) if now.since(since) >= self.header.order.waves[at].soak() => {
                let progress = self.progress();
                progress.wave += 1;
                (progress.soaking, progress.closings) = (None, 0);
                Some(Turn::WaveBegan(progress.wave))
            }
            Some(_) => None,
            None if is_well && self.is_wave_done(at, lanes) => {
                self.progress().soaking = Some(now);
                None
            }
            None => None,
        }
    }

    /// Nothing of it is to come but what was left for later, and that is not all of it: a wave of which
    /// nothing was done has shown nothing.
    fn is_wave_done(&self, at: usize, lanes: &[Lane]) -> bool {
        let (mut later, mut done) = (0, 0);
        for (lane, queue) in &self.queues {
            let counts = &queue.counts[at];
            let waiting = counts.of(Kind::Waiting);
            let waits = waiting > 0 && !lanes[usize::from(*lane)].is_drained();
            if waits || counts.of(Kind::Running) + counts.of(Kind::Unsure) > 0 {
                return false;
            }
            later += waiting + counts.of(Kind::Later);
            done += counts.done();
        }
        done > 0 || later == 0
    }

    /// All waves and clusters together.
    pub(super) fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.queues.values().flat_map(|queue| &queue.counts).for_each(|counts| all.plus(counts));
        all
    }

    fn rate(&mut self, now: Moment) {
        let rate = self.rate_at(now) + 1.0 / RATE_OVER.as_secs_f64();
        (self.per_second, self.rated) = (rate, Some(now));
    }

    fn rate_at(&self, now: Moment) -> f64 {
        let since = self.rated.map_or(0.0, |rated| now.since(rated).as_secs_f64());
        self.per_second * (-since / RATE_OVER.as_secs_f64()).exp()
    }

    /// Keys and values that are to be written; pages first, so that no header is ahead of its rows.
    pub(super) fn take_writes(&mut self, out: &mut Vec<(String, Vec<u8>)>) {
        for page in std::mem::take(&mut self.dirty_pages) {
            let start = (page * ROWS_PER_PAGE) as usize;
            let end = (start + ROWS_PER_PAGE as usize).min(self.rows.len());
            out.push((page_key(self.id(), self.header.edition, page), encode_page(&self.rows[start..end])));
        }
        if std::mem::take(&mut self.is_header_dirty) {
            out.push((header_key(self.id()), encode_header(&self.header)));
        }
    }

    /// What is shown of it.
    pub(super) fn status(&self, lanes: &[Lane], behind: Option<MigrationId>, now: Moment) -> Status {
        let cluster = |(lane, queue): (&u16, &Queue)| ClusterStatus {
            cluster: lanes[usize::from(*lane)].cluster.clone(),
            closed: lanes[usize::from(*lane)].closed(),
            waves: queue.counts.clone(),
        };
        let counts = self.counts();
        let per_second = self.rate_at(now);
        let left = f64::from(counts.total() - counts.over());
        let has_rate = per_second > 1e-6 && left > 0.0;
        Status {
            id: self.id().clone(),
            phase: self.header.progress.phase.clone(),
            stage: self.stage(behind),
            wave: self.header.progress.wave,
            clusters: self.queues.iter().map(cluster).collect(),
            per_second,
            remaining: has_rate.then(|| Duration::from_secs_f64((left / per_second).min(1e9))),
        }
    }

    fn stage(&self, behind: Option<MigrationId>) -> Stage {
        if !self.is_active() {
            return Stage::Still;
        }
        if let Some(behind) = behind {
            return Stage::Queued { behind };
        }
        if self.is_provisional() {
            return Stage::Planning { trouble: self.planning.trouble().map(str::to_owned) };
        }
        let wave = &self.header.order.waves[usize::from(self.header.progress.wave)];
        if let Some(since) = self.header.progress.soaking {
            return Stage::Soaking { until: since.after(wave.soak()) };
        }
        // Of the waves that have begun; the others wait for them.
        let mut begun = Counts::default();
        let waves = usize::from(self.header.progress.wave) + 1;
        self.queues.values().flat_map(|queue| &queue.counts[..waves]).for_each(|counts| begun.plus(counts));
        let open = begun.of(Kind::Waiting) + begun.of(Kind::Running) + begun.of(Kind::Unsure);
        if open == 0 && begun.of(Kind::Later) > 0 { Stage::WaitsForLater } else { Stage::Working }
    }

    /// Sets a waiting row aside.
    pub(super) fn set_aside(&mut self, row: u32, why: Why, until: Moment, now: Moment) {
        self.change(row, &Transition::SetAside(why, until), now).expect("it was taken from those that wait");
    }

    /// A row whose database is not there any more.
    pub(super) fn gone(&mut self, row: u32, now: Moment) {
        let to = Transition::End(Outcome::Gone);
        self.change(row, &to, now).expect("it waits, or was left for later");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Front,
    Back,
}

/// Puts a row where it is found when its time comes.
fn enqueue(queue: &mut Queue, unsure: &mut BTreeSet<(Moment, u32)>, row: &Row, at: u32, end: End) {
    let not_before = row.record.not_before;
    match (&row.record.standing, not_before) {
        (Standing::Waiting, None) => {
            let waiting = &mut queue.waiting[usize::from(row.wave)];
            match end {
                End::Front => waiting.push_front(at),
                End::Back => waiting.push_back(at),
            }
        }
        (Standing::Waiting, Some(until)) => {
            queue.delayed.insert((until, at));
        }
        (Standing::Later(_), until) => {
            queue.delayed.insert((until.unwrap_or_default(), at));
        }
        (Standing::Unsure, until) => {
            unsure.insert((until.unwrap_or_default(), at));
        }
        _ => {}
    }
}
