//! The payload of COM_STMT_EXECUTE: read from the client, written for a server connection that may not have
//! been told the parameter types yet, or that does not take query attributes.

use std::borrow::Cow;

use crate::plan::ParamValues;
use crate::protocol::binary::Value;
use crate::protocol::capability::Capabilities;
use crate::protocol::codec::Cursor;
use crate::protocol::command::{PARAMETER_COUNT_AVAILABLE, StmtExecute, code};
use crate::protocol::errors::ProtocolError;
use crate::vschema;

use crate::session::prepared::Execution;

/// The parts of an execution, as the client sent them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Sections<'a> {
    /// Parameters, query attributes included.
    pub sent: usize,
    /// One bit each.
    pub nulls: &'a [u8],
    /// Types, two bytes each, with names behind them if the client sends names; absent when as before.
    pub types: Option<&'a [u8]>,
    /// Values.
    pub values: &'a [u8],
}

impl<'a> Sections<'a> {
    /// Reads an execution of a statement with `count` parameters.
    ///
    /// # Errors
    /// The packet ends early.
    pub(in crate::session) fn read(
        execute: &StmtExecute<'a>,
        count: usize,
        capabilities: Capabilities,
    ) -> Result<Self, ProtocolError> {
        let named = capabilities.contains(Capabilities::QUERY_ATTRIBUTES);
        let mut cursor = Cursor::new(execute.raw);
        let mut sent = count;
        if named && execute.flags & PARAMETER_COUNT_AVAILABLE != 0 {
            let said = cursor.lenenc("parameter count")?;
            sent = usize::try_from(said).map_err(|_| ProtocolError::Malformed { what: "parameter count" })?;
        }
        if sent == 0 {
            return Ok(Self::default());
        }
        let nulls = cursor.take(sent.div_ceil(8), "parameter NULL bits")?;
        let is_new = cursor.u8("new parameters flag")? == 1;
        let before = cursor.rest();
        let mut cursor = Cursor::new(before);
        if is_new {
            for _ in 0..sent {
                cursor.take(2, "parameter type")?;
                if named {
                    cursor.lenenc_bytes("parameter name")?;
                }
            }
        }
        let values = cursor.rest();
        let types = is_new.then(|| &before[..before.len() - values.len()]);
        Ok(Self { sent, nulls, types, values })
    }
}

/// The payload for a server connection. Types are always sent: the connection may have run the statement with
/// others, for another session.
///
/// # Errors
/// Query attributes for a server that takes none.
pub(in crate::session) fn payload(
    execution: &Execution<'_>,
    server_id: u32,
    client: Capabilities,
    server: Capabilities,
) -> Result<Vec<u8>, ProtocolError> {
    let (execute, sections) = (&execution.execute, &execution.sections);
    let client_names = client.contains(Capabilities::QUERY_ATTRIBUTES);
    let server_names = server.contains(Capabilities::QUERY_ATTRIBUTES);
    let count = usize::from(execution.statement.params);
    if sections.sent > count && !server_names {
        return Err(ProtocolError::Malformed { what: "query attributes" });
    }
    let flags = if server_names { execute.flags } else { execute.flags & !PARAMETER_COUNT_AVAILABLE };
    let mut out = Vec::with_capacity(execute.raw.len() + execution.statement.raw_types.len() + 16);
    out.push(code::STMT_EXECUTE);
    out.extend_from_slice(&server_id.to_le_bytes());
    out.push(flags);
    out.extend_from_slice(&1u32.to_le_bytes());
    if flags & PARAMETER_COUNT_AVAILABLE != 0 {
        crate::protocol::codec::put_lenenc(&mut out, sections.sent as u64);
    }
    if sections.sent == 0 {
        return Ok(out);
    }
    out.extend_from_slice(sections.nulls);
    out.push(1);
    out.extend_from_slice(&types_for(&execution.statement.raw_types, client_names, server_names)?);
    out.extend_from_slice(sections.values);
    Ok(out)
}

/// Parameter types as the server reads them: it looks for names exactly if it takes query attributes.
fn types_for(raw: &[u8], client_names: bool, server_names: bool) -> Result<Cow<'_, [u8]>, ProtocolError> {
    if client_names == server_names {
        return Ok(Cow::Borrowed(raw));
    }
    let mut cursor = Cursor::new(raw);
    let mut types = Vec::with_capacity(raw.len() * 2);
    while !cursor.is_empty() {
        types.extend_from_slice(cursor.take(2, "parameter type")?);
        if client_names {
            cursor.lenenc_bytes("parameter name")?;
        } else {
            // The empty name.
            types.push(0);
        }
    }
    Ok(Cow::Owned(types))
}

/// Parameters as routing sees them.
pub(in crate::session) struct Values<'a>(pub &'a [Value<'a>]);

impl ParamValues for Values<'_> {
    fn value(&self, index: usize) -> Option<vschema::Value<'_>> {
        Some(match *self.0.get(index)? {
            Value::Null => vschema::Value::Null,
            Value::Int(number) => vschema::Value::Int(number),
            Value::Uint(number) => vschema::Value::Uint(number),
            Value::Bytes(bytes, _) => vschema::Value::Text(Cow::Borrowed(bytes)),
            Value::Double(_) => vschema::Value::Other("a floating point number"),
            Value::Temporal(..) => vschema::Value::Other("a date or time"),
            Value::LongData => vschema::Value::Other("long data"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_found_with_and_without_names() {
        let raw = [0, 1, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        let execute = StmtExecute { statement_id: 1, flags: 0, raw: &raw };
        let sections = Sections::read(&execute, 1, Capabilities::NONE).unwrap();
        assert_eq!((sections.sent, sections.types, sections.values.len()), (1, Some(&raw[2..4]), 8));
        let raw = [1, 0, 1, 8, 0, 2, b'a', b'b', 7, 0, 0, 0, 0, 0, 0, 0];
        let execute = StmtExecute { statement_id: 1, flags: PARAMETER_COUNT_AVAILABLE, raw: &raw };
        let sections = Sections::read(&execute, 1, Capabilities::QUERY_ATTRIBUTES).unwrap();
        assert_eq!((sections.sent, sections.types, sections.values.len()), (1, Some(&raw[3..8]), 8));
        let types = sections.types.unwrap();
        assert_eq!(types_for(types, true, false).unwrap().as_ref(), [8, 0]);
        assert_eq!(types_for(types, true, true).unwrap().as_ref(), types);
        assert_eq!(types_for(&[8, 0, 3, 0x80], false, true).unwrap().as_ref(), [8, 0, 0, 3, 0x80, 0]);
        for cut in 0..raw.len() - 8 {
            let execute = StmtExecute { raw: &raw[..cut], ..execute };
            assert!(Sections::read(&execute, 1, Capabilities::QUERY_ATTRIBUTES).is_err(), "{cut}");
        }
    }
}
