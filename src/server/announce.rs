//! Tells what happens to fleet migrations: into the log of events, and so to webhooks and commands.
//!
//! Told from what is shown of them, look by look, so that whoever gives an order, through whichever door, is
//! told of in the same way. What happened before this proxy started is not told again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::ladder::Control;
use crate::drain::{Entry, FleetEvent, FleetTurn};
use crate::ids::MigrationId;
use crate::migrations::fleet::ledger::{Kind, Phase};
use crate::migrations::fleet::live::{Fleet, FleetHook, FleetNotice, FleetRow};
use crate::migrations::fleet::schedule::Event;

/// Between two looks at least, however fast they change.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Writes what becomes of clusters' lanes to the log; the migrations themselves are told of by [`announce`].
pub(super) struct LaneLog;

impl FleetHook for LaneLog {
    fn tell(&self, notice: &FleetNotice) {
        match &notice.event {
            Event::Closed { cluster, why } => {
                let why = why.words();
                tracing::warn!(target: "bulkhead::fleet", %cluster, why, "no database of it is begun");
            }
            Event::Opened { cluster } => {
                tracing::info!(target: "bulkhead::fleet", %cluster, "its databases may be begun again");
            }
            event => tracing::debug!(target: "bulkhead::fleet", ?event, "fleet migration"),
        }
    }
}

/// Tells until the proxy stops.
pub(super) async fn announce(fleet: Fleet, control: Arc<Control>) {
    let mut changes = fleet.changes();
    let mut seen = Seen::since(SystemTime::now());
    loop {
        changes.mark_unchanged();
        for event in seen.look(&fleet.rows(), SystemTime::now()) {
            let FleetEvent { id, keyspace, turn, said, .. } = &event;
            let turn = turn.name();
            tracing::info!(target: "bulkhead::fleet", %id, %keyspace, turn, said, "fleet migration");
            control.note(Entry::Fleet(event));
        }
        tokio::time::sleep(LOOK_PAUSE).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// What was told of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    phase: &'static str,
    wave: u16,
    is_over: bool,
}

impl Mark {
    fn of(row: &FleetRow) -> Self {
        Self { phase: row.phase.word(), wave: row.wave, is_over: row.is_over() }
    }

    /// One that was just taken on.
    fn fresh() -> Self {
        Self { phase: Phase::Active.word(), wave: 0, is_over: false }
    }
}

/// What was told so far.
struct Seen {
    started: SystemTime,
    marks: BTreeMap<MigrationId, Mark>,
}

impl Seen {
    fn since(started: SystemTime) -> Self {
        Self { started, marks: BTreeMap::new() }
    }

    /// What is to be told of these rows now, in order.
    fn look(&mut self, rows: &[FleetRow], at: SystemTime) -> Vec<FleetEvent> {
        let mut events = Vec::new();
        // They come newest first.
        for row in rows.iter().rev() {
            let now = Mark::of(row);
            let before = match self.marks.get(&row.id) {
                Some(before) => before.clone(),
                // An older one that was not known: what it came to since this proxy started counts.
                None if row.submitted < self.started => {
                    let ended_since = row.ended.is_some_and(|ended| ended >= self.started);
                    Mark { is_over: now.is_over && !ended_since, ..now.clone() }
                }
                None => {
                    events.push(event(row, FleetTurn::Begun, at));
                    Mark::fresh()
                }
            };
            events.extend(turns(&before, &now).into_iter().map(|turn| event(row, turn, at)));
            self.marks.insert(row.id.clone(), now);
        }
        let is_known = |id: &MigrationId| rows.iter().any(|row| row.id == *id);
        self.marks.retain(|id, _| is_known(id));
        events
    }
}

/// What happened between two looks.
fn turns(before: &Mark, now: &Mark) -> Vec<FleetTurn> {
    let mut turns = Vec::new();
    if now.wave > before.wave {
        turns.push(FleetTurn::WaveDone);
    }
    if now.phase != before.phase {
        turns.extend(match now.phase {
            "paused" => Some(FleetTurn::Paused),
            "stopped" => Some(FleetTurn::Stopped),
            "cancelled" => Some(FleetTurn::Cancelled),
            "active" => Some(FleetTurn::Resumed),
            _ => None,
        });
    } else if before.is_over && !now.is_over {
        turns.push(FleetTurn::Resumed);
    }
    if now.is_over && !before.is_over {
        turns.push(FleetTurn::Ended);
    }
    turns
}

fn event(row: &FleetRow, turn: FleetTurn, at: SystemTime) -> FleetEvent {
    let counts = &row.counts;
    let mut done = format!("{} of {} databases have the new definition", counts.done(), counts.total());
    for kind in [Kind::Failed, Kind::Drifted, Kind::Skipped] {
        if counts.of(kind) > 0 {
            done.push_str(&format!(", {} {}", counts.of(kind), kind.word()));
        }
    }
    let said = match (turn, &row.phase) {
        (FleetTurn::Begun, _) => format!("{} databases: {}", counts.total(), row.statement),
        (FleetTurn::WaveDone, _) => format!("the wave {} begins; {done}", row.wave_name),
        (FleetTurn::Stopped, Phase::Stopped { why }) => format!("{why}; {done}"),
        (FleetTurn::Ended, Phase::Refused { why }) => {
            format!("refused when its turn came, nothing was changed: {why}")
        }
        _ => done,
    };
    let by = match (turn, &row.phase) {
        (FleetTurn::Begun, _) => Some(row.user.to_string()),
        (FleetTurn::Paused | FleetTurn::Cancelled, Phase::Paused { by } | Phase::Cancelled { by }) => {
            Some(by.to_string())
        }
        _ => None,
    };
    FleetEvent { at, id: row.id.clone(), keyspace: row.keyspace.clone(), turn, by, said }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::ids::{Keyspace, UserName};
    use crate::migrations::fleet::ledger::Counts;
    use crate::migrations::fleet::schedule::Stage;

    fn second(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn row(id: &str, submitted: u64) -> FleetRow {
        FleetRow {
            id: MigrationId::new(id),
            keyspace: Keyspace::new("workspaces"),
            statement: "ALTER TABLE issues ADD a INT".into(),
            tables: vec!["issues".into()],
            user: UserName::new("app"),
            submitted: second(submitted),
            phase: Phase::Active,
            stage: Stage::Working,
            wave: 0,
            wave_name: "canary".into(),
            waves: 2,
            counts: Counts::default(),
            per_second: 0.0,
            remaining: None,
            waits_for: None,
            is_mixed: false,
            reverts: None,
            ended: None,
        }
    }

    fn told(seen: &mut Seen, rows: &[FleetRow]) -> Vec<String> {
        let events = seen.look(rows, second(999));
        events.iter().map(|event| format!("{} {}", event.id, event.turn.name())).collect()
    }

    #[test]
    fn each_turn_is_told_once() {
        let mut seen = Seen::since(second(100));
        let begun = row("a", 150);
        assert_eq!(told(&mut seen, std::slice::from_ref(&begun)), ["a begun"]);
        assert!(told(&mut seen, std::slice::from_ref(&begun)).is_empty());
        let wave = FleetRow { wave: 1, wave_name: "all".into(), ..begun.clone() };
        assert_eq!(told(&mut seen, std::slice::from_ref(&wave)), ["a wave_done"]);
        let by = UserName::new("ana");
        let paused = FleetRow { phase: Phase::Paused { by: by.clone() }, ..wave.clone() };
        let events = seen.look(std::slice::from_ref(&paused), second(999));
        assert_eq!((events.len(), events[0].by.as_deref()), (1, Some("ana")));
        assert_eq!(told(&mut seen, std::slice::from_ref(&wave)), ["a resumed"]);
        let stopped = FleetRow { phase: Phase::Stopped { why: "3 failed".into() }, ..wave.clone() };
        let events = seen.look(std::slice::from_ref(&stopped), second(999));
        assert!(events[0].said.starts_with("3 failed; 0 of 0 databases"), "{:?}", events[0]);
        // Resumed and over between two looks: the end is what counts.
        let over = FleetRow { phase: Phase::Finished, ended: Some(second(200)), ..wave.clone() };
        assert_eq!(told(&mut seen, std::slice::from_ref(&over)), ["a ended"]);
        // What failed is tried again, and it is over again.
        assert_eq!(told(&mut seen, std::slice::from_ref(&wave)), ["a resumed"]);
        assert_eq!(told(&mut seen, std::slice::from_ref(&over)), ["a ended"]);
        let cancelled = FleetRow { phase: Phase::Cancelled { by }, ended: None, ..begun };
        assert_eq!(told(&mut seen, &[row("b", 180), cancelled]), ["a cancelled", "b begun"]);
    }

    #[test]
    fn what_was_before_the_start_is_not_told_again() {
        let mut seen = Seen::since(second(100));
        let over = FleetRow { phase: Phase::Finished, ended: Some(second(60)), wave: 1, ..row("a", 50) };
        let going_on = FleetRow { wave: 1, ..row("b", 70) };
        assert!(told(&mut seen, &[going_on.clone(), over.clone()]).is_empty());
        let ended = FleetRow { phase: Phase::Finished, ended: Some(second(120)), ..going_on };
        assert_eq!(told(&mut seen, &[ended, over]), ["b ended"]);
        // It ended right after the start, before the first look.
        let late = FleetRow { phase: Phase::Finished, ended: Some(second(101)), ..row("c", 50) };
        assert_eq!(told(&mut seen, &[late]), ["c ended"]);
        // One that came and went between two looks.
        let quick = FleetRow { phase: Phase::Finished, ended: Some(second(130)), ..row("d", 130) };
        assert_eq!(told(&mut seen, &[quick]), ["d begun", "d ended"]);
    }
}
