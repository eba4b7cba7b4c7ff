//! The decoder: reads sections out of a document by their tables of keys and collects every fault.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ids::ServerId;

use super::document::{Document, Entry, Node, Tree};
use super::fault::{Fault, Place};
use super::keys::{Key, Section, Shape};
use super::suggest::nearest;
use super::units::{parse_duration, parse_size};

/// Longest value repeated in a message, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// What decoding one file shares: the document and the faults found so far.
pub(crate) struct Decoder<'d> {
    pub(crate) document: &'d Document,
    faults: RefCell<Vec<Fault>>,
}

/// A section of the file, or of defaults only when the file does not have it.
pub(crate) struct Object<'d> {
    decoder: &'d Decoder<'d>,
    section: &'static Section,
    entries: &'d [Entry],
    place: Place,
}

impl<'d> Decoder<'d> {
    pub(crate) fn new(document: &'d Document) -> Self {
        Self { document, faults: RefCell::new(Vec::new()) }
    }

    pub(crate) fn push(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    /// The faults, each once: a section that is read twice reports twice.
    pub(crate) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(Fault::order);
        let mut seen: Vec<Fault> = Vec::with_capacity(faults.len());
        for fault in faults {
            if !seen
                .iter()
                .rev()
                .take_while(|other| other.order() == fault.order())
                .any(|other| *other == fault)
            {
                seen.push(fault);
            }
        }
        seen
    }

    /// The whole file.
    pub(crate) fn root(&'d self, section: &'static Section) -> Object<'d> {
        let root = &self.document.root;
        self.object(root, section, Place::new(&self.document.source, 0..0, ""))
    }

    fn object(&'d self, node: &'d Node, section: &'static Section, place: Place) -> Object<'d> {
        let entries: &[Entry] = match &node.value {
            Tree::Object(entries) => entries,
            other => {
                self.push(place.error(format!("found {}, expected a table", other.kind())));
                return Object { decoder: self, section, entries: &[], place };
            }
        };
        let object = Object { decoder: self, section, entries, place };
        object.report_unknown();
        object.report_missing();
        object
    }

    /// The directory that paths in the file are relative to.
    pub(crate) fn directory(&self) -> &Path {
        self.document.source.file.parent().unwrap_or(Path::new(""))
    }
}

impl<'d> Object<'d> {
    fn report_unknown(&self) {
        for entry in self.entries.iter().filter(|entry| self.section.key(&entry.key).is_none()) {
            let place = self.place_at(&entry.key, entry.key_span.clone());
            let known = self.section.keys.iter().map(|key| key.name);
            let fault = match nearest(&entry.key, known.clone()) {
                Some(word) => place.error("unknown key").meant(Some(word)),
                None => {
                    let known: Vec<_> = known.collect();
                    place.error("unknown key").with_help(format!("known keys here: {}", known.join(", ")))
                }
            };
            self.decoder.push(fault);
        }
    }

    fn report_missing(&self) {
        for key in self.section.keys.iter().filter(|key| key.required && !self.has(key.name)) {
            let doc = key.doc.split_once(". ").map_or(key.doc, |(first, _)| first).trim_end_matches('.');
            let message = format!("`{}` is missing: {doc}", key.name);
            self.decoder.push(self.place.error(message));
        }
    }

    /// The place of the section.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        &self.decoder.document.source.file
    }

    /// The place of a key's value; of the section when the file does not give the key.
    pub(crate) fn place_of(&self, key: &str) -> Place {
        match self.entry(key) {
            Some(entry) => self.place_at(key, entry.node.span.clone()),
            None => self.place.clone(),
        }
    }

    fn place_at(&self, key: &str, span: std::ops::Range<usize>) -> Place {
        let path =
            if self.place.path().is_empty() { key.into() } else { format!("{}.{key}", self.place.path()) };
        Place::new(&self.decoder.document.source, span, path)
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.decoder.push(fault);
    }

    fn entry(&self, key: &str) -> Option<&'d Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Says whether the file gives the key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    fn key(&self, name: &str) -> &'static Key {
        self.section.key(name).expect("the decoder asks only for keys of its table")
    }

    /// Reads a key by `parse`; a value that does not parse is a fault and the default holds.
    fn read<T>(&self, name: &str, parse: impl Fn(&Tree) -> Option<T>) -> Option<T> {
        let key = self.key(name);
        if let Some(entry) = self.entry(name) {
            if let Some(read) = parse(&entry.node.value) {
                return Some(read);
            }
            let place = self.place_at(name, entry.node.span.clone());
            self.fault(wrong_value(&place, &entry.node.value, &key.shape));
        }
        parse(&default_tree(key.default?, &key.shape))
    }

    /// Text; `None` when neither file nor table gives it.
    pub(crate) fn text(&self, name: &str) -> Option<Box<str>> {
        let is_name = matches!(self.key(name).shape, Shape::Name);
        self.read(name, |tree| as_text(tree).filter(|text| !is_name || is_mysql_name(text)).map(Into::into))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        let flag = |tree: &Tree| match tree {
            Tree::Bool(flag) => Some(*flag),
            _ => None,
        };
        self.read(name, flag).unwrap_or_default()
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        let range = match self.key(name).shape {
            Shape::Number(min, max) => min..=max,
            _ => 0..=u64::MAX,
        };
        let number = |tree: &Tree| match tree {
            Tree::Integer(number) => u64::try_from(*number).ok().filter(|number| range.contains(number)),
            _ => None,
        };
        self.read(name, number).unwrap_or_default()
    }

    /// A number whose table bounds it to 32 bits.
    pub(crate) fn number_u32(&self, name: &str) -> u32 {
        u32::try_from(self.number(name)).unwrap_or(u32::MAX)
    }

    pub(crate) fn duration(&self, name: &str) -> Duration {
        let least = match self.key(name).shape {
            Shape::Duration(least_ms) => Duration::from_millis(least_ms),
            _ => Duration::ZERO,
        };
        let duration =
            |tree: &Tree| as_text(tree).and_then(parse_duration).filter(|duration| *duration >= least);
        self.read(name, duration).unwrap_or_default()
    }

    pub(crate) fn size(&self, name: &str) -> u64 {
        let range = match self.key(name).shape {
            Shape::Size(min, max) => min..=max,
            _ => 0..=u64::MAX,
        };
        let size = |tree: &Tree| as_text(tree).and_then(parse_size).filter(|size| range.contains(size));
        self.read(name, size).unwrap_or_default()
    }

    /// One of the words of the table, by its place in the table's list.
    pub(crate) fn choice(&self, name: &str) -> Option<usize> {
        let Shape::Choice(words) = self.key(name).shape else { return None };
        self.read(name, |tree| as_text(tree).and_then(|text| words.iter().position(|word| *word == text)))
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        let text =
            self.read(name, |tree| as_text(tree).filter(|text| !text.is_empty()).map(str::to_owned))?;
        Some(self.decoder.directory().join(text))
    }

    /// A file that must be there.
    pub(crate) fn existing_path(&self, name: &str) -> Option<PathBuf> {
        let path = self.path(name)?;
        if let Err(error) = std::fs::File::open(&path) {
            let message = format!("cannot read `{}`: {error}", path.display());
            self.fault(self.place_of(name).error(message));
        }
        Some(path)
    }

    pub(crate) fn address(&self, name: &str) -> Option<SocketAddr> {
        self.read(name, |tree| as_text(tree).and_then(|text| text.parse().ok()))
    }

    pub(crate) fn server(&self, name: &str) -> Option<ServerId> {
        self.read(name, |tree| as_text(tree).and_then(ServerId::parse))
    }

    /// A list of texts with their places.
    pub(crate) fn texts(&self, name: &str) -> Vec<(&'d str, Place)> {
        let Some(entry) = self.entry(name) else { return Vec::new() };
        let Tree::Array(items) = &entry.node.value else {
            let place = self.place_at(name, entry.node.span.clone());
            self.fault(wrong_value(&place, &entry.node.value, &self.key(name).shape));
            return Vec::new();
        };
        let text = |(at, item): (usize, &'d Node)| {
            let place = self.place_at(&format!("{name}[{at}]"), item.span.clone());
            match as_text(&item.value) {
                Some(text) => Some((text, place)),
                None => {
                    self.fault(wrong_value(&place, &item.value, &Shape::Text));
                    None
                }
            }
        };
        items.iter().enumerate().filter_map(text).collect()
    }

    /// A list of sections.
    pub(crate) fn sections(&self, name: &str) -> Vec<Object<'d>> {
        let Shape::List(Shape::Section(section)) = self.key(name).shape else { return Vec::new() };
        let Some(entry) = self.entry(name) else { return Vec::new() };
        let Tree::Array(items) = &entry.node.value else {
            let place = self.place_at(name, entry.node.span.clone());
            self.fault(wrong_value(&place, &entry.node.value, &self.key(name).shape));
            return Vec::new();
        };
        let object = |(at, item): (usize, &'d Node)| {
            let place = self.place_at(&format!("{name}[{at}]"), item.span.clone());
            self.decoder.object(item, section, place)
        };
        items.iter().enumerate().map(object).collect()
    }

    /// A section; `None` when the file does not give it.
    pub(crate) fn section(&self, name: &str) -> Option<Object<'d>> {
        let entry = self.entry(name)?;
        let Shape::Section(section) = self.key(name).shape else { return None };
        Some(self.child(name, entry, section))
    }

    /// A section; of defaults only when the file does not give it.
    pub(crate) fn section_or_defaults(&self, name: &str) -> Object<'d> {
        self.section(name).unwrap_or_else(|| {
            let Shape::Section(section) = self.key(name).shape else { unreachable!("{name} is a section") };
            let place = self.place_at(name, 0..0);
            Object { decoder: self.decoder, section, entries: &[], place }
        })
    }

    /// Sections under names, with the places of the names.
    pub(crate) fn named(&self, name: &str) -> Vec<(&'d str, Place, Object<'d>)> {
        let Shape::Named(section) = self.key(name).shape else { return Vec::new() };
        let object = |entry: &'d Entry| {
            let path = format!("{name}.{}", quoted(&entry.key));
            (
                entry.key.as_str(),
                self.place_at(&path, entry.key_span.clone()),
                self.child(&path, entry, section),
            )
        };
        self.children(name).iter().map(object).collect()
    }

    /// Texts or sections under names.
    pub(crate) fn named_or_text(&self, name: &str) -> Vec<(&'d str, Place, Result<&'d str, Object<'d>>)> {
        let Shape::NamedOrText(section) = self.key(name).shape else { return Vec::new() };
        let child = |entry: &'d Entry| {
            let path = format!("{name}.{}", quoted(&entry.key));
            let place = self.place_at(&path, entry.key_span.clone());
            match &entry.node.value {
                Tree::Text(text) => (entry.key.as_str(), place, Ok(text.as_str())),
                _ => (entry.key.as_str(), place, Err(self.child(&path, entry, section))),
            }
        };
        self.children(name).iter().map(child).collect()
    }

    /// Texts under names; numbers and flags count as their text.
    pub(crate) fn named_texts(&self, name: &str) -> Vec<(&'d str, Place, String)> {
        let text = |entry: &'d Entry| {
            let place = self.place_at(&format!("{name}.{}", quoted(&entry.key)), entry.node.span.clone());
            match scalar_text(&entry.node.value) {
                Some(text) => Some((entry.key.as_str(), place, text)),
                None => {
                    self.fault(wrong_value(&place, &entry.node.value, &Shape::Text));
                    None
                }
            }
        };
        self.children(name).iter().filter_map(text).collect()
    }

    /// Every given key of the section but these, as text, for parameters.
    pub(crate) fn scalars_except(&self, names: &[&str]) -> Vec<(&'d str, Place, String)> {
        let text = |entry: &'d Entry| {
            let text = scalar_text(&entry.node.value)?;
            Some((entry.key.as_str(), self.place_at(&entry.key, entry.node.span.clone()), text))
        };
        let wanted = |entry: &&'d Entry| {
            !names.contains(&entry.key.as_str()) && self.section.key(&entry.key).is_some()
        };
        self.entries.iter().filter(wanted).filter_map(text).collect()
    }

    fn children(&self, name: &str) -> &'d [Entry] {
        let Some(entry) = self.entry(name) else { return &[] };
        match &entry.node.value {
            Tree::Object(entries) => entries,
            other => {
                let place = self.place_at(name, entry.node.span.clone());
                self.fault(wrong_value(&place, other, &self.key(name).shape));
                &[]
            }
        }
    }

    fn child(&self, path: &str, entry: &'d Entry, section: &'static Section) -> Object<'d> {
        // The key is the better place to point at: a TOML table's own span is its whole body.
        self.decoder.object(&entry.node, section, self.place_at(path, entry.key_span.clone()))
    }
}

fn as_text(tree: &Tree) -> Option<&str> {
    match tree {
        Tree::Text(text) => Some(text),
        _ => None,
    }
}

fn scalar_text(tree: &Tree) -> Option<String> {
    match tree {
        Tree::Text(text) => Some(text.clone()),
        Tree::Integer(number) => Some(number.to_string()),
        Tree::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Says whether text can be the name of a database, table or column.
pub(crate) fn is_mysql_name(text: &str) -> bool {
    let length = text.chars().count();
    let bad = |c: char| c == '\0' || c as u32 > 0xffff;
    (1..=64).contains(&length) && !text.ends_with(' ') && !text.contains(bad)
}

/// The text of a default as the value that the file would hold.
fn default_tree(default: &str, shape: &Shape) -> Tree {
    match shape {
        Shape::Flag => Tree::Bool(default == "true"),
        Shape::Number(..) => Tree::Integer(default.parse().expect("defaults of numbers are numbers")),
        _ => Tree::Text(default.to_owned()),
    }
}

fn wrong_value(place: &Place, found: &Tree, shape: &Shape) -> Fault {
    let expected = shape.expected();
    let right_kind = match shape {
        Shape::Number(..) => matches!(found, Tree::Integer(_)),
        Shape::Flag | Shape::List(_) | Shape::Section(_) | Shape::Named(_) | Shape::Secret => false,
        _ => matches!(found, Tree::Text(_)),
    };
    if !right_kind {
        return place.error(format!("found {}, expected {expected}", found.kind()));
    }
    let shown: String = scalar_text(found).unwrap_or_default().chars().take(SHOWN_CHARS_MAX).collect();
    let fault = place.error(format!("found {shown:?}, expected {expected}"));
    match shape {
        Shape::Choice(words) => fault.meant(nearest(&shown, words.iter().copied())),
        _ => fault,
    }
}

/// A name in a key path, quoted as TOML wants it.
fn quoted(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { name.into() } else { format!("{name:?}") }
}
