//! One page of the directory: the workspaces whose hash begins with the page's number.
//!
//! Slots are sorted by hash, so a slot is found where its hash says it should be: one or two cache lines
//! instead of a tree's worth, and no empty buckets. A page never changes; an edit makes another one.

use xxhash_rust::xxh3::xxh3_64;

use super::super::WorkspaceState;
use crate::ids::WorkspaceId;

/// Bits of a hash that choose the page.
const PAGE_BITS: u32 = 12;

/// Pages of a directory; at 1,000,000 workspaces a page holds about 244.
pub(super) const PAGES: usize = 1 << PAGE_BITS;

/// Slots walked from the expected place before a binary search takes over.
const WALK_MAX: usize = 48;

/// What a page knows about one workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::topology) struct Slot {
    /// Grows with every change of this workspace.
    pub(in crate::topology) revision: u32,
    /// Index into the directory's shard names.
    pub(in crate::topology) shard: u16,
    /// What the workspace accepts.
    pub(in crate::topology) state: WorkspaceState,
}

/// Contents of one page, as of one version of its key in the store.
#[derive(Clone, Debug, Default)]
pub(in crate::topology) struct Page {
    numbers: Vec<NumberSlot>,
    texts: Vec<TextSlot>,
    /// Version of the key in the store; 0 when the key is absent.
    pub(in crate::topology) version: u64,
    /// Why the stored page cannot be read; then it has no slots.
    pub(in crate::topology) damage: Option<Box<str>>,
}

/// The hash is invertible, so it stands for the number.
#[derive(Clone, Copy, Debug)]
struct NumberSlot {
    hash: u64,
    slot: Slot,
}

#[derive(Clone, Debug)]
struct TextSlot {
    hash: u64,
    text: Box<str>,
    slot: Slot,
}

/// The page that holds `workspace`.
pub(in crate::topology) fn page_of(workspace: &WorkspaceId) -> usize {
    page_of_hash(hash_of(workspace))
}

fn page_of_hash(hash: u64) -> usize {
    usize::try_from(hash >> (u64::BITS - PAGE_BITS)).unwrap_or_default()
}

fn hash_of(workspace: &WorkspaceId) -> u64 {
    match workspace {
        WorkspaceId::Number(number) => mix(*number),
        WorkspaceId::Text(text) => xxh3_64(text.as_bytes()),
    }
}

impl Page {
    /// A page that cannot be read.
    pub(in crate::topology) fn damaged(version: u64, reason: String) -> Self {
        Self { version, damage: Some(reason.into_boxed_str()), ..Self::default() }
    }

    /// The same contents, as of a version of the store's key.
    pub(in crate::topology) fn at_version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// The slot of a workspace.
    pub(in crate::topology) fn get(&self, workspace: &WorkspaceId) -> Option<Slot> {
        match self.locate(workspace) {
            (at, true) => Some(match workspace {
                WorkspaceId::Number(_) => self.numbers[at].slot,
                WorkspaceId::Text(_) => self.texts[at].slot,
            }),
            (_, false) => None,
        }
    }

    /// Sets, or with `None` removes, the slot of a workspace.
    pub(in crate::topology) fn set(&mut self, workspace: &WorkspaceId, slot: Option<Slot>) {
        let (at, found) = self.locate(workspace);
        let hash = hash_of(workspace);
        match (workspace, slot, found) {
            (WorkspaceId::Number(_), Some(slot), true) => self.numbers[at].slot = slot,
            (WorkspaceId::Text(_), Some(slot), true) => self.texts[at].slot = slot,
            (WorkspaceId::Number(_), Some(slot), false) => self.numbers.insert(at, NumberSlot { hash, slot }),
            (WorkspaceId::Text(text), Some(slot), false) => {
                self.texts.insert(at, TextSlot { hash, text: text.clone(), slot });
            }
            (WorkspaceId::Number(_), None, true) => drop(self.numbers.remove(at)),
            (WorkspaceId::Text(_), None, true) => drop(self.texts.remove(at)),
            (_, None, false) => {}
        }
    }

    /// Where the workspace is, or would be inserted.
    fn locate(&self, workspace: &WorkspaceId) -> (usize, bool) {
        let hash = hash_of(workspace);
        match workspace {
            WorkspaceId::Number(_) => {
                let at = first_at_least(&self.numbers, hash, |slot| slot.hash);
                (at, self.numbers.get(at).is_some_and(|slot| slot.hash == hash))
            }
            WorkspaceId::Text(text) => {
                let mut at = first_at_least(&self.texts, hash, |slot| slot.hash);
                while self.texts.get(at).is_some_and(|slot| slot.hash == hash && slot.text < *text) {
                    at += 1;
                }
                (at, self.texts.get(at).is_some_and(|slot| slot.hash == hash && slot.text == *text))
            }
        }
    }

    /// Number of workspaces.
    pub(in crate::topology) fn len(&self) -> usize {
        self.numbers.len() + self.texts.len()
    }

    /// Slots of numeric workspaces, in hash order.
    pub(in crate::topology) fn numbers(&self) -> impl ExactSizeIterator<Item = (u64, Slot)> {
        self.numbers.iter().map(|slot| (unmix(slot.hash), slot.slot))
    }

    /// Slots of the other workspaces, in hash order.
    pub(in crate::topology) fn texts(&self) -> impl ExactSizeIterator<Item = (&str, Slot)> {
        self.texts.iter().map(|slot| (&*slot.text, slot.slot))
    }

    /// Every slot.
    pub(in crate::topology) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.numbers.iter().map(|slot| slot.slot).chain(self.texts.iter().map(|slot| slot.slot))
    }

    /// Every workspace and its slot.
    pub(in crate::topology) fn entries(&self) -> impl Iterator<Item = (WorkspaceId, Slot)> {
        let numbers = self.numbers().map(|(number, slot)| (WorkspaceId::Number(number), slot));
        numbers.chain(self.texts().map(|(text, slot)| (WorkspaceId::Text(text.into()), slot)))
    }

    /// Bytes held on the heap.
    pub(in crate::topology) fn memory_bytes(&self) -> usize {
        let texts: usize = self.texts.iter().map(|slot| heap_block_bytes(slot.text.len())).sum();
        texts
            + heap_block_bytes(self.texts.capacity() * size_of::<TextSlot>())
            + heap_block_bytes(self.numbers.capacity() * size_of::<NumberSlot>())
    }

    /// Gives back what an edit reserved.
    pub(in crate::topology) fn shrink(&mut self) {
        self.numbers.shrink_to_fit();
        self.texts.shrink_to_fit();
    }

    /// Reserves for what a decoder announces.
    pub(in crate::topology) fn reserve(&mut self, numbers: usize, texts: usize) {
        self.numbers.reserve_exact(numbers);
        self.texts.reserve_exact(texts);
    }
}

/// What a general-purpose allocator takes for a block: a header, rounded to 16.
const fn heap_block_bytes(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16) }
}

/// First slot whose hash is not below `hash`.
fn first_at_least<T>(slots: &[T], hash: u64, hash_of: impl Fn(&T) -> u64) -> usize {
    let within_page = u128::from(hash << PAGE_BITS);
    let guess = usize::try_from((within_page * slots.len() as u128) >> u64::BITS).unwrap_or_default();
    let is_below = |at: usize| hash_of(&slots[at]) < hash;
    let mut at = guess;
    for _ in 0..WALK_MAX {
        if at < slots.len() && is_below(at) {
            at += 1;
        } else if at > 0 && !is_below(at - 1) {
            at -= 1;
        } else {
            return at;
        }
    }
    slots.partition_point(|slot| hash_of(slot) < hash)
}

const MIX_1: u64 = 0xbf58_476d_1ce4_e5b9;
const MIX_2: u64 = 0x94d0_49bb_1331_11eb;
const UNMIX_1: u64 = inverse(MIX_1);
const UNMIX_2: u64 = inverse(MIX_2);

/// Spreads a number over all bits, reversibly. **Source**: the finaliser of splitmix64.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(MIX_1);
    let number = (number ^ (number >> 27)).wrapping_mul(MIX_2);
    number ^ (number >> 31)
}

fn unmix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 31) ^ (hash >> 62)).wrapping_mul(UNMIX_2);
    let hash = (hash ^ (hash >> 27) ^ (hash >> 54)).wrapping_mul(UNMIX_1);
    hash ^ (hash >> 30) ^ (hash >> 60)
}

/// The number that multiplies an odd `number` to 1, by Newton's iteration: each step doubles the correct
/// bits.
const fn inverse(number: u64) -> u64 {
    let mut inverse = number;
    let mut correct_bits = 3;
    while correct_bits < u64::BITS {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(number.wrapping_mul(inverse)));
        correct_bits *= 2;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn slot(revision: u32) -> Slot {
        Slot { revision, shard: 1, state: WorkspaceState::Active }
    }

    fn workspaces() -> impl Strategy<Value = WorkspaceId> {
        prop_oneof![
            any::<u64>().prop_map(WorkspaceId::Number),
            (0_u64..200).prop_map(WorkspaceId::Number),
            "[a-c]{1,3}".prop_map(|text| WorkspaceId::parse(&text).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn mixing_is_reversible(number: u64) {
            prop_assert_eq!(unmix(mix(number)), number);
        }

        /// All workspaces go to one page here, which breaks the even spread that the search hopes for.
        #[test]
        fn a_page_behaves_as_a_map(
            edits in prop::collection::vec((workspaces(), any::<Option<u32>>()), 0..300)
        ) {
            let mut page = Page::default();
            let mut model = BTreeMap::new();
            for (workspace, revision) in edits {
                page.set(&workspace, revision.map(slot));
                match revision {
                    Some(revision) => model.insert(workspace, revision),
                    None => model.remove(&workspace),
                };
            }
            prop_assert_eq!(page.len(), model.len());
            for (workspace, revision) in &model {
                prop_assert_eq!(page.get(workspace), Some(slot(*revision)));
            }
            let listed: BTreeMap<_, _> = page.entries().map(|(id, slot)| (id, slot.revision)).collect();
            prop_assert_eq!(listed, model);
            prop_assert_eq!(page.get(&WorkspaceId::parse("absent").unwrap()), None);
        }
    }
}
