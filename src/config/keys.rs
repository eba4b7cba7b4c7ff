//! Tables of keys: the one source for the decoder, the reference in `docs/config.md` and the JSON schemas.

/// What a key's value looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A name of MySQL: 1 to 64 characters.
    Name,
    /// `true` or `false`.
    Flag,
    /// A whole number of this range.
    Number(u64, u64),
    /// `250ms`, `10s`; with a least value in milliseconds.
    Duration(u64),
    /// `64MiB`, in this range of bytes.
    Size(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A file or directory, relative to the file that names it.
    Path,
    /// `address:port` to listen on.
    Address,
    /// `host:port` of a MySQL server.
    Server,
    /// A list.
    List(&'static Shape),
    /// A section of its own.
    Section(&'static Section),
    /// Sections under names of the admin's choice.
    Named(&'static Section),
    /// The same, and text as the short form of a section with only its first key.
    NamedOrText(&'static Section),
    /// Text under names of the admin's choice.
    NamedText,
    /// Anything; Bulkhead does not look at it.
    Anything,
}

/// A key of a section.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) default: Option<&'static str>,
    pub(crate) required: bool,
    pub(crate) doc: &'static str,
}

impl Key {
    pub(crate) const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, default: None, required: false, doc }
    }

    /// Gives the value that holds when the file does not give the key.
    pub(crate) const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// Keys that stand together.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
}

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Shape {
    /// What is expected, for messages and the reference.
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Text | Self::Secret => "text".into(),
            Self::Name => "a name of 1 to 64 characters".into(),
            Self::Flag => "true or false".into(),
            Self::Number(0, u64::MAX) => "a whole number".into(),
            Self::Number(min, max) => format!("a whole number from {min} to {max}"),
            Self::Duration(0) => {
                "a duration such as \"250ms\", \"10s\", \"5m\", \"8h\" (\"0s\": none)".into()
            }
            Self::Duration(_) => "a duration above zero such as \"250ms\", \"10s\", \"5m\", \"8h\"".into(),
            Self::Size(min, max) => {
                format!("a size from {} to {}, such as \"64MiB\"", size_text(*min), size_text(*max))
            }
            Self::Choice(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("one of {}", words.join(", "))
            }
            Self::Path => "a path".into(),
            Self::Address => "an address and port such as \"127.0.0.1:3307\"".into(),
            Self::Server => "a host and port such as \"db1.example:3306\"".into(),
            Self::List(item) => format!("a list, each {}", item.expected()),
            Self::Section(_) => "a table".into(),
            Self::Named(_) => "a table of tables".into(),
            Self::NamedOrText(_) => "a table, each value text or a table".into(),
            Self::NamedText => "a table of texts".into(),
            Self::Anything => "anything".into(),
        }
    }
}

/// A size as a file would give it.
pub(super) fn size_text(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(factor, _)| bytes >= *factor && bytes.is_multiple_of(*factor)) {
        Some((factor, unit)) => format!("{}{unit}", bytes / factor),
        None => format!("{bytes}B"),
    }
}
