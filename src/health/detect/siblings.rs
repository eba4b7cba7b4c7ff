//! A cluster among the others: does it stand out, or do they all look the same?
//!
//! Leave-one-out median and median absolute deviation. With five clusters a test by mean and standard
//! deviation cannot work: the one that is sick widens the deviation that it is measured by, to at most two.

use super::facts::Standing;

/// Of so many siblings something must be known before a cluster can stand out.
const SIBLINGS_MIN: usize = 2;
/// Deviations above the median that stand out: 1.4826 makes the median absolute deviation a standard
/// deviation of normal noise, and six of those do not come up in years.
const DEVIATIONS: f64 = 6.0 * 1.4826;
/// Less than this above the median never stands out, as identical siblings have no deviation at all.
const ABOVE_MIN: f64 = 0.08;
/// A cluster, and the median of its siblings, are in trouble from this value on.
const TROUBLED: f64 = 0.15;
/// And look the same when their median is at least this part of one's own value.
const ALIKE_PART: f64 = 0.5;

/// What a cluster's siblings say of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) standing: Standing,
    /// The value from which on it stands out; absent with too few siblings.
    pub(super) stands_out_from: Option<f64>,
}

/// Compares each value with all others. **Shape**: values from 0 (well) to 1; absent: nothing is known. The
/// answers are in the values' order.
pub(super) fn compare(values: &[Option<f64>]) -> Vec<Comparison> {
    let mut others = Vec::with_capacity(values.len());
    (0..values.len()).map(|own| compare_one(values, own, &mut others)).collect()
}

fn compare_one(values: &[Option<f64>], own: usize, others: &mut Vec<f64>) -> Comparison {
    others.clear();
    others.extend(values.iter().enumerate().filter(|(at, _)| *at != own).filter_map(|(_, value)| *value));
    let Some(middle) = median(others) else {
        return Comparison { standing: Standing::Unknown, stands_out_from: None };
    };
    let own = values[own].unwrap_or_default();
    let is_known = others.len() >= SIBLINGS_MIN;
    others.iter_mut().for_each(|value| *value = (*value - middle).abs());
    let spread = median(others).unwrap_or_default();
    let from = middle + (DEVIATIONS * spread).max(ABOVE_MIN);
    let is_troubled = own >= TROUBLED && middle >= TROUBLED;
    let standing = if is_troubled && middle >= own * ALIKE_PART {
        Standing::Alike
    } else if is_known && own >= from {
        Standing::StandsOut
    } else {
        Standing::Unknown
    };
    Comparison { standing, stands_out_from: is_known.then_some(from) }
}

/// The upper median of an even number: two sick siblings of four are as many as are well.
fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}
