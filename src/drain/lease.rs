//! Who decides, and who carries schema changes out: one proxy at a time, by a lease in the store.
//!
//! Times of other machines are not trusted, and no wall clock is. An owner counts from before it *sent* its
//! last renewal; the others count from when they *saw* the last change. So the owner stops before the first
//! of them may begin, whatever the delays are. A process that was stopped for a while finds on its next look
//! that its lease is over.
//!
//! A store that only one process can hold needs no lease: whoever has it owns the decisions, also while it
//! fails.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::ladder::Ownership;
use crate::topology::Expect;

/// A lease that is not renewed for so long is anybody's.
const LASTS: Duration = Duration::from_secs(4);
/// Its owner renews it so often: three renewals may fail.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// The owner stops so much earlier: what it began a moment ago is then over.
const MARGIN: Duration = Duration::from_millis(500);
/// Other proxies' leases are believed to last no longer.
const LASTS_MAX: Duration = Duration::from_secs(60);

/// What is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) owner: String,
    pub(crate) lasts_ms: u64,
}

/// What is to be written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseDue {
    Nothing,
    /// The lease is free, or it is this proxy's and time to renew it.
    Write(Expect),
}

#[derive(Debug)]
struct Held {
    version: u64,
    sent: Instant,
}

#[derive(Debug)]
struct Seen {
    version: u64,
    holder: Holder,
    at: Instant,
}

/// One proxy's view of the lease.
#[derive(Debug)]
pub(crate) struct Lease {
    me: Holder,
    is_exclusive: bool,
    held: Option<Held>,
    seen: Option<Seen>,
    /// The store last answered.
    answered: Instant,
}

impl Lease {
    pub(crate) fn new(owner: &str, is_exclusive: bool, now: Instant) -> Self {
        let lasts_ms = u64::try_from(LASTS.as_millis()).expect("a few seconds");
        let me = Holder { owner: owner.to_owned(), lasts_ms };
        Self { me, is_exclusive, held: None, seen: None, answered: now }
    }

    /// What this proxy writes.
    pub(crate) fn stored(&self) -> Vec<u8> {
        serde_json::to_vec(&self.me).expect("text and a number have a JSON form")
    }

    /// No other process can have the store.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }

    /// Who owns it, as far as is known.
    pub(crate) fn owner(&self) -> Option<&str> {
        if self.is_exclusive {
            return Some(&self.me.owner);
        }
        self.seen.as_ref().map(|seen| seen.holder.owner.as_str())
    }

    /// The store showed the lease; `None`: there is none.
    pub(crate) fn saw(&mut self, found: Option<(Holder, u64)>, now: Instant) {
        self.answered = now;
        let Some((holder, version)) = found else {
            (self.seen, self.held) = (None, None);
            return;
        };
        if self.held.as_ref().is_some_and(|held| held.version < version && holder.owner != self.me.owner) {
            self.held = None;
        }
        // An older one may still be under way when a newer one is known.
        if self.seen.as_ref().is_none_or(|seen| seen.version < version) {
            self.seen = Some(Seen { version, holder, at: now });
        }
    }

    pub(crate) fn due(&self, now: Instant) -> LeaseDue {
        let Some(seen) = &self.seen else { return LeaseDue::Write(Expect::Absent) };
        if let Some(held) = &self.held {
            let is_due = !self.is_exclusive && now.saturating_duration_since(held.sent) >= RENEW_EVERY;
            return if is_due { LeaseDue::Write(Expect::Version(held.version)) } else { LeaseDue::Nothing };
        }
        let lasts = Duration::from_millis(seen.holder.lasts_ms).clamp(LASTS, LASTS_MAX);
        let is_over = now.saturating_duration_since(seen.at) >= lasts || self.is_exclusive;
        if is_over { LeaseDue::Write(Expect::Version(seen.version)) } else { LeaseDue::Nothing }
    }

    /// What was sent then has been written.
    pub(crate) fn wrote(&mut self, version: u64, sent: Instant, now: Instant) {
        self.answered = now;
        self.held = Some(Held { version, sent });
        self.seen = Some(Seen { version, holder: self.me.clone(), at: now });
    }

    /// Somebody else has written it.
    pub(crate) fn lost(&mut self, now: Instant) {
        self.answered = now;
        self.held = None;
    }

    /// The version to write it back under, when this proxy owns it.
    pub(crate) fn held_version(&self, now: Instant) -> Option<u64> {
        let held = self.held.as_ref()?;
        self.holds(held, now).then_some(held.version)
    }

    fn holds(&self, held: &Held, now: Instant) -> bool {
        now.saturating_duration_since(held.sent) < LASTS - MARGIN
    }

    /// Whether this proxy decides at this moment.
    pub(crate) fn ownership(&self, now: Instant) -> Ownership {
        if self.is_exclusive || self.held.as_ref().is_some_and(|held| self.holds(held, now)) {
            return Ownership::Owner;
        }
        let is_heard = now.saturating_duration_since(self.answered) < LASTS;
        if is_heard { Ownership::Follower } else { Ownership::Alone }
    }
}

/// A lease that the task at the store keeps and the watching task looks at.
#[derive(Clone, Debug)]
pub(crate) struct SharedLease(Arc<Mutex<Lease>>);

impl SharedLease {
    pub(crate) fn new(lease: Lease) -> Self {
        Self(Arc::new(Mutex::new(lease)))
    }

    /// Each change of a lease is whole, so a panic elsewhere does not spoil it.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Lease) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn ownership(&self) -> Ownership {
        self.with(|lease| lease.ownership(Instant::now()))
    }
}

/// A name for this process that no other has: host, process id, and a random number for the case that both
/// come again.
pub(crate) fn proxy_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let host = if host.is_empty() { "proxy" } else { host };
    let random = RandomState::new().build_hasher().finish() & 0xffff;
    format!("{host}-{}-{random:04x}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn an_owner_that_hears_nothing_stops_before_another_begins() {
        let start = Instant::now();
        let mut owner = Lease::new("a", false, start);
        let mut other = Lease::new("b", false, start);
        assert_eq!(owner.due(start), LeaseDue::Write(Expect::Absent));
        // Sent at 0, written at some time, seen by the other at 0.3.
        owner.wrote(1, start, second(start, 0.2));
        other.saw(Some((owner.me.clone(), 1)), second(start, 0.3));
        assert_eq!(owner.ownership(second(start, 3.4)), Ownership::Owner);
        assert_eq!(owner.ownership(second(start, 3.5)), Ownership::Follower);
        assert_eq!(other.due(second(start, 4.2)), LeaseDue::Nothing);
        assert_eq!(other.due(second(start, 4.3)), LeaseDue::Write(Expect::Version(1)));
        // Neither hears of the store any more: nobody owns, each is alone.
        assert_eq!(owner.ownership(second(start, 4.3)), Ownership::Alone);
        assert_eq!(other.ownership(second(start, 4.4)), Ownership::Alone);
        // The other takes it; the first learns of it.
        other.wrote(2, second(start, 4.5), second(start, 4.6));
        assert_eq!(other.ownership(second(start, 4.6)), Ownership::Owner);
        owner.saw(Some((other.me.clone(), 2)), second(start, 4.7));
        assert_eq!((owner.ownership(second(start, 4.7)), owner.owner()), (Ownership::Follower, Some("b")));
        assert_eq!(owner.due(second(start, 8.0)), LeaseDue::Nothing);
    }

    #[test]
    fn what_is_seen_late_changes_nothing() {
        let start = Instant::now();
        let mut lease = Lease::new("a", false, start);
        lease.wrote(5, start, start);
        lease.saw(Some((Lease::new("b", false, start).me, 4)), start);
        assert_eq!((lease.ownership(start), lease.owner()), (Ownership::Owner, Some("a")));
        lease.saw(None, start);
        assert_eq!(
            (lease.ownership(start), lease.due(start)),
            (Ownership::Follower, LeaseDue::Write(Expect::Absent))
        );
    }

    #[test]
    fn who_has_an_exclusive_store_owns_at_once_and_stays() {
        let start = Instant::now();
        let mut lease = Lease::new("b", true, start);
        lease.saw(Some((Lease::new("a", true, start).me, 7)), start);
        assert_eq!(lease.due(start), LeaseDue::Write(Expect::Version(7)));
        assert_eq!(lease.ownership(second(start, 3600.0)), Ownership::Owner);
        lease.wrote(8, start, start);
        assert_eq!(lease.due(second(start, 3600.0)), LeaseDue::Nothing, "nobody else can take it");
    }

    /// A few proxies on one store whose answers take their time, with pauses of whole processes, and a store
    /// that is away now and then: never two owners at once, and one soon after all is well.
    #[test]
    fn never_two_owners() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let start = Instant::now();
        #[derive(Clone, Copy)]
        enum Answer {
            Wrote { version: u64, sent: u64 },
            Refused,
        }
        struct Proxy {
            lease: Lease,
            paused_until: u64,
            /// A write under way: when it was sent, what it expects, when it arrives.
            sent: Option<(u64, Expect, u64)>,
            /// An answer under way: when it comes, and what it says.
            answer: Option<(u64, Answer)>,
            saw_at: u64,
        }
        let mut proxies: Vec<Proxy> = ["a", "b", "c"]
            .map(|name| Proxy {
                lease: Lease::new(name, false, start),
                paused_until: 0,
                sent: None,
                answer: None,
                saw_at: 0,
            })
            .into();
        let mut stored: Option<(Holder, u64)> = None;
        let (mut version, mut owned, mut changes) = (0_u64, 0_u64, 0_u64);
        let mut last_owner = None;
        // Steps of 10 ms, two hours.
        for now_ms in (0..7_200_000_u64).step_by(10) {
            let at = start + Duration::from_millis(now_ms);
            let is_away = now_ms % 300_000 > 280_000;
            for proxy in &mut proxies {
                if let Some((sent, expect, _)) = proxy.sent.filter(|(_, _, arrives)| *arrives <= now_ms) {
                    proxy.sent = None;
                    let found = stored.as_ref().map(|(_, version)| *version);
                    let matches = match expect {
                        Expect::Absent => found.is_none(),
                        Expect::Version(wanted) => found == Some(wanted),
                    };
                    if matches {
                        version += 1;
                        stored = Some((proxy.lease.me.clone(), version));
                    }
                    let back = now_ms + random(400);
                    proxy.answer =
                        Some((back, if matches { Answer::Wrote { version, sent } } else { Answer::Refused }));
                }
                if now_ms < proxy.paused_until {
                    continue;
                }
                if random(50_000) == 0 {
                    proxy.paused_until = now_ms + random(20_000);
                    continue;
                }
                if let Some((_, answer)) = proxy.answer.filter(|(due, _)| *due <= now_ms) {
                    proxy.answer = None;
                    match answer {
                        Answer::Wrote { version, sent } => {
                            proxy.lease.wrote(version, start + Duration::from_millis(sent), at);
                        }
                        Answer::Refused => proxy.lease.lost(at),
                    }
                }
                if !is_away && now_ms >= proxy.saw_at {
                    proxy.saw_at = now_ms + random(600);
                    proxy.lease.saw(stored.clone(), at);
                }
                if let (None, None, false, LeaseDue::Write(expect)) =
                    (proxy.sent, proxy.answer, is_away, proxy.lease.due(at))
                {
                    proxy.sent = Some((now_ms, expect, now_ms + random(700)));
                }
            }
            let running = proxies.iter().filter(|proxy| now_ms >= proxy.paused_until);
            let owners: Vec<&str> = running
                .filter(|proxy| proxy.lease.ownership(at) == Ownership::Owner)
                .map(|proxy| proxy.lease.me.owner.as_str())
                .collect();
            assert!(owners.len() <= 1, "{owners:?} at {now_ms} ms");
            if let Some(owner) = owners.first() {
                owned += 10;
                changes += u64::from(last_owner.as_deref() != Some(*owner));
                last_owner = Some((*owner).to_owned());
            }
        }
        assert!(owned > 5_400_000, "three quarters of the time at least somebody decides: {owned} ms");
        assert!(changes > 10, "the lease went from hand to hand: {changes}");
    }
}
