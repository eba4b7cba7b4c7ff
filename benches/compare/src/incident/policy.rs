//! Bulkhead's configuration of what it may do by itself. Pure.

use super::record::Protection;

/// The section of the main configuration.
pub fn ladder(may: Protection) -> &'static str {
    match may {
        Protection::Off => {
            "[ladder]\ncontain = \"off\"\nlimit = \"off\"\ndrain = \"off\"\nfailover = \"off\"\n"
        }
        // As it comes.
        Protection::Drain => "",
        Protection::FailOver => "[ladder]\nfailover = \"act\"\n",
    }
}
