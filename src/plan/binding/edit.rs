//! Edited texts: byte spans of the client's own text replaced, never a printed tree.

use crate::error::Code;
use crate::sql::{Lexer, Span, TokenKind};

use super::Bound;
use super::destination::{Address, Piece, PieceText};
use crate::plan::Refusal;

/// Most pieces of one split INSERT.
const PIECES_MAX: usize = 1024;

/// A stretch of text and what stands there instead.
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: Vec<u8>,
}

/// The spans of tokens by their numbers, which ascend.
pub(super) fn token_spans(bound: &Bound<'_>, numbers: &[u32]) -> Vec<Span> {
    let mut lexer = Lexer::at(bound.text, bound.scan.body.start as usize, bound.mode);
    let mut spans = Vec::with_capacity(numbers.len());
    let mut number = 0u32;
    for wanted in numbers {
        loop {
            let token = lexer.next_token();
            if token.kind == TokenKind::End {
                return spans;
            }
            number += 1;
            if number - 1 == *wanted {
                spans.push(token.span);
                break;
            }
        }
    }
    spans
}

/// The statement's text with the edits made.
pub(super) fn apply_edits(bound: &Bound<'_>, mut edits: Vec<Edit>) -> PieceText {
    edits.sort_by_key(|edit| edit.start);
    let end = bound.scan.body.end as usize;
    let mut text = Vec::with_capacity(end);
    let mut at = 0;
    for edit in edits.iter().filter(|edit| edit.end <= end) {
        text.extend_from_slice(&bound.text[at..edit.start]);
        text.extend_from_slice(&edit.text);
        at = edit.end;
    }
    text.extend_from_slice(&bound.text[at..end]);
    text
}

/// A name as a string literal that means the same in every SQL mode.
pub(super) fn quoted_string(name: &str) -> Vec<u8> {
    crate::sql::quote::string(name).into_bytes()
}

/// The texts of a split INSERT: for each address, the statement with only its rows, in their order.
pub(super) fn split_insert(
    tokens: &[(u32, u32)],
    addresses: Vec<Address>,
    bound: &Bound<'_>,
) -> Result<Vec<Piece>, Refusal> {
    let numbers: Vec<u32> = tokens.iter().flat_map(|(open, close)| [*open, *close]).collect();
    let spans = token_spans(bound, &numbers);
    let rows: Vec<Span> = spans.chunks_exact(2).map(|pair| pair[0].to(pair[1])).collect();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Err(Refusal::because(Code::Internal, "the rows of an INSERT were lost"));
    };
    if rows.len() != addresses.len() {
        return Err(Refusal::because(Code::Internal, "the rows of an INSERT were lost"));
    }
    let mut pieces: Vec<(Address, Vec<Span>)> = Vec::new();
    for (address, row) in addresses.into_iter().zip(&rows) {
        match pieces.iter_mut().find(|(known, _)| *known == address) {
            Some((_, rows)) => rows.push(*row),
            None => pieces.push((address, vec![*row])),
        }
        if pieces.len() > PIECES_MAX {
            let detail = format!("rows of more than {PIECES_MAX} workspaces");
            return Err(Refusal::because(Code::StatementTooComplex, detail));
        }
    }
    let head = Span::new(0, first.start as usize);
    let tail = Span::new(last.end as usize, bound.scan.body.end as usize);
    Ok(pieces.into_iter().map(|(address, rows)| piece(address, head, &rows, tail, bound)).collect())
}

fn piece(address: Address, head: Span, rows: &[Span], tail: Span, bound: &Bound<'_>) -> Piece {
    let mut text = head.of(bound.text).to_vec();
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(row.of(bound.text));
    }
    text.extend_from_slice(tail.of(bound.text));
    let parts = [head].into_iter().chain(rows.iter().copied()).chain([tail]);
    let params = parts.flat_map(|part| params_in(part, bound)).collect();
    Piece { address, text, params }
}

/// The numbers of the parameters in a stretch of the text.
fn params_in(part: Span, bound: &Bound<'_>) -> std::ops::Range<u16> {
    let before = |offset: u32| bound.scan.placeholders.partition_point(|at| *at < offset) as u16;
    before(part.start)..before(part.end)
}
