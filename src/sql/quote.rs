//! The quoting helper: all SQL that Bulkhead builds passes names and values through here.

/// A name in backticks, safe in every sql_mode.
pub fn identifier(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('`');
    for ch in name.chars() {
        if ch == '`' {
            quoted.push('`');
        }
        quoted.push(ch);
    }
    quoted.push('`');
    quoted
}

/// A string value that means the same with and without NO_BACKSLASH_ESCAPES: plain quotes when it holds no
/// backslash, else UTF-8 bytes in hexadecimal.
pub fn string(value: &str) -> String {
    if value.contains('\\') {
        let mut quoted = String::with_capacity(value.len() * 2 + 12);
        quoted.push_str("_utf8mb4 x'");
        value.bytes().for_each(|byte| quoted.push_str(&format!("{byte:02x}")));
        quoted.push('\'');
        return quoted;
    }
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled_and_backslashes_hidden() {
        assert_eq!(identifier("a`b"), "`a``b`");
        assert_eq!(string("it's"), "'it''s'");
        assert_eq!(string("a\\"), "_utf8mb4 x'615c'");
    }
}
