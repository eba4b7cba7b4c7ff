//! `unicode_loose_xxhash` and `unicode_loose_md5`: text without trailing spaces, case, accents and width.
//!
//! Vitess hashes the primary level of a collation key (Go's `x/text/collate`, English, loose; CLDR 23). That
//! key is reproduced here from a table of primary weights for each code point, for all text in which code
//! points do not combine into contractions. Text beyond that (contractions of Cyrillic, Arabic and Indic
//! letters with a *separate* mark, Thai and Lao vowels before consonants, unassigned code points) is refused:
//! no id rather than a wrong one.

use std::sync::LazyLock;

use crate::ids::KeyspaceId;

use super::super::value::{Value, with_printed};
use super::VindexError;
use super::bytes::{md5_bytes, xxhash_bytes};

/// Weights and classes; see the file's own head.
const TABLE: &str = include_str!("unicode_loose.txt");

static WEIGHTS: LazyLock<Weights> = LazyLock::new(|| Weights::parse(TABLE));

/// Precomposed Hangul syllables: `FIRST + (lead * 21 + vowel) * 28 + tail`.
const HANGUL_FIRST: u32 = 0xac00;
const HANGUL_LAST: u32 = 0xd7a3;
const HANGUL_VOWELS: u32 = 21;
const HANGUL_TAILS: u32 = 28;

/// xxHash64 of the collation key.
pub(super) fn loose_xxhash(value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
    hash(value, "unicode_loose_xxhash", xxhash_bytes)
}

/// MD5 of the collation key.
pub(super) fn loose_md5(value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
    hash(value, "unicode_loose_md5", md5_bytes)
}

fn hash(
    value: &Value<'_>,
    vindex: &'static str,
    with: fn(&[u8]) -> KeyspaceId,
) -> Result<KeyspaceId, VindexError> {
    let hashed = with_printed(value, |text| collation_key(text).map(|key| with(&key)));
    hashed
        .ok_or(VindexError::WrongKind { vindex, takes: "text", found: value.kind() })?
        .map_err(|why| VindexError::Unmappable { vindex, why })
}

/// The primary level of the collation key.
///
/// **Shape**: two bytes for each weight up to 7fff, three bytes with the top bit set above.
pub(super) fn collation_key(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?.trim_end_matches(' ');
    let weights = &*WEIGHTS;
    let mut key = Vec::with_capacity(text.len() * 2);
    // Whether a contraction could begin at the last base character or a mark after it.
    let mut open = false;
    for code in text.chars().map(u32::from) {
        if open && contains(&weights.follows, code) {
            return Err("it holds characters that combine when they are compared");
        }
        let starts = contains(&weights.starts, code);
        open = if contains(&weights.marks, code) { open || starts } else { starts };
        weights.append(code, &mut key).ok_or("it holds a character without a known collation key")?;
    }
    Ok(key)
}

struct Weights {
    /// Sorted by `first`.
    runs: Vec<Run>,
    pool: Vec<u32>,
    /// Code points that a contraction can begin with.
    starts: Vec<(u32, u32)>,
    /// Code points that a contraction can go on with.
    follows: Vec<(u32, u32)>,
    /// Combining marks: a contraction can reach over them.
    marks: Vec<(u32, u32)>,
}

struct Run {
    first: u32,
    last: u32,
    /// The weight grows with the code point.
    rising: bool,
    /// Range of `pool`.
    weights: (u32, u32),
}

fn contains(ranges: &[(u32, u32)], code: u32) -> bool {
    let at = ranges.partition_point(|(_, last)| *last < code);
    ranges.get(at).is_some_and(|(first, _)| *first <= code)
}

impl Weights {
    /// Reads the table; a test reads every line, so that a bad one cannot go unnoticed.
    fn parse(table: &str) -> Self {
        let mut read = Self {
            runs: Vec::new(),
            pool: Vec::new(),
            starts: Vec::new(),
            follows: Vec::new(),
            marks: Vec::new(),
        };
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let (head, rest) = line.split_once(' ').unwrap_or((line, ""));
            match head {
                "starts" => read.starts = parse_ranges(rest),
                "follows" => read.follows = parse_ranges(rest),
                "marks" => read.marks = parse_ranges(rest),
                _ => read.parse_run(head, rest),
            }
        }
        read
    }

    fn parse_run(&mut self, head: &str, rest: &str) {
        let Some((first, last)) = parse_range(head.trim_end_matches(['+', '='])) else { return };
        let begin = self.pool.len() as u32;
        self.pool.extend(rest.split_whitespace().filter_map(|weight| u32::from_str_radix(weight, 16).ok()));
        let weights = (begin, self.pool.len() as u32);
        self.runs.push(Run { first, last, rising: head.ends_with('+'), weights });
    }

    /// Appends the weights of one code point; `None` when they are not known.
    fn append(&self, code: u32, key: &mut Vec<u8>) -> Option<()> {
        if (HANGUL_FIRST..=HANGUL_LAST).contains(&code) {
            return self.append_hangul(code - HANGUL_FIRST, key);
        }
        let run = self.runs.get(self.runs.partition_point(|run| run.last < code))?;
        let rise = code.checked_sub(run.first)? * u32::from(run.rising);
        for weight in &self.pool[run.weights.0 as usize..run.weights.1 as usize] {
            append_weight(weight + rise, key);
        }
        Some(())
    }

    fn append_hangul(&self, syllable: u32, key: &mut Vec<u8>) -> Option<()> {
        let (pair, tail) = (syllable / HANGUL_TAILS, syllable % HANGUL_TAILS);
        self.append(0x1100 + pair / HANGUL_VOWELS, key)?;
        self.append(0x1161 + pair % HANGUL_VOWELS, key)?;
        if tail > 0 { self.append(0x11a7 + tail, key) } else { Some(()) }
    }
}

fn append_weight(weight: u32, key: &mut Vec<u8>) {
    let [_, high, middle, low] = weight.to_be_bytes();
    if weight > 0x7fff {
        key.push(high | 0x80);
    }
    key.extend([middle, low]);
}

fn parse_range(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((u32::from_str_radix(first, 16).ok()?, u32::from_str_radix(last, 16).ok()?))
}

fn parse_ranges(text: &str) -> Vec<(u32, u32)> {
    text.split_whitespace().filter_map(parse_range).collect()
}
