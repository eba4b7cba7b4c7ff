//! How far a fleet migration is, as a bar on a terminal or as lines in a log. Pure: text out, time as an
//! argument.

use std::time::{Duration, SystemTime};

use super::view::{End, View};
use crate::drain::utc;

/// Characters of the bar.
const BAR_WIDTH: usize = 24;
/// A log has a line at least this often, while it goes on.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// And, whatever changes, no more often than this.
const LINE_MIN: Duration = Duration::from_secs(2);
/// A line when so much more of it is done, as a share.
const LINE_SHARE: f64 = 0.1;

/// One line for a terminal, no longer than `width` characters.
pub(super) fn bar(view: &View, width: usize) -> String {
    let filled = ((view.share() * BAR_WIDTH as f64) as usize).min(BAR_WIDTH);
    let mut line = format!("[{}{}]", "#".repeat(filled), "-".repeat(BAR_WIDTH - filled));
    line.push_str(&format!(" {}/{} {:.1} %", grouped(view.over), grouped(view.databases), percent(view)));
    line.push_str(&format!("  wave {}/{} {}", view.wave, view.waves, view.wave_name));
    if let Some(pace) = pace(view) {
        line.push_str(&format!("  {pace}"));
    }
    for trouble in troubles(view) {
        line.push_str(&format!("  {trouble}"));
    }
    if let Some(why) = waiting(view) {
        line.push_str(&format!("  {why}"));
    }
    cut(&line, width)
}

/// One line of a log.
pub(super) fn line(view: &View, at: SystemTime) -> String {
    let mut parts = vec![
        format!("{} of {} databases ({:.1} %)", view.over, view.databases, percent(view)),
        format!("wave {} of {} ({})", view.wave, view.waves, view.wave_name),
    ];
    parts.extend(pace(view));
    parts.extend(troubles(view));
    parts.extend(waiting(view));
    format!("{} {}: {}", utc(at), view.id, parts.join(", "))
}

/// The last words about one that ended.
pub(super) fn verdict(view: &View, end: End) -> String {
    let (id, done, all) = (&view.id, view.done(), view.databases);
    let mut counts = format!("{done} of {all} databases have the new definition");
    if view.there > 0 {
        counts.push_str(&format!(" ({} had it before)", view.there));
    }
    for trouble in troubles(view) {
        counts.push_str(&format!(", {trouble}"));
    }
    match end {
        End::Done => format!("fleet migration {id} is done: {counts}"),
        End::Incomplete if view.state == "cancelled" => {
            let by = view.by.as_deref().unwrap_or("an operator");
            format!("fleet migration {id} was cancelled by {by}: {counts}; what is done stays")
        }
        End::Incomplete if view.state == "refused" => {
            let why = view.waits_for.as_deref().unwrap_or("it is not known why");
            format!(
                "fleet migration {id} was refused when its turn came, and nothing was changed: {why}\n\
                 it had waited for another one of the same table, and was planned again behind that"
            )
        }
        End::Incomplete => format!(
            "fleet migration {id} is over, and not every database is changed: {counts}\n\
             `bulkhead migrate status {id}` says why; `bulkhead migrate retry {id}` tries again what failed"
        ),
        End::Stopped => {
            let why = view.waits_for.as_deref().unwrap_or("it is not known why");
            format!(
                "fleet migration {id} stopped: {why}; {counts}\n\
                 it is not over: `bulkhead migrate resume {id}`, or `bulkhead migrate cancel {id}`"
            )
        }
    }
}

/// Whether a log gets a line now.
#[derive(Debug, Default)]
pub(super) struct Lines {
    last: Option<(View, Duration)>,
}

impl Lines {
    /// `since` is a clock that does not go back. A line when something happened that people want to know, a
    /// tenth more is done, or nothing was said for half a minute.
    pub(super) fn is_due(&mut self, view: &View, since: Duration) -> bool {
        let is_due = match &self.last {
            None => true,
            Some((last, at)) => {
                let silent = since.saturating_sub(*at);
                let is_news = last.state != view.state
                    || last.wave != view.wave
                    || last.step != view.step
                    || last.failed != view.failed
                    || last.drifted != view.drifted
                    || last.waits_for.is_some() != view.waits_for.is_some()
                    || view.share() - last.share() >= LINE_SHARE;
                view.is_over || silent >= LINE_EVERY || (is_news && silent >= LINE_MIN)
            }
        };
        if is_due {
            self.last = Some((view.clone(), since));
        }
        is_due
    }
}

fn percent(view: &View) -> f64 {
    // Rounded down: 100 % is said of the whole alone.
    (view.share() * 1000.0).floor() / 10.0
}

/// Rate and time left, while it works.
fn pace(view: &View) -> Option<String> {
    if view.is_over || view.per_second <= 0.0 {
        return None;
    }
    let rate = format!("{:.1}/s", view.per_second);
    Some(match view.remaining {
        Some(left) => format!("{rate}, {} left", span(left)),
        None => rate,
    })
}

fn troubles(view: &View) -> Vec<String> {
    let counts = [
        (view.failed, "failed"),
        (view.drifted, "drifted"),
        (view.skipped, "skipped"),
        (view.later, "left for later"),
    ];
    counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

/// Why nothing is begun now.
fn waiting(view: &View) -> Option<String> {
    let by = || view.by.as_deref().map_or(String::new(), |by| format!(" by {by}"));
    match (view.state.as_str(), &view.waits_for) {
        ("paused", _) => Some(format!("paused{}", by())),
        (_, Some(why)) => Some(format!("waits: {why}")),
        _ => None,
    }
}

/// Hours, minutes and seconds, the two that matter.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m{rest:02}s"),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

/// A number with its thousands apart.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let mut out: String = line.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::super::view::tests::sample;
    use super::*;

    #[test]
    fn bars_say_how_far_it_is() {
        assert_eq!(
            bar(&sample(), 200),
            "[#-----------------------] 243/3,000 8.1 %  wave 3/4 10 %  12.3/s, 3m44s left"
        );
        let soaking = View {
            step: "soaking".into(),
            waits_for: Some("wave 10 % soaks until 21:45".into()),
            per_second: 0.0,
            failed: 2,
            later: 7,
            ..sample()
        };
        assert_eq!(
            bar(&soaking, 200),
            "[#-----------------------] 243/3,000 8.1 %  wave 3/4 10 %  2 failed  7 left for later  \
             waits: wave 10 % soaks until 21:45"
        );
        let paused = View { state: "paused".into(), by: Some("ana".into()), per_second: 0.0, ..sample() };
        assert!(bar(&paused, 200).ends_with("  paused by ana"));
        let cut = bar(&soaking, 60);
        assert!(cut.chars().count() == 60 && cut.ends_with('…'), "{cut}");
        // Not 100 % before it is.
        let nearly = View { over: 2999, ..sample() };
        assert!(bar(&nearly, 200).contains("2,999/3,000 99.9 %"));
        let all = View { over: 3000, is_over: true, ..sample() };
        assert_eq!(bar(&all, 200), "[########################] 3,000/3,000 100.0 %  wave 3/4 10 %");
    }

    #[test]
    fn lines_have_a_moment_and_an_id() {
        let at = UNIX_EPOCH + Duration::from_secs(1_709_156_400);
        assert_eq!(
            line(&sample(), at),
            "2024-02-28T21:40:00.000Z 018f00000000dddd: 243 of 3000 databases (8.1 %), wave 3 of 4 (10 %), \
             12.3/s, 3m44s left"
        );
    }

    #[test]
    fn a_log_is_not_flooded() {
        let mut lines = Lines::default();
        let at = |ms: u64| Duration::from_millis(ms);
        assert!(lines.is_due(&sample(), at(0)));
        assert!(!lines.is_due(&sample(), at(1_000)));
        let failed = View { failed: 1, ..sample() };
        assert!(!lines.is_due(&failed, at(1_500)), "too soon after the last line");
        assert!(lines.is_due(&failed, at(2_000)));
        let more = View { over: 243 + 299, ..failed.clone() };
        assert!(!lines.is_due(&more, at(20_000)));
        let tenth = View { over: 243 + 301, ..failed.clone() };
        assert!(lines.is_due(&tenth, at(20_000)));
        assert!(!lines.is_due(&tenth, at(49_999)));
        assert!(lines.is_due(&tenth, at(50_000)), "half a minute of silence");
        let over = View { is_over: true, ..tenth };
        assert!(lines.is_due(&over, at(50_001)), "the end is told at once");
    }

    #[test]
    fn the_end_is_told() {
        let over = View { is_over: true, over: 3000, changed: 2990, there: 10, ..sample() };
        assert_eq!(
            verdict(&over, End::Done),
            "fleet migration 018f00000000dddd is done: 3000 of 3000 databases have the new definition (10 \
             had it before)"
        );
        let failed = View { changed: 2980, failed: 10, ..over.clone() };
        let said = verdict(&failed, End::Incomplete);
        assert!(
            said.contains("2990 of 3000") && said.contains("10 failed") && said.contains("migrate retry")
        );
        let cancelled = View { state: "cancelled".into(), by: Some("ana".into()), ..failed };
        assert!(verdict(&cancelled, End::Incomplete).contains("was cancelled by ana"));
        let why = Some("Unknown column 'a' in 'issues'".to_owned());
        let refused = View { state: "refused".into(), is_over: true, waits_for: why, ..View::default() };
        let said = verdict(&refused, End::Incomplete);
        assert!(said.contains("nothing was changed: Unknown column 'a'"), "{said}");
        let stopped = View { waits_for: Some("3 databases of the canary failed".into()), ..sample() };
        let said = verdict(&stopped, End::Stopped);
        assert!(
            said.contains("stopped: 3 databases of the canary failed") && said.contains("migrate resume")
        );
    }

    #[test]
    fn spans_are_short() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (90_000, "1d01h")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
    }
}
