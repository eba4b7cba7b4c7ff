//! Moments as Bulkhead prints them. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads `2024-02-28T21:40:00.000Z`; none for anything else.
pub fn parse_utc(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split(':');
    let (hour, minute) = (time.next()?.parse::<u64>().ok()?, time.next()?.parse::<u64>().ok()?);
    let seconds = time.next()?.parse::<f64>().ok()?;
    let is_right = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && (0.0..61.0).contains(&seconds);
    if !is_right {
        return None;
    }
    let minutes = (days_before(year, month) + day - 1) * 1_440 + hour * 60 + minute;
    Some(UNIX_EPOCH + Duration::from_secs(minutes * 60) + Duration::from_secs_f64(seconds))
}

/// Days from 1970 to the month's first.
fn days_before(year: u64, month: u64) -> u64 {
    const LENGTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leaps_to = |year: u64| year / 4 - year / 100 + year / 400;
    let is_leap = leaps_to(year) != leaps_to(year - 1);
    let years = (year - 1970) * 365 + leaps_to(year - 1) - leaps_to(1969);
    let months: u64 = LENGTHS.iter().take(month as usize - 1).sum();
    years + months + u64::from(is_leap && month > 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let since = |text: &str| parse_utc(text).and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        assert_eq!(since("1970-01-01T00:00:00.000Z"), Some(Duration::ZERO));
        assert_eq!(since("2024-02-28T21:40:00.250Z"), Some(Duration::from_millis(1_709_156_400_250)));
        assert_eq!(since("2000-03-01T00:00:00Z"), Some(Duration::from_secs(951_868_800)));
        assert_eq!(since("2026-11-26T12:00:00.5Z"), Some(Duration::from_millis(1_795_694_400_500)));
        for wrong in ["", "2024-02-28", "2024-13-01T00:00:00Z", "2024-01-01T25:00:00Z", "x-y-zTa:b:cZ"] {
            assert_eq!(parse_utc(wrong), None, "{wrong}");
        }
    }
}
