//! The stored form of a directory page.
//!
//! **Shape**, all numbers little-endian: `BHDP`, format version (1 byte); shard names (count u16, each:
//! length u16, bytes); numeric workspaces (count u32, each: number u64, slot); other workspaces (count u32,
//! each: length u8, bytes, slot); XXH3-64 of everything before. A slot is shard (u16, index into the page's
//! own names), state (u8), revision (u32). The page carries its own shard names, so that it can be read
//! alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use xxhash_rust::xxh3::xxh3_64;

use super::super::WorkspaceState;
use super::page::{Page, Slot, page_of};
use super::shards::ShardTable;
use crate::ids::{ShardName, WorkspaceId};

const MAGIC: &[u8; 4] = b"BHDP";
const FORMAT: u8 = 1;
const SUM_BYTES: usize = 8;
const NUMBER_SLOT_BYTES: usize = 15;

/// Writes a page.
pub(super) fn encode(page: &Page, shards: &ShardTable) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + page.len() * (NUMBER_SLOT_BYTES + 8));
    out.extend_from_slice(MAGIC);
    out.push(FORMAT);
    let local = write_shard_names(page, shards, &mut out);
    write_count(page.numbers().len(), &mut out);
    for (number, slot) in page.numbers() {
        out.extend_from_slice(&number.to_le_bytes());
        write_slot(slot, &local, &mut out);
    }
    write_count(page.texts().len(), &mut out);
    for (text, slot) in page.texts() {
        // A workspace id has at most WORKSPACE_ID_BYTES_MAX = 128 bytes.
        out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(text.as_bytes());
        write_slot(slot, &local, &mut out);
    }
    let sum = xxh3_64(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn write_shard_names(page: &Page, shards: &ShardTable, out: &mut Vec<u8>) -> HashMap<u16, u16> {
    let mut local: HashMap<u16, u16> = HashMap::new();
    let mut names = Vec::new();
    for slot in page.slots() {
        let next = u16::try_from(local.len()).unwrap_or(u16::MAX);
        if let Entry::Vacant(vacant) = local.entry(slot.shard) {
            vacant.insert(next);
            names.push(shards.name(slot.shard));
        }
    }
    out.extend_from_slice(&u16::try_from(names.len()).unwrap_or(u16::MAX).to_le_bytes());
    for name in names {
        let bytes = name.as_str().as_bytes();
        out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(bytes);
    }
    local
}

fn write_slot(slot: Slot, local: &HashMap<u16, u16>, out: &mut Vec<u8>) {
    let shard = local.get(&slot.shard).copied().unwrap_or(u16::MAX);
    out.extend_from_slice(&shard.to_le_bytes());
    out.push(slot.state.number());
    out.extend_from_slice(&slot.revision.to_le_bytes());
}

/// Reads a page.
///
/// # Errors
/// What is wrong, in words, when the bytes are not exactly what [`encode`] makes for page `number`.
pub(super) fn decode(bytes: &[u8], number: usize, shards: &ShardTable) -> Result<Page, String> {
    let (body, sum) = bytes.split_last_chunk::<SUM_BYTES>().ok_or("it is cut short")?;
    let Some(rest) = body.strip_prefix(MAGIC) else {
        return Err("it is not a directory page".to_owned());
    };
    match rest.first() {
        Some(&FORMAT) => {}
        Some(other) => return Err(format!("its format version is {other}, this program reads {FORMAT}")),
        None => return Err("it is cut short".to_owned()),
    }
    if xxh3_64(body) != u64::from_le_bytes(*sum) {
        return Err("its checksum is wrong".to_owned());
    }
    let mut reader = Reader { rest: &rest[1..] };
    let page = read_page(&mut reader, number, shards)?;
    if reader.rest.is_empty() { Ok(page) } else { Err("it has bytes after its end".to_owned()) }
}

fn read_page(reader: &mut Reader<'_>, number: usize, shards: &ShardTable) -> Result<Page, String> {
    let mut codes = Vec::new();
    for _ in 0..u16::from_le_bytes(reader.array()?) {
        let length = u16::from_le_bytes(reader.array()?);
        let name = reader.text(usize::from(length))?;
        codes.push(shards.intern(&ShardName::new(name)).ok_or("it names too many shards")?);
    }
    let mut page = Page::default();
    let numbers = reader.count(NUMBER_SLOT_BYTES)?;
    page.reserve(numbers, 0);
    for _ in 0..numbers {
        let workspace = WorkspaceId::Number(u64::from_le_bytes(reader.array()?));
        add(&mut page, number, &workspace, reader.slot(&codes)?)?;
    }
    let texts = reader.count(NUMBER_SLOT_BYTES - 7)?;
    page.reserve(0, texts);
    for _ in 0..texts {
        let [length] = reader.array()?;
        let text = reader.text(usize::from(length))?;
        let workspace = WorkspaceId::parse(text).filter(|id| matches!(id, WorkspaceId::Text(_)));
        let workspace = workspace.ok_or("it holds a workspace id that is none")?;
        add(&mut page, number, &workspace, reader.slot(&codes)?)?;
    }
    Ok(page)
}

fn add(page: &mut Page, number: usize, workspace: &WorkspaceId, slot: Slot) -> Result<(), String> {
    if page_of(workspace) != number {
        return Err(format!("it holds workspace {workspace}, which belongs to page {}", page_of(workspace)));
    }
    if page.get(workspace).is_some() {
        return Err(format!("it holds workspace {workspace} twice"));
    }
    page.set(workspace, Some(slot));
    Ok(())
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or("it is cut short")?;
        self.rest = rest;
        Ok(*head)
    }

    fn text(&mut self, bytes: usize) -> Result<&'a str, String> {
        let (head, rest) = self.rest.split_at_checked(bytes).ok_or("it is cut short")?;
        self.rest = rest;
        std::str::from_utf8(head).map_err(|_| "it holds a name that is not UTF-8".to_owned())
    }

    /// A count of items of at least `bytes_min` each; never more than what is left can hold.
    fn count(&mut self, bytes_min: usize) -> Result<usize, String> {
        let count = usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        if count > self.rest.len() / bytes_min { Err("it is cut short".to_owned()) } else { Ok(count) }
    }

    fn slot(&mut self, codes: &[u16]) -> Result<Slot, String> {
        let shard = usize::from(u16::from_le_bytes(self.array()?));
        let shard = *codes.get(shard).ok_or("it names a shard that it does not list")?;
        let [state] = self.array()?;
        let state = WorkspaceState::from_number(state).ok_or("it holds an unknown state")?;
        Ok(Slot { revision: u32::from_le_bytes(self.array()?), shard, state })
    }
}
