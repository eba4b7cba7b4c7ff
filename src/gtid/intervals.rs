//! Numbers of one origin, as sorted intervals that neither touch nor overlap.

/// Numbers from 1 on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// First and last number of each, both included.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.0.last().map(|(_, end)| *end)
    }

    /// Adds `start` to `end`, both included; nothing if it is empty.
    pub(super) fn add(&mut self, start: u64, end: u64) {
        if start > end {
            return;
        }
        // The next number of the last interval: what a server that is read from adds.
        if let Some((_, last)) = self.0.last_mut()
            && last.saturating_add(1) == start
        {
            *last = end;
            return;
        }
        // The first that touches it or comes after, and the first after it that does not touch.
        let from = self.0.partition_point(|(_, last)| last.saturating_add(1) < start);
        let to = self.0.partition_point(|(first, _)| *first <= end.saturating_add(1));
        let touched = &self.0[from..to.max(from)];
        let first = touched.first().map_or(start, |(first, _)| start.min(*first));
        let last = touched.last().map_or(end, |(_, last)| end.max(*last));
        self.0.splice(from..to.max(from), [(first, last)]);
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        let from = self.0.partition_point(|(_, last)| *last < number);
        self.0.get(from).is_some_and(|(first, _)| *first <= number)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        other.iter().for_each(|(start, end)| self.add(start, end));
    }

    /// The numbers that are not in `other`.
    pub(super) fn subtract(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut taken = other.0.iter().copied().peekable();
        for (mut start, end) in self.iter() {
            while taken.next_if(|(_, last)| *last < start).is_some() {}
            let mut is_used_up = false;
            while let Some((first, last)) = taken.peek().copied().filter(|(first, _)| *first <= end) {
                if first > start {
                    left.push((start, first - 1));
                }
                if last >= end {
                    is_used_up = true;
                    break;
                }
                start = last + 1;
                taken.next();
            }
            if !is_used_up {
                left.push((start, end));
            }
        }
        Self(left)
    }

    /// The numbers up to `last`, included.
    pub(super) fn up_to(&self, last: u64) -> Self {
        let kept = self.iter().take_while(|(start, _)| *start <= last);
        Self(kept.map(|(start, end)| (start, end.min(last))).collect())
    }
}
