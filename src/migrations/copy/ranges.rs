//! Which ranges of keys are copied, being copied, and next.
//!
//! The source's keys up to the greatest one at the start are cut into pieces behind each other; whoever asks
//! for the next looks for its end. Pieces are numbered so that their numbers sort as their keys do, though
//! keys cannot be compared here: each new one is [`STEP`] beyond the last, and what is cut off a piece gets
//! the number behind it.

use std::collections::{BTreeMap, VecDeque};

use crate::migrations::plan::{Key, KeyRange};

/// Distance of two pieces' numbers.
const STEP: u64 = 1 << 20;

/// A piece of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its number, in the order of keys.
    pub number: u64,
    /// Its keys.
    pub range: KeyRange,
}

/// A piece that is copied, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Number of its last piece.
    pub number: u64,
    /// Behind this key; absent: from the first.
    pub low: Option<Key>,
    /// Up to this key.
    pub high: Key,
}

impl Piece {
    /// What an earlier attempt at this piece has copied, by the record that has its number; and the key
    /// behind which the rest of it is left, if that attempt was cut short. Rows change in between, so two
    /// attempts need not be cut at the same key. `None`: it is no record of this piece.
    pub fn copied_before(&self, recorded: &Copied) -> Option<(Self, Option<Key>)> {
        if recorded.number != self.number || recorded.low != self.range.after {
            return None;
        }
        let high = Some(recorded.high.clone());
        let cut = high.clone().filter(|_| high != self.range.through);
        let range = KeyRange { after: self.range.after.clone(), through: high };
        Some((Self { number: self.number, range }, cut))
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Copy this.
    Piece(Piece),
    /// Find where a piece behind this key ends, and tell by [`Ranges::scouted`].
    Scout(Option<Key>),
    /// Others are still at work; what they give back may be next.
    Wait,
    /// Everything is copied.
    Done,
}

/// The ranges of one table.
#[derive(Debug)]
pub struct Ranges {
    /// The greatest key at the start.
    max: Key,
    /// Pieces to be copied before what is behind `after`.
    queue: VecDeque<Piece>,
    /// Where scouting goes on; `None`: nothing is left there.
    after: Option<(u64, Option<Key>)>,
    done: BTreeMap<u64, (Option<Key>, Key)>,
    at_work: usize,
    is_scouting: bool,
}

impl Ranges {
    /// From the beginning, or behind what is recorded.
    pub fn new(max: Key, mut recorded: Vec<Copied>) -> Self {
        recorded.sort_by_key(|copied| copied.number);
        let mut queue = VecDeque::new();
        let mut at: (u64, Option<Key>) = (0, None);
        for copied in &recorded {
            if copied.low != at.1 {
                let range = KeyRange { after: at.1.clone(), through: copied.low.clone() };
                queue.push_back(Piece { number: at.0 + 1, range });
            }
            at = (copied.number, Some(copied.high.clone()));
        }
        let after = (at.1.as_ref() != Some(&max)).then_some(at);
        let done = recorded.into_iter().map(|copied| (copied.number, (copied.low, copied.high))).collect();
        Self { max, queue, after, done, at_work: 0, is_scouting: false }
    }

    /// The greatest key at the start.
    pub fn max(&self) -> &Key {
        &self.max
    }

    /// What to do next.
    pub fn next_step(&mut self) -> Next {
        if let Some(piece) = self.queue.pop_front() {
            self.at_work += 1;
            return Next::Piece(piece);
        }
        match &self.after {
            Some((_, after)) if !self.is_scouting => {
                self.is_scouting = true;
                Next::Scout(after.clone())
            }
            None if self.at_work == 0 => Next::Done,
            _ => Next::Wait,
        }
    }

    /// The next piece ends with this key; `None`: fewer keys are left than a piece has, or it could not be
    /// told.
    pub fn scouted(&mut self, end: Option<Key>) -> Option<Piece> {
        self.is_scouting = false;
        let (number, after) = self.after.take()?;
        let number = (number / STEP + 1) * STEP;
        let end = end.filter(|end| *end != self.max);
        if let Some(end) = &end {
            self.after = Some((number, Some(end.clone())));
        }
        self.at_work += 1;
        let through = Some(end.unwrap_or_else(|| self.max.clone()));
        Some(Piece { number, range: KeyRange { after, through } })
    }

    /// Scouting failed: it is asked for again.
    pub fn scouting_failed(&mut self) {
        self.is_scouting = false;
    }

    /// Cuts a piece behind this key; the rest is a piece to be copied. Gives what is left of it.
    pub fn cut(&mut self, piece: Piece, at: &Key) -> Piece {
        let rest = KeyRange { after: Some(at.clone()), through: piece.range.through };
        self.queue.push_front(Piece { number: piece.number + 1, range: rest });
        let range = KeyRange { after: piece.range.after, through: Some(at.clone()) };
        Piece { number: piece.number, range }
    }

    /// The piece is copied and recorded.
    pub fn committed(&mut self, piece: &Piece) {
        self.at_work = self.at_work.saturating_sub(1);
        let high = piece.range.through.clone().unwrap_or_else(|| self.max.clone());
        self.done.insert(piece.number, (piece.range.after.clone(), high));
    }

    /// The piece is not copied; it is next.
    pub fn returned(&mut self, piece: Piece) {
        self.at_work = self.at_work.saturating_sub(1);
        self.queue.push_front(piece);
    }

    /// Merges what is copied from the first key on without a gap; gives the one record that may stand for all
    /// with smaller numbers, if there are at least `least` of them.
    pub fn compact(&mut self, least: usize) -> Option<Copied> {
        let mut reached: Option<(u64, Key)> = None;
        let mut count = 0;
        for (number, (low, high)) in &self.done {
            if low.as_ref() != reached.as_ref().map(|(_, key)| key) {
                break;
            }
            reached = Some((*number, high.clone()));
            count += 1;
        }
        let (number, high) = reached.filter(|_| count >= least.max(2))?;
        self.done.retain(|known, _| *known >= number);
        self.done.insert(number, (None, high.clone()));
        Some(Copied { number, low: None, high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> Key {
        let mut bytes = Vec::new();
        crate::migrations::plan::push_literal(&mut bytes, |out| {
            out.extend_from_slice(n.to_string().as_bytes())
        });
        Key::from_bytes(&bytes)
    }

    fn piece_of(next: Next) -> Piece {
        match next {
            Next::Piece(piece) => piece,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pieces_follow_each_other() {
        let mut ranges = Ranges::new(key(30), Vec::new());
        assert_eq!(ranges.next_step(), Next::Scout(None));
        assert_eq!(ranges.next_step(), Next::Wait, "one looks for an end at a time");
        let first = ranges.scouted(Some(key(10))).unwrap();
        assert_eq!(first.range, KeyRange { after: None, through: Some(key(10)) });
        assert_eq!(ranges.next_step(), Next::Scout(Some(key(10))));
        let last = ranges.scouted(None).unwrap();
        assert_eq!(last.range, KeyRange { after: Some(key(10)), through: Some(key(30)) });
        assert_eq!(ranges.next_step(), Next::Wait);
        ranges.committed(&last);
        ranges.returned(first);
        let again = piece_of(ranges.next_step());
        let front = ranges.cut(again, &key(4));
        let rest = piece_of(ranges.next_step());
        assert_eq!(rest.range, KeyRange { after: Some(key(4)), through: Some(key(10)) });
        assert!(front.number < rest.number && rest.number < last.number);
        ranges.committed(&front);
        assert_eq!(ranges.compact(2), None);
        ranges.committed(&rest);
        assert_eq!(ranges.next_step(), Next::Done);
        assert_eq!(ranges.compact(2), Some(Copied { number: last.number, low: None, high: key(30) }));
    }

    #[test]
    fn a_piece_goes_on_behind_what_an_earlier_attempt_has_copied() {
        let mut ranges = Ranges::new(key(30), Vec::new());
        assert_eq!(ranges.next_step(), Next::Scout(None));
        let asked = ranges.scouted(Some(key(20))).unwrap();
        let recorded = |number, low, high| Copied { number, low, high: key(high) };
        // Cut short at 7 by the attempt whose end was not heard of; the next one would have come to 12.
        let (piece, cut) = asked.copied_before(&recorded(asked.number, None, 7)).unwrap();
        assert_eq!((&piece.range, &cut), (&KeyRange { after: None, through: Some(key(7)) }, &Some(key(7))));
        ranges.cut(asked.clone(), &cut.unwrap());
        ranges.committed(&piece);
        let rest = piece_of(ranges.next_step());
        assert_eq!(rest.range, KeyRange { after: Some(key(7)), through: Some(key(20)) });
        assert_eq!(asked.copied_before(&recorded(asked.number, None, 20)), Some((asked.clone(), None)));
        assert_eq!(asked.copied_before(&recorded(asked.number, Some(key(1)), 20)), None, "another piece");
        assert_eq!(asked.copied_before(&recorded(asked.number + 1, None, 20)), None, "another number");
    }

    #[test]
    fn gaps_are_copied_after_a_resume() {
        let copied = |number, low, high| Copied { number: number * STEP, low, high };
        let recorded = vec![
            copied(6, Some(key(50)), key(60)),
            copied(2, Some(key(10)), key(20)),
            copied(3, Some(key(20)), key(30)),
        ];
        let mut ranges = Ranges::new(key(99), recorded);
        let first = piece_of(ranges.next_step());
        assert_eq!(first.range, KeyRange { after: None, through: Some(key(10)) });
        let second = piece_of(ranges.next_step());
        assert_eq!(second.range, KeyRange { after: Some(key(30)), through: Some(key(50)) });
        assert!(first.number < 2 * STEP && second.number > 3 * STEP && second.number < 6 * STEP);
        assert_eq!(ranges.next_step(), Next::Scout(Some(key(60))));
        ranges.committed(&first);
        ranges.committed(&second);
        let last = ranges.scouted(Some(key(99))).unwrap();
        assert_eq!(last.range.through, Some(key(99)));
        ranges.committed(&last);
        assert_eq!(ranges.next_step(), Next::Done);
        let all = ranges.compact(2).unwrap();
        assert_eq!(Ranges::new(key(99), vec![all]).next_step(), Next::Done);
    }
}
