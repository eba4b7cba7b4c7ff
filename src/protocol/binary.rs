//! Parameters of COM_STMT_EXECUTE: the binary protocol's values.
//!
//! Owns finding and decoding the parameters that routing needs; types are remembered between executions by
//! the caller ([`ParameterTypes`]), as the protocol sends them only when they change. Values beyond integers
//! and strings are named, not decoded: they never route.

use super::capability::Capabilities;
use super::codec::Cursor;
use super::command::PARAMETER_COUNT_AVAILABLE;
use super::errors::ProtocolError;
use super::result::ColumnType;

/// Parameters of one statement at most (MySQL counts them in 16 bits), query attributes included.
const PARAMETERS_MAX: u64 = 65_535 * 2;

/// Type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterType {
    /// The type.
    pub column_type: ColumnType,
    /// Integers: unsigned.
    pub is_unsigned: bool,
}

/// Types of a statement's parameters, kept from one execution to the next.
pub type ParameterTypes = Vec<ParameterType>;

/// A parameter's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// FLOAT or DOUBLE.
    Double(f64),
    /// Text, bytes, DECIMAL, JSON: as the client sent it.
    Bytes(&'a [u8], ColumnType),
    /// DATE, DATETIME, TIMESTAMP, TIME: raw.
    Temporal(&'a [u8], ColumnType),
    /// Sent before by COM_STMT_SEND_LONG_DATA; not in this packet.
    LongData,
}

/// The parameters of one execution, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    nulls: &'a [u8],
    values: &'a [u8],
    count: usize,
}

pub(crate) fn checked_count(count: u64) -> Result<usize, ProtocolError> {
    match usize::try_from(count) {
        Ok(small) if count <= PARAMETERS_MAX => Ok(small),
        Ok(_) | Err(_) => Err(ProtocolError::Malformed { what: "parameter count" }),
    }
}

pub(crate) fn is_null(nulls: &[u8], index: usize) -> bool {
    nulls.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// Reads `count` types, each with a name behind it if `named`, into the place of `types`; none are left there
/// if that fails.
pub(crate) fn read_types(
    cursor: &mut Cursor<'_>,
    (count, named): (usize, bool),
    types: &mut ParameterTypes,
) -> Result<(), ProtocolError> {
    types.clear();
    // Two bytes each at least: a lying count cannot make this allocate more than the packet holds.
    types.reserve(count.min(cursor.left() / 2));
    for _ in 0..count {
        match read_type(cursor, named) {
            Ok(read) => types.push(read),
            Err(error) => {
                types.clear();
                return Err(error);
            }
        }
    }
    Ok(())
}

fn read_type(cursor: &mut Cursor<'_>, named: bool) -> Result<ParameterType, ProtocolError> {
    let column_type = ColumnType(cursor.u8("parameter type")?);
    let is_unsigned = cursor.u8("parameter flags")? & 0x80 != 0;
    if named {
        cursor.lenenc_bytes("parameter name")?;
    }
    Ok(ParameterType { column_type, is_unsigned })
}

/// Moves `cursor` behind a value of `parameter`'s type.
pub(crate) fn skip_value(cursor: &mut Cursor<'_>, parameter: ParameterType) -> Result<(), ProtocolError> {
    read_value(cursor, parameter).map(|_| ())
}

fn read_value<'a>(cursor: &mut Cursor<'a>, parameter: ParameterType) -> Result<Value<'a>, ProtocolError> {
    const WHAT: &str = "parameter value";
    let (kind, unsigned) = (parameter.column_type, parameter.is_unsigned);
    let integer = |signed: i64, raw: u64| if unsigned { Value::Uint(raw) } else { Value::Int(signed) };
    let value = match kind {
        ColumnType::NULL => Value::Null,
        ColumnType::TINY | ColumnType::BOOL => {
            let raw = cursor.u8(WHAT)?;
            integer(i64::from(raw as i8), u64::from(raw))
        }
        ColumnType::SHORT | ColumnType::YEAR => {
            let raw = cursor.u16(WHAT)?;
            integer(i64::from(raw as i16), u64::from(raw))
        }
        ColumnType::LONG | ColumnType::INT24 => {
            let raw = cursor.u32(WHAT)?;
            integer(i64::from(raw as i32), u64::from(raw))
        }
        ColumnType::LONGLONG => {
            let raw = cursor.u64(WHAT)?;
            integer(raw as i64, raw)
        }
        ColumnType::FLOAT => Value::Double(f64::from(f32::from_bits(cursor.u32(WHAT)?))),
        ColumnType::DOUBLE => Value::Double(f64::from_bits(cursor.u64(WHAT)?)),
        ColumnType::DATE | ColumnType::DATETIME | ColumnType::TIMESTAMP | ColumnType::TIME => {
            let length = usize::from(cursor.u8(WHAT)?);
            Value::Temporal(cursor.take(length, WHAT)?, kind)
        }
        _ if is_string(kind) => Value::Bytes(cursor.lenenc_bytes(WHAT)?, kind),
        _ => return Err(ProtocolError::Malformed { what: "parameter type" }),
    };
    Ok(value)
}

/// Types whose values are length-encoded strings.
fn is_string(kind: ColumnType) -> bool {
    matches!(kind.0, 0 | 15 | 16 | 242 | 245..=255)
}

/// The bytes of each parameter's value as they stand in an execution; `None` for NULL. `long` tells which
/// came by COM_STMT_SEND_LONG_DATA and are not there.
///
/// # Errors
/// `Truncated`, `Malformed`.
pub fn wire_values<'a>(
    nulls: &[u8],
    values: &'a [u8],
    types: &[ParameterType],
    long: impl Fn(usize) -> bool,
) -> Result<Vec<Option<&'a [u8]>>, ProtocolError> {
    let mut cursor = Cursor::new(values);
    let mut wire = Vec::with_capacity(types.len());
    for (index, parameter) in types.iter().enumerate() {
        if long(index) || is_null(nulls, index) {
            wire.push(None);
            continue;
        }
        let start = values.len() - cursor.left();
        skip_value(&mut cursor, *parameter)?;
        wire.push(Some(&values[start..values.len() - cursor.left()]));
    }
    Ok(wire)
}

impl<'a> Parameters<'a> {
    /// Reads what stands behind the iteration count of COM_STMT_EXECUTE (`StmtExecute::raw`) for a statement
    /// of `count` parameters; `types` are those of the last execution and are replaced if new ones came.
    ///
    /// # Errors
    /// `Truncated`, `Malformed`; `Malformed` too if no types came and none are known.
    pub fn parse(
        raw: &'a [u8],
        flags: u8,
        count: usize,
        capabilities: Capabilities,
        types: &mut ParameterTypes,
    ) -> Result<Self, ProtocolError> {
        let named = capabilities.contains(Capabilities::QUERY_ATTRIBUTES);
        let has_count = named && flags & PARAMETER_COUNT_AVAILABLE != 0;
        let mut cursor = Cursor::new(raw);
        let sent = match has_count {
            true => checked_count(cursor.lenenc("parameter count")?)?,
            false => count,
        };
        if sent < count {
            return Err(ProtocolError::Malformed { what: "parameter count" });
        }
        if sent == 0 {
            return Ok(Self { nulls: &[], values: &[], count: 0 });
        }
        let nulls = cursor.take(sent.div_ceil(8), "parameter NULL bits")?;
        if cursor.u8("new parameters flag")? == 1 {
            read_types(&mut cursor, (sent, named), types)?;
        }
        if types.len() < sent {
            return Err(ProtocolError::Malformed { what: "parameter types" });
        }
        Ok(Self { nulls, values: cursor.rest(), count })
    }

    /// Parameters of the statement.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Decodes the first parameters, at most those of the statement; `long` tells which came by
    /// COM_STMT_SEND_LONG_DATA and are not in the packet.
    ///
    /// # Errors
    /// `Truncated`, `Malformed`.
    pub fn values(
        &self,
        types: &[ParameterType],
        long: impl Fn(usize) -> bool,
    ) -> Result<Vec<Value<'a>>, ProtocolError> {
        let mut cursor = Cursor::new(self.values);
        let mut values = Vec::with_capacity(self.count.min(types.len()));
        for (index, parameter) in types.iter().enumerate().take(self.count) {
            let value = if long(index) {
                Value::LongData
            } else if is_null(self.nulls, index) {
                Value::Null
            } else {
                read_value(&mut cursor, *parameter)?
            };
            values.push(value);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: Capabilities = Capabilities::NONE;

    fn execution() -> Vec<u8> {
        let mut raw = vec![0b1000, 1];
        raw.extend_from_slice(&[8, 0, 1, 0x80, 253, 0, 3, 0, 12, 0]);
        raw.extend_from_slice(&(-5i64).to_le_bytes());
        raw.push(200);
        raw.extend_from_slice(b"\x02hi");
        raw.extend_from_slice(&[4, 0xe8, 7, 2, 28]);
        raw
    }

    #[test]
    fn reads_values_and_remembers_types() {
        let raw = execution();
        let mut types = Vec::new();
        let parameters = Parameters::parse(&raw, 0, 5, NONE, &mut types).unwrap();
        let values = parameters.values(&types, |_| false).unwrap();
        let text = Value::Bytes(b"hi", ColumnType::VAR_STRING);
        let time = Value::Temporal(&[0xe8, 7, 2, 28], ColumnType::DATETIME);
        assert_eq!(values, [Value::Int(-5), Value::Uint(200), text, Value::Null, time]);

        let mut again = vec![0b11110, 0];
        again.extend_from_slice(&9i64.to_le_bytes());
        let parameters = Parameters::parse(&again, 0, 5, NONE, &mut types).unwrap();
        assert_eq!(parameters.values(&types, |_| false).unwrap()[0], Value::Int(9));
        let parameters = Parameters::parse(&again, 0, 5, NONE, &mut Vec::new());
        assert!(parameters.is_err());
    }

    #[test]
    fn every_cut_is_an_error() {
        let raw = execution();
        for cut in 0..raw.len() {
            let mut types = Vec::new();
            let parameters = Parameters::parse(&raw[..cut], 0, 5, NONE, &mut types);
            let values = parameters.and_then(|parameters| parameters.values(&types, |_| false));
            assert!(values.is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn named_parameters_and_long_data() {
        let mut raw = vec![2, 0, 1, 8, 0, 0, 254, 0, 3, b'k', b'e', b'y'];
        raw.extend_from_slice(b"\x01v");
        let mut types = Vec::new();
        let caps = Capabilities::QUERY_ATTRIBUTES;
        let parameters = Parameters::parse(&raw, PARAMETER_COUNT_AVAILABLE, 1, caps, &mut types).unwrap();
        assert_eq!(parameters.values(&types, |index| index == 0).unwrap(), [Value::LongData]);
    }

    proptest! {
        #[test]
        fn never_panics(
            raw in proptest::collection::vec(any::<u8>(), 0..64),
            count in 0usize..20,
            flags: u8,
        ) {
            for caps in [NONE, Capabilities::QUERY_ATTRIBUTES] {
                let mut types = Vec::new();
                if let Ok(parameters) = Parameters::parse(&raw, flags, count, caps, &mut types) {
                    let _ = parameters.values(&types, |_| false);
                }
            }
        }
    }
}
