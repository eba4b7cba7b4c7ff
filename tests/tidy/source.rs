//! Reads a Rust file just deeply enough for the rules: comments and literals blanked, functions found.
//! Not a parser: what it cannot see (macros that open braces unevenly) the compiler refuses anyway.

/// A Rust file whose comments and literals are replaced by spaces; lines stay where they are.
pub(crate) struct Source {
    /// The blanked text, line by line.
    pub(crate) lines: Vec<String>,
    /// For each line: it belongs to test code (`#[cfg(test)]` up to the end of that item).
    pub(crate) is_test: Vec<bool>,
    /// The functions that have a body.
    pub(crate) functions: Vec<Function>,
}

/// One function with a body.
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// Line of the `fn` keyword, from 1.
    pub(crate) line: usize,
    /// Lines from the `fn` keyword to the closing brace.
    pub(crate) length: usize,
    /// Parameters without the receiver.
    pub(crate) parameters: usize,
    /// Deepest nesting of `if`, `match`, `for`, `while`, `loop` blocks.
    pub(crate) nesting: usize,
}

impl Source {
    /// Blanks and measures a file's text. `all_test`: the whole file is test code.
    pub(crate) fn read(text: &str, all_test: bool) -> Self {
        let blanked = blank(text);
        let lines: Vec<String> = blanked.lines().map(str::to_owned).collect();
        let is_test = if all_test { vec![true; lines.len()] } else { test_lines(&blanked, lines.len()) };
        let functions = functions(&blanked);
        Self { lines, is_test, functions }
    }

    /// Whether the line (from 1) is test code.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.is_test.get(line - 1).copied().unwrap_or(false)
    }

    /// The blanked text without test code.
    pub(crate) fn code(&self) -> String {
        let kept =
            self.lines.iter().zip(&self.is_test).map(|(line, test)| if *test { "" } else { line.as_str() });
        kept.collect::<Vec<_>>().join("\n")
    }
}

/// Replaces comments, string and character literals by spaces; keeps line breaks and everything else.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at).unwrap_or(at);
        if end == at {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        out.extend(bytes[at..end].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The end of the comment or literal that starts at `at`, if one does.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let after_word = at > 0 && is_word(bytes[at - 1]);
    match rest[0] {
        b'/' if rest.starts_with(b"//") => {
            Some(at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()))
        }
        b'/' if rest.starts_with(b"/*") => Some(block_comment_end(bytes, at)),
        b'"' => Some(quoted_end(bytes, at + 1, b'"')),
        b'b' | b'c' if !after_word && rest.get(1) == Some(&b'"') => Some(quoted_end(bytes, at + 2, b'"')),
        b'b' if !after_word && rest.get(1) == Some(&b'\'') => Some(quoted_end(bytes, at + 2, b'\'')),
        b'r' if !after_word => raw_end(bytes, at + 1),
        b'b' | b'c' if !after_word && rest.get(1) == Some(&b'r') => raw_end(bytes, at + 2),
        b'\'' if is_character(rest) => Some(quoted_end(bytes, at + 1, b'\'')),
        _ => None,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A quote that opens a character, not a lifetime: it closes after one character or an escape.
fn is_character(rest: &[u8]) -> bool {
    let Some(text) = rest.get(1..rest.len().min(8)) else { return false };
    let text = String::from_utf8_lossy(text);
    let mut characters = text.chars();
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}

fn quoted_end(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn raw_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(at + hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let body = at + hashes + 1;
    let length = bytes[body..].windows(close.len()).position(|window| window == close.as_slice());
    Some(length.map_or(bytes.len(), |length| body + length + close.len()))
}

/// Rust's block comments nest.
fn block_comment_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// Marks the lines from each `#[cfg(test)]` to the end of the item that follows.
fn test_lines(blanked: &str, count: usize) -> Vec<bool> {
    let mut marks = vec![false; count];
    let mut from = 0;
    while let Some(found) = blanked[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = item_end(blanked, start + "#[cfg(test)]".len());
        for mark in &mut marks[line_of(blanked, start) - 1..line_of(blanked, end).min(count)] {
            *mark = true;
        }
        from = end;
    }
    marks
}

/// The end of the item at `at`: its closing brace, or the semicolon of one without a body.
fn item_end(blanked: &str, at: usize) -> usize {
    let Some(open) = blanked[at..].find(['{', ';']) else { return blanked.len() };
    let open = at + open;
    if blanked.as_bytes()[open] == b';' { open } else { brace_end(blanked, open) }
}

/// The position of the brace that closes the one at `open`.
fn brace_end(blanked: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in blanked.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    blanked.len().saturating_sub(1)
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Every `fn name … { … }`, closures and functions without a body left out.
fn functions(blanked: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in blanked.match_indices("fn ") {
        if at > 0 && is_word(blanked.as_bytes()[at - 1]) {
            continue;
        }
        let rest = &blanked[at + 3..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let Some(open) = signature_end(blanked, at).filter(|_| !name.is_empty()) else { continue };
        let end = brace_end(blanked, open);
        found.push(Function {
            parameters: parameters(&blanked[at..open]),
            nesting: nesting(&blanked[open + 1..end]),
            line: line_of(blanked, at),
            length: line_of(blanked, end) - line_of(blanked, at) + 1,
            name,
        });
    }
    found
}

/// Where the body's brace is; `None` for a declaration. Semicolons inside brackets (`[u8; 4]`) do not end it.
fn signature_end(blanked: &str, at: usize) -> Option<usize> {
    let mut brackets = 0_i32;
    for (offset, byte) in blanked[at..].bytes().enumerate() {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets -= 1,
            b'{' if brackets == 0 => return Some(at + offset),
            b';' if brackets == 0 => return None,
            _ => {}
        }
        if brackets < 0 {
            return None;
        }
    }
    None
}

/// Counts the parameters of a signature: top-level commas of the first parentheses after the generics.
fn parameters(signature: &str) -> usize {
    let mut depth = 0_i32;
    let mut angle = 0_i32;
    let mut parts = vec![String::new()];
    let mut previous = ' ';
    for c in signature.chars() {
        let arrow = c == '>' && (previous == '-' || previous == '=');
        match c {
            '<' => angle += 1,
            '>' if !arrow => angle -= 1,
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 1 && angle == 0 => parts.push(String::new()),
            _ if depth >= 1 => parts.last_mut().expect("never empty").push(c),
            _ => {}
        }
        previous = c;
        if depth == 0 && c == ')' && angle == 0 {
            break;
        }
    }
    let named = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    named.filter(|part| !is_receiver(part)).count()
}

/// `self`, `&mut self`, `&'a self`, `self: Arc<Self>`.
fn is_receiver(parameter: &str) -> bool {
    let pattern = parameter.split(':').next().unwrap_or_default();
    pattern.split([' ', '&']).next_back() == Some("self")
}

/// The deepest nesting of control blocks in a function's body.
fn nesting(body: &str) -> usize {
    let mut stack = Vec::new();
    let mut deepest = 0;
    let mut word = String::new();
    let mut controls = false;
    for c in body.chars() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        controls |= matches!(word.as_str(), "if" | "else" | "match" | "for" | "while" | "loop");
        word.clear();
        match c {
            '{' => {
                stack.push(controls);
                deepest = deepest.max(stack.iter().filter(|control| **control).count());
                controls = false;
            }
            '}' => {
                stack.pop();
                controls = false;
            }
            ';' => controls = false,
            _ => {}
        }
    }
    deepest
}
