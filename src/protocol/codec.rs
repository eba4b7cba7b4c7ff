//! Bounds-checked reading and writing of the protocol's integers and strings.
//!
//! Owns [`Cursor`], which never reads past its slice and never panics, and the `put_*` functions, which
//! append to a `Vec<u8>`. **Source**: MySQL internals, "Protocol Data Types".

use super::errors::ProtocolError;

/// First byte of a length-encoded integer that stands for NULL in a text row.
pub(crate) const LENENC_NULL: u8 = 0xfb;

/// Reads fields from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset from the start.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Bytes left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// True if nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next byte, not consumed.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], ProtocolError> {
        let end = self.at.checked_add(count).ok_or(ProtocolError::Truncated { what })?;
        let taken = self.bytes.get(self.at..end).ok_or(ProtocolError::Truncated { what })?;
        self.at = end;
        Ok(taken)
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ProtocolError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    /// One byte.
    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, ProtocolError> {
        Ok(self.array::<1>(what)?[0])
    }

    /// Two bytes, little endian.
    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, ProtocolError> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    /// Three bytes, little endian.
    pub(crate) fn u24(&mut self, what: &'static str) -> Result<u32, ProtocolError> {
        let [a, b, c] = self.array(what)?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    /// Four bytes, little endian.
    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, ProtocolError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// Eight bytes, little endian.
    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, ProtocolError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A length-encoded integer; the first bytes 0xfb (NULL) and 0xff are refused.
    pub(crate) fn lenenc(&mut self, what: &'static str) -> Result<u64, ProtocolError> {
        match self.u8(what)? {
            small @ 0..=0xfa => Ok(u64::from(small)),
            0xfc => Ok(u64::from(self.u16(what)?)),
            0xfd => Ok(u64::from(self.u24(what)?)),
            0xfe => self.u64(what),
            _ => Err(ProtocolError::Malformed { what }),
        }
    }

    /// A length-encoded string.
    pub(crate) fn lenenc_bytes(&mut self, what: &'static str) -> Result<&'a [u8], ProtocolError> {
        let length = self.lenenc(what)?;
        let length = usize::try_from(length).map_err(|_| ProtocolError::Truncated { what })?;
        self.take(length, what)
    }

    /// A length-encoded string, or `None` for NULL.
    pub(crate) fn lenenc_nullable(&mut self, what: &'static str) -> Result<Option<&'a [u8]>, ProtocolError> {
        if self.peek() == Some(LENENC_NULL) {
            self.at += 1;
            return Ok(None);
        }
        self.lenenc_bytes(what).map(Some)
    }

    /// A string that ends with a zero byte, without it.
    pub(crate) fn nul_bytes(&mut self, what: &'static str) -> Result<&'a [u8], ProtocolError> {
        let rest = &self.bytes[self.at..];
        let length = memchr::memchr(0, rest).ok_or(ProtocolError::Truncated { what })?;
        self.at += length + 1;
        Ok(&rest[..length])
    }
}

/// Appends a length-encoded integer.
pub(crate) fn put_lenenc(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=0xfa => out.push(bytes[0]),
        0xfb..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends a length-encoded string.
pub(crate) fn put_lenenc_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_lenenc(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a string and a zero byte; a zero byte inside ends it early, so nothing can be smuggled in.
pub(crate) fn put_nul_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    out.extend_from_slice(&bytes[..end]);
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lenenc_round_trip(value in any::<u64>(), shift in 0u32..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            put_lenenc(&mut out, value);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.lenenc("x").unwrap(), value);
            prop_assert!(cursor.is_empty());
        }

        #[test]
        fn strings_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            put_lenenc_bytes(&mut out, &bytes);
            prop_assert_eq!(Cursor::new(&out).lenenc_bytes("x").unwrap(), &bytes[..]);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut cursor = Cursor::new(&bytes);
            while cursor.lenenc_nullable("x").is_ok_and(|_| !cursor.is_empty()) {}
            let _ = Cursor::new(&bytes).nul_bytes("x");
        }
    }
}
