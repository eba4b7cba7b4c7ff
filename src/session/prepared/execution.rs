//! The payload of COM_STMT_EXECUTE: read from the client, written for a server connection that may not have
//! been told the parameter types yet, or that does not take query attributes.

use std::borrow::Cow;

use crate::plan::ParamValues;
use crate::protocol::binary::{Value, wire_values};
use crate::protocol::capability::Capabilities;
use crate::protocol::codec::{Cursor, put_lenenc_bytes};
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

/// Appends the payload for a server connection to `out`. `capabilities` are the client's and the server's.
/// Types are always sent: the connection may have run the statement with others, for another session.
///
/// # Errors
/// Query attributes for a server that takes none.
pub(in crate::session) fn put_payload(
    out: &mut Vec<u8>,
    execution: &Execution<'_>,
    server_id: u32,
    (client, server): (Capabilities, Capabilities),
) -> Result<(), ProtocolError> {
    let (execute, sections) = (&execution.execute, &execution.sections);
    let client_names = client.contains(Capabilities::QUERY_ATTRIBUTES);
    let server_names = server.contains(Capabilities::QUERY_ATTRIBUTES);
    let count = usize::from(execution.statement.params);
    if sections.sent > count && !server_names {
        return Err(ProtocolError::Malformed { what: "query attributes" });
    }
    let flags = if server_names { execute.flags } else { execute.flags & !PARAMETER_COUNT_AVAILABLE };
    out.push(code::STMT_EXECUTE);
    out.extend_from_slice(&server_id.to_le_bytes());
    out.push(flags);
    out.extend_from_slice(&1u32.to_le_bytes());
    if flags & PARAMETER_COUNT_AVAILABLE != 0 {
        crate::protocol::codec::put_lenenc(out, sections.sent as u64);
    }
    if sections.sent == 0 {
        return Ok(());
    }
    out.extend_from_slice(sections.nulls);
    out.push(1);
    out.extend_from_slice(&types_for(&execution.statement.raw_types, client_names, server_names)?);
    out.extend_from_slice(sections.values);
    Ok(())
}

/// The payload for a text that takes only some of the parameters, in this order.
///
/// # Errors
/// The execution's values are cut short or of an unknown type.
pub(in crate::session) fn piece_payload(
    execution: &Execution<'_>,
    server_id: u32,
    params: &[u16],
    server: Capabilities,
) -> Result<Vec<u8>, ProtocolError> {
    let statement = execution.statement;
    let is_long = |at: usize| statement.long_data.contains_key(&(at as u16));
    let (nulls, values) = (execution.sections.nulls, execution.sections.values);
    let wire = wire_values(nulls, values, &statement.types, is_long)?;
    let mut out = vec![code::STMT_EXECUTE];
    out.extend_from_slice(&server_id.to_le_bytes());
    out.push(0);
    out.extend_from_slice(&1u32.to_le_bytes());
    if params.is_empty() {
        return Ok(out);
    }
    let mut null_bits = vec![0u8; params.len().div_ceil(8)];
    let (mut types, mut body) = (Vec::new(), Vec::new());
    for (position, param) in params.iter().enumerate() {
        let at = usize::from(*param);
        let missing = || ProtocolError::Malformed { what: "parameter" };
        let kind = statement.types.get(at).ok_or_else(missing)?;
        types.extend_from_slice(&[kind.column_type.0, if kind.is_unsigned { 0x80 } else { 0 }]);
        if server.contains(Capabilities::QUERY_ATTRIBUTES) {
            // The empty name.
            types.push(0);
        }
        match (statement.long_data.get(param), wire.get(at).ok_or_else(missing)?) {
            (Some(data), _) => put_lenenc_bytes(&mut body, data),
            (None, Some(value)) => body.extend_from_slice(value),
            (None, None) => null_bits[position / 8] |= 1 << (position % 8),
        }
    }
    out.extend_from_slice(&null_bits);
    out.push(1);
    out.extend_from_slice(&types);
    out.extend_from_slice(&body);
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
    use crate::protocol::binary::Parameters;
    use crate::session::prepared::PreparedStatement;
    use crate::session::query::Said;
    use crate::sql::Scan;

    #[test]
    fn a_piece_takes_its_parameters_only() {
        // A BIGINT 7, NULL, the text "ab".
        let raw = [0b010, 1, 8, 0x80, 253, 0, 253, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b'];
        let execute = StmtExecute { statement_id: 1, flags: 0, raw: &raw };
        let sections = Sections::read(&execute, 3, Capabilities::NONE).unwrap();
        let mut statement = PreparedStatement::new(b"?", Scan::default(), Said::default(), 3);
        Parameters::parse(&raw, 0, 3, Capabilities::NONE, &mut statement.types).unwrap();
        let text_hash = statement.text_hash;
        let execution = Execution { statement: &statement, text: b"?", text_hash, execute, sections };
        let piece = |params: &[u16]| piece_payload(&execution, 9, params, Capabilities::NONE).unwrap();
        assert_eq!(piece(&[])[..], [23, 9, 0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(piece(&[2, 1])[10..], [0b10, 1, 253, 0, 253, 0, 2, b'a', b'b']);
        assert_eq!(piece(&[0])[10..], [0, 1, 8, 0x80, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert!(piece_payload(&execution, 9, &[3], Capabilities::NONE).is_err());
        statement.long_data.insert(1, b"long".to_vec());
        let text_hash = statement.text_hash;
        let execution = Execution { statement: &statement, text: b"?", text_hash, execute, sections };
        let piece = piece_payload(&execution, 9, &[1], Capabilities::NONE).unwrap();
        assert_eq!(piece[10..], [0, 1, 253, 0, 4, b'l', b'o', b'n', b'g']);
    }

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
