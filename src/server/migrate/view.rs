//! A fleet migration as the admin port tells of it.

use std::time::Duration;

use super::link::Cells;

/// What is shown of one while it is waited for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct View {
    pub(super) id: String,
    pub(super) keyspace: String,
    pub(super) statement: String,
    /// `active`, `paused`, `stopped`, `cancelled`, `finished`.
    pub(super) state: String,
    /// `queued`, `working`, `soaking`, `waits_for_later`, `still`.
    pub(super) step: String,
    pub(super) by: Option<String>,
    pub(super) waits_for: Option<String>,
    /// From 1.
    pub(super) wave: u32,
    pub(super) waves: u32,
    pub(super) wave_name: String,
    pub(super) databases: u32,
    /// Databases of which nothing more is to come.
    pub(super) over: u32,
    pub(super) changed: u32,
    pub(super) there: u32,
    pub(super) failed: u32,
    pub(super) drifted: u32,
    pub(super) skipped: u32,
    pub(super) later: u32,
    pub(super) per_second: f64,
    pub(super) remaining: Option<Duration>,
    pub(super) is_mixed: bool,
    /// It is at rest for good.
    pub(super) is_over: bool,
}

/// How waiting for it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Every database is as it should be, but for those that an operator left out or that are gone.
    Done,
    /// It is over, and that is not so; or it was cancelled.
    Incomplete,
    /// It stopped by itself, and is not over.
    Stopped,
}

impl View {
    /// From the lines of `SHOW MIGRATION '<id>'`; `None` when it is no fleet migration.
    pub(super) fn of(lines: &[Cells]) -> Option<Self> {
        let of = |name: &str| {
            let line = lines.iter().find(|line| line.get("name") == Some(name));
            line.and_then(|line| line.get("value")).map(str::to_owned)
        };
        let text = |name: &str| of(name).unwrap_or_default();
        let number = |name: &str| of(name).and_then(|value| value.parse().ok()).unwrap_or_default();
        if of("kind").as_deref() != Some("fleet") {
            return None;
        }
        let eta: Option<u64> = of("eta_s").and_then(|seconds| seconds.parse().ok());
        Some(Self {
            id: text("id"),
            keyspace: text("keyspace"),
            statement: text("statement"),
            state: text("state"),
            step: text("step"),
            by: of("by"),
            waits_for: of("waits_for"),
            wave: number("wave"),
            waves: number("waves"),
            wave_name: text("wave_name"),
            databases: number("databases"),
            over: number("over"),
            changed: number("changed"),
            there: number("there"),
            failed: number("failed"),
            drifted: number("drifted"),
            skipped: number("skipped"),
            later: number("later"),
            per_second: of("databases_per_s").and_then(|rate| rate.parse().ok()).unwrap_or_default(),
            remaining: eta.map(Duration::from_secs),
            is_mixed: of("definitions").is_some(),
            is_over: of("ended").is_some(),
        })
    }

    /// Databases that have the wanted definition.
    pub(super) fn done(&self) -> u32 {
        self.changed + self.there
    }

    /// Share of its databases of which nothing more is to come, 0 to 1.
    pub(super) fn share(&self) -> f64 {
        if self.databases == 0 { 1.0 } else { f64::from(self.over) / f64::from(self.databases) }
    }

    /// How it ended; absent while there is something to wait for.
    pub(super) fn end(&self) -> Option<End> {
        match self.state.as_str() {
            "stopped" => Some(End::Stopped),
            "cancelled" | "refused" if self.is_over => Some(End::Incomplete),
            _ if !self.is_over => None,
            _ if self.failed > 0 || self.drifted > 0 => Some(End::Incomplete),
            _ => Some(End::Done),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One that is under way.
    pub(in crate::server::migrate) fn sample() -> View {
        View {
            id: "018f00000000dddd".into(),
            keyspace: "workspaces".into(),
            statement: "ALTER TABLE issues ADD a INT".into(),
            state: "active".into(),
            step: "working".into(),
            wave: 3,
            waves: 4,
            wave_name: "10 %".into(),
            databases: 3000,
            over: 243,
            changed: 240,
            there: 3,
            per_second: 12.34,
            remaining: Some(Duration::from_secs(224)),
            ..View::default()
        }
    }

    #[test]
    fn lines_are_read() {
        let line = |name: &str, value: &str| Cells::of(&[("name", Some(name)), ("value", Some(value))]);
        let lines = [
            line("id", "018f00000000dddd"),
            line("kind", "fleet"),
            line("keyspace", "workspaces"),
            line("statement", "ALTER TABLE issues ADD a INT"),
            line("state", "active"),
            line("step", "working"),
            line("wave", "3"),
            line("waves", "4"),
            line("wave_name", "10 %"),
            line("databases", "3000"),
            line("over", "243"),
            line("changed", "240"),
            line("there", "3"),
            line("databases_per_s", "12.34"),
            line("eta_s", "224"),
        ];
        assert_eq!(View::of(&lines), Some(sample()));
        assert_eq!(View::of(&[line("id", "1"), line("cluster", "c1")]), None);
    }

    #[test]
    fn it_ends_well_or_not() {
        let over = |state: &str| View { state: state.into(), is_over: true, ..sample() };
        assert_eq!(sample().end(), None);
        assert_eq!(over("finished").end(), Some(End::Done));
        assert_eq!(View { failed: 1, ..over("finished") }.end(), Some(End::Incomplete));
        assert_eq!(View { drifted: 1, ..over("finished") }.end(), Some(End::Incomplete));
        assert_eq!(View { skipped: 1, ..over("finished") }.end(), Some(End::Done));
        assert_eq!(over("cancelled").end(), Some(End::Incomplete));
        assert_eq!(over("refused").end(), Some(End::Incomplete));
        // What was begun before is still coming to its end.
        assert_eq!(View { state: "cancelled".into(), ..sample() }.end(), None);
        assert_eq!(View { state: "stopped".into(), ..sample() }.end(), Some(End::Stopped));
        assert_eq!(View { state: "paused".into(), ..sample() }.end(), None);
        assert!((View::default().share() - 1.0).abs() < f64::EPSILON);
    }
}
