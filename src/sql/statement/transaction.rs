//! BEGIN, COMMIT, ROLLBACK, savepoints, XA.

use super::cursor::Cursor;
use super::{Completion, Parsed, TransactionStatement, Unread, XaStatement};
use crate::sql::lexer::TokenKind;

pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    let statement = if cursor.eat("BEGIN") {
        cursor.eat("WORK");
        TransactionStatement::Begin { consistent_snapshot: false, read_only: None }
    } else if cursor.eat_words(&["START", "TRANSACTION"]) {
        read_start(cursor)?
    } else if cursor.eat("COMMIT") {
        cursor.eat("WORK");
        TransactionStatement::Commit(read_completion(cursor))
    } else if cursor.eat("ROLLBACK") {
        cursor.eat("WORK");
        if cursor.eat("TO") {
            cursor.eat("SAVEPOINT");
            TransactionStatement::RollbackTo(cursor.name()?)
        } else {
            TransactionStatement::Rollback(read_completion(cursor))
        }
    } else if cursor.eat("SAVEPOINT") {
        TransactionStatement::Savepoint(cursor.name()?)
    } else if cursor.eat_words(&["RELEASE", "SAVEPOINT"]) {
        TransactionStatement::ReleaseSavepoint(cursor.name()?)
    } else {
        return cursor.fail("a transaction statement was expected");
    };
    cursor.expect_end()?;
    Ok(Parsed::Transaction(statement))
}

fn read_start(cursor: &mut Cursor<'_>) -> Result<TransactionStatement, Unread> {
    let (mut consistent_snapshot, mut read_only) = (false, None);
    while !cursor.is_done() {
        if cursor.eat_words(&["WITH", "CONSISTENT", "SNAPSHOT"]) {
            consistent_snapshot = true;
        } else if cursor.eat_words(&["READ", "ONLY"]) {
            read_only = Some(true);
        } else if cursor.eat_words(&["READ", "WRITE"]) {
            read_only = Some(false);
        } else {
            return cursor.fail("an option of START TRANSACTION was expected");
        }
        if !cursor.eat_kind(TokenKind::Comma) {
            break;
        }
    }
    Ok(TransactionStatement::Begin { consistent_snapshot, read_only })
}

fn read_completion(cursor: &mut Cursor<'_>) -> Completion {
    let mut completion = Completion::default();
    if cursor.eat("AND") {
        let no = cursor.eat("NO");
        completion.chain = cursor.eat("CHAIN").then_some(!no);
    }
    let no = cursor.eat("NO");
    completion.release = cursor.eat("RELEASE").then_some(!no);
    completion
}

pub(super) fn read_xa(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    cursor.eat("XA");
    let verb = cursor.next();
    let verb = match verb.span.of(cursor.text).to_ascii_uppercase().as_slice() {
        b"START" | b"BEGIN" => XaStatement::Start,
        b"END" => XaStatement::End,
        b"PREPARE" => XaStatement::Prepare,
        b"COMMIT" => {
            cursor.skip_until(|cursor| cursor.is("ONE"));
            XaStatement::Commit { one_phase: cursor.eat_words(&["ONE", "PHASE"]) }
        }
        b"ROLLBACK" => XaStatement::Rollback,
        b"RECOVER" => XaStatement::Recover,
        _ => return cursor.fail("an XA verb was expected"),
    };
    Ok(Parsed::Xa(verb))
}
