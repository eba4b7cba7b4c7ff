//! How many rows the next chunk is to have.

use std::time::Duration;

/// Rows of the first chunk.
const FIRST_ROWS: u64 = 1_000;
/// Rows of a chunk at most.
pub(super) const ROWS_MAX: u64 = 50_000;
/// No chunk is made smaller for its time than so many rows, or so many bytes if those are fewer rows.
const ROWS_MIN: f64 = 200.0;
const BYTES_MIN: f64 = 262_144.0;
/// A chunk grows and shrinks by these factors at most.
const FACTORS: (f64, f64) = (0.25, 2.0);
/// What the smallest chunks took is believed to be every chunk's, up to so many times what one is meant to.
const APART_MAX: f64 = 3.0;
/// This part of a chunk's time is its rows' in any case.
const OF_ROWS_MIN: f64 = 0.1;
/// How much of that is believed after one more chunk.
const KEPT: f64 = 0.99;

/// Sizes chunks by what they took.
///
/// Of that only a part is its rows'. Round trips and a flush are the same for each chunk: on a server whose
/// commits alone take longer than a chunk is meant to, chunks sized by the whole time would come down to
/// single rows, and the copy to a stand. So chunks have a least size, and what those of that size take is not
/// held against larger ones.
#[derive(Clone, Debug)]
pub(super) struct Sizing {
    rows: u64,
    /// What the smallest chunks took of late, seconds.
    apart: f64,
}

impl Default for Sizing {
    fn default() -> Self {
        Self { rows: FIRST_ROWS, apart: 0.0 }
    }
}

impl Sizing {
    /// Rows of the next chunk.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes in what a chunk of so many rows and bytes took, and brings the next ones closer to the bytes and
    /// the time that they are meant to have.
    pub(super) fn note(
        &mut self,
        (rows, bytes, took): (u64, u64, Duration),
        (bytes_meant, time_meant): (u64, Duration),
    ) {
        let (took, meant) = (took.as_secs_f64().max(1e-6), time_meant.as_secs_f64());
        let rows_min = (BYTES_MIN * rows as f64 / bytes.max(1) as f64).clamp(1.0, ROWS_MIN);
        if self.rows as f64 <= rows_min {
            self.apart = took;
        } else {
            self.apart *= KEPT;
        }
        if rows < self.rows / 4 {
            return;
        }
        let now = self.rows as f64;
        let by_bytes = bytes_meant as f64 / bytes.max(1) as f64;
        let of_rows = took - self.apart.min(meant * APART_MAX);
        let by_time = meant / of_rows.max(took * OF_ROWS_MIN);
        let least = rows_min / now;
        let factor = by_bytes.min(by_time.max(least)).clamp(FACTORS.0, FACTORS.1);
        self.rows = ((now * factor) as u64).clamp(1, ROWS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = 4 << 20;

    /// Chunks, one after the other, each taking what `took` says of its rows; gives the sizes.
    fn play(time_meant: Duration, row_bytes: u64, mut took: impl FnMut(u64) -> Duration) -> Vec<u64> {
        let mut sizing = Sizing::default();
        let mut sizes = Vec::new();
        for _ in 0..60 {
            let rows = sizing.rows();
            sizing.note((rows, rows * row_bytes, took(rows)), (BYTES, time_meant));
            sizes.push(sizing.rows());
        }
        sizes
    }

    #[test]
    fn a_chunk_comes_to_the_time_that_it_is_meant_to_take() {
        let sizes = play(Duration::from_millis(100), 100, |rows| Duration::from_micros(20 * rows));
        assert!(sizes[10..].iter().all(|rows| (4_500..=5_500).contains(rows)), "{sizes:?}");
        let sizes = play(Duration::from_millis(800), 8, Duration::from_micros);
        assert_eq!(sizes.last(), Some(&ROWS_MAX));
    }

    #[test]
    fn a_chunk_has_no_more_bytes_than_meant() {
        let sizes = play(Duration::from_millis(100), 1 << 20, |rows| Duration::from_micros(20 * rows));
        assert!(sizes[10..].iter().all(|rows| *rows <= 4), "{sizes:?}");
    }

    #[test]
    fn long_rows_are_kept_to_their_time_too() {
        // 100 KiB each, and half a second for as many as a chunk may have.
        let sizes = play(Duration::from_millis(50), 100 << 10, |rows| Duration::from_millis(12 * rows));
        assert!(sizes[10..].iter().all(|rows| *rows <= 8), "{sizes:?}");
    }

    #[test]
    fn what_is_no_rows_doing_makes_chunks_no_smaller() {
        // Each commit takes twice what a chunk is meant to.
        let meant = Duration::from_millis(50);
        let sizes = play(meant, 100, |rows| Duration::from_micros(100_000 + 20 * rows));
        let mean = sizes[20..].iter().sum::<u64>() / 40;
        assert!((1_000..=4_000).contains(&mean), "{mean}: {sizes:?}");
        assert!(sizes.iter().all(|rows| *rows as f64 >= ROWS_MIN), "{sizes:?}");
        // The same by chance.
        let mut random = 1_u64;
        let sizes = play(meant, 100, |rows| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Duration::from_micros(20 * rows + (random >> 44) % 200_000)
        });
        let mean = sizes[20..].iter().sum::<u64>() / 40;
        assert!(mean >= 200, "{mean}: {sizes:?}");
    }

    #[test]
    fn a_server_that_becomes_slow_gets_smaller_chunks_and_larger_ones_afterwards() {
        let mut sizing = Sizing::default();
        let mut play = |micros_per_row: u64, chunks: usize| {
            for _ in 0..chunks {
                let rows = sizing.rows();
                let took = Duration::from_micros(2_000 + micros_per_row * rows);
                sizing.note((rows, rows * 100, took), (BYTES, Duration::from_millis(100)));
            }
            sizing.rows()
        };
        let before = play(10, 30);
        let slow = play(200, 30);
        let after = play(10, 60);
        assert!(slow < before / 10, "{before} {slow}");
        assert!(after > before / 2, "{before} {after}");
    }

    #[test]
    fn a_chunk_at_the_end_of_a_range_says_little() {
        let mut sizing = Sizing::default();
        sizing.note((100, 100 << 10, Duration::from_secs(9)), (BYTES, Duration::from_millis(100)));
        assert_eq!(sizing.rows(), FIRST_ROWS);
    }
}
