//! `multicol`: a part of the keyspace id from each of several columns; a prefix of the columns gives a range.

use smallvec::SmallVec;

use crate::ids::{KeyRange, KeyspaceId};

use super::super::value::Value;
use super::params::{ParamFault, Params};
use super::{Function, Mapped, Vindex, VindexError};

/// Most columns of a multi-column vindex.
const COLUMNS_MAX: usize = 8;
/// Bytes of a keyspace id that the columns share.
const ID_BYTES: usize = 8;

/// The parts, in the columns' order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MultiCol {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    function: Function,
    bytes: usize,
}

impl MultiCol {
    pub(super) fn try_new(params: &mut Params<'_>) -> Result<Self, ParamFault> {
        let count = params
            .take("column_count")
            .ok_or_else(|| ParamFault::of("column_count", "multicol needs `column_count`, from 1 to 8"))?;
        let count: usize =
            count.trim().parse().ok().filter(|count| (1..=COLUMNS_MAX).contains(count)).ok_or_else(|| {
                ParamFault::of("column_count", format!("`{count}` is not a number from 1 to 8"))
            })?;
        let bytes = column_bytes(params.take("column_bytes"), count)?;
        let functions = column_functions(params.take("column_vindex"), count)?;
        let parts = functions.into_iter().zip(bytes).map(|(function, bytes)| Part { function, bytes });
        Ok(Self { parts: parts.collect() })
    }

    pub(super) fn column_count(&self) -> usize {
        self.parts.len()
    }

    pub(super) fn cost(&self) -> u32 {
        let cost = |part: &Part| Vindex { function: part.function.clone(), params: Vec::new() }.cost();
        self.parts.iter().map(cost).sum()
    }

    pub(super) fn map(&self, values: &[Value<'_>]) -> Result<Mapped, VindexError> {
        if values.is_empty() || values.len() > self.parts.len() {
            let (takes, found) = (self.parts.len(), values.len());
            return Err(VindexError::ColumnCount { vindex: "multicol", takes, found });
        }
        let mut id: SmallVec<[u8; ID_BYTES]> = SmallVec::new();
        let mut begin = 0;
        for (part, value) in self.parts.iter().zip(values) {
            let hashed = part.function.hash(value)?;
            id.resize(begin, 0);
            id.extend(hashed.as_bytes().iter().copied().take(part.bytes));
            begin += part.bytes;
        }
        if values.len() < self.parts.len() {
            return Ok(Mapped::Range(range_of_prefix(&id)));
        }
        Ok(Mapped::KeyspaceId(KeyspaceId::new(&id)))
    }
}

/// Every keyspace id that begins with `prefix`.
fn range_of_prefix(prefix: &[u8]) -> KeyRange {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    // Vitess keeps the length of the prefix: 40ff becomes 4100.
    if !end.is_empty() {
        end.resize(prefix.len(), 0);
    }
    KeyRange { start: prefix.to_vec(), end }
}

/// Bytes of each column: as given, and the rest shared among the others, earlier columns getting more.
fn column_bytes(text: Option<&str>, count: usize) -> Result<Vec<usize>, ParamFault> {
    let fault = |why: String| ParamFault::of("column_bytes", why);
    let given: Vec<&str> = text.map(|text| text.split(',').collect()).unwrap_or_default();
    if given.len() > count {
        return Err(fault(format!("{} numbers for {count} columns", given.len())));
    }
    let mut bytes: Vec<Option<usize>> = vec![None; count];
    for (at, number) in given.iter().map(|number| number.trim()).enumerate() {
        if !number.is_empty() {
            let read = number.parse().ok().filter(|bytes| (1..=ID_BYTES).contains(bytes));
            bytes[at] = Some(read.ok_or_else(|| fault(format!("`{number}` is not a number from 1 to 8")))?);
        }
    }
    let mut open = bytes.iter().filter(|bytes| bytes.is_none()).count();
    let used: usize = bytes.iter().flatten().sum();
    let mut left = ID_BYTES
        .checked_sub(used)
        .filter(|left| *left >= open)
        .ok_or_else(|| fault("a keyspace id has 8 bytes, and every column needs at least one".into()))?;
    let mut share = |bytes: Option<usize>| {
        bytes.unwrap_or_else(|| {
            let part = left.div_ceil(open);
            left -= part;
            open -= 1;
            part
        })
    };
    Ok(bytes.into_iter().map(&mut share).collect())
}

fn column_functions(text: Option<&str>, count: usize) -> Result<Vec<Function>, ParamFault> {
    let given: Vec<&str> = text.map(|text| text.split(',').map(str::trim).collect()).unwrap_or_default();
    if given.len() > count {
        return Err(ParamFault::of("column_vindex", format!("{} types for {count} columns", given.len())));
    }
    let function = |at: usize| {
        let kind = given.get(at).copied().filter(|kind| !kind.is_empty()).unwrap_or("hash");
        Function::hashing(kind).ok_or_else(|| {
            ParamFault::of("column_vindex", format!("`{kind}` is not a vindex type that hashes one column"))
        })
    };
    (0..count).map(function).collect()
}
