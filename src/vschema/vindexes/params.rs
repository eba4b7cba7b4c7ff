//! Parameters of a vindex: text by name, each used or reported.

use std::collections::BTreeMap;
use std::path::Path;

/// What is wrong with a vindex's type or parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParamFault {
    /// The parameter; `None` for the type.
    pub(crate) param: Option<Box<str>>,
    /// One sentence.
    pub(crate) why: String,
}

impl ParamFault {
    pub(crate) fn of(param: &str, why: impl Into<String>) -> Self {
        Self { param: Some(param.into()), why: why.into() }
    }

    pub(super) fn unknown_type(kind: &str) -> Self {
        Self { param: None, why: format!("unknown vindex type `{kind}`") }
    }
}

/// Reads a file that a parameter names.
pub(crate) type ReadFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<String>;

/// The parameters of one vindex.
pub(crate) struct Params<'a> {
    values: BTreeMap<&'a str, &'a str>,
    used: Vec<&'a str>,
    read_file: Option<ReadFile<'a>>,
}

impl<'a> Params<'a> {
    pub(crate) fn new(values: impl IntoIterator<Item = (&'a str, &'a str)>, read_file: ReadFile<'a>) -> Self {
        Self { values: values.into_iter().collect(), used: Vec::new(), read_file: Some(read_file) }
    }

    pub(super) fn none() -> Self {
        Self { values: BTreeMap::new(), used: Vec::new(), read_file: None }
    }

    /// The value of a parameter, which counts as used.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a str> {
        let value = self.values.get(name).copied();
        if value.is_some() {
            self.used.push(name);
        }
        value
    }

    pub(super) fn read(&self, name: &str, path: &str) -> Result<String, ParamFault> {
        let read = self.read_file.ok_or_else(|| ParamFault::of(name, "no file can be read here"))?;
        read(Path::new(path)).map_err(|error| ParamFault::of(name, format!("cannot read `{path}`: {error}")))
    }

    /// All parameters, to show.
    pub(super) fn kept(&self) -> Vec<(Box<str>, Box<str>)> {
        self.values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    /// The parameters that nothing used.
    pub(crate) fn unused(&self) -> Vec<&'a str> {
        self.values.keys().copied().filter(|name| !self.used.contains(name)).collect()
    }
}
