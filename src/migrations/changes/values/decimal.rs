//! DECIMAL as the binary log and binary JSON pack it.
//!
//! **Source**: MySQL, `decimal2bin`: nine digits to four bytes, big endian, what is left over on either side
//! of the point to as few bytes as hold it; the first bit says that the number is not negative, and of a
//! negative one all bits are inverted.

use super::value::ValueError;

/// Bytes that hold so many digits.
const DIGIT_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
/// Digits of a group.
const GROUP: usize = 9;
/// Most digits of a DECIMAL.
const PRECISION_MAX: u8 = 65;
/// Bytes of the largest DECIMAL: 65 digits with 1 to 30 behind the point.
const PACKED_MAX: usize = 36;

/// Bytes of a packed DECIMAL.
///
/// # Errors
/// `Malformed` for sizes that no DECIMAL has.
pub(super) fn packed_length(precision: u8, scale: u8) -> Result<usize, ValueError> {
    if precision == 0 || precision > PRECISION_MAX || scale > precision {
        return Err(ValueError::Malformed { what: "the size of a DECIMAL" });
    }
    let part = |digits: usize| digits / GROUP * 4 + DIGIT_BYTES[digits % GROUP];
    Ok(part(usize::from(precision - scale)) + part(usize::from(scale)))
}

/// Appends the number as MySQL prints it: no zeros in front, all digits of the scale.
///
/// # Errors
/// `Malformed`, `Truncated`.
pub(super) fn write_text(
    packed: &[u8],
    precision: u8,
    scale: u8,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let length = packed_length(precision, scale)?;
    let packed = packed.get(..length).ok_or(ValueError::Truncated)?;
    let mut bytes = [0; PACKED_MAX];
    let bytes = &mut bytes[..length];
    bytes.copy_from_slice(packed);
    let is_negative = bytes[0] & 0x80 == 0;
    if is_negative {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        out.push(b'-');
    }
    // The sign bit is set now whichever the sign: it is no digit.
    bytes[0] &= 0x7f;
    let whole = usize::from(precision - scale);
    let mut digits = Digits { bytes, out, is_leading: true };
    digits.part(whole % GROUP)?;
    for _ in 0..whole / GROUP {
        digits.part(GROUP)?;
    }
    if digits.is_leading {
        digits.out.push(b'0');
    }
    digits.is_leading = false;
    let fraction = usize::from(scale);
    if fraction > 0 {
        digits.out.push(b'.');
    }
    for _ in 0..fraction / GROUP {
        digits.part(GROUP)?;
    }
    digits.part(fraction % GROUP)
}

struct Digits<'a> {
    bytes: &'a [u8],
    out: &'a mut Vec<u8>,
    /// Nothing but zeros so far: they are left out.
    is_leading: bool,
}

impl Digits<'_> {
    fn part(&mut self, digits: usize) -> Result<(), ValueError> {
        let (group, rest) = self.bytes.split_at_checked(DIGIT_BYTES[digits]).ok_or(ValueError::Truncated)?;
        self.bytes = rest;
        let mut number = group.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        if number >= 10_u32.pow(digits as u32) {
            return Err(ValueError::Malformed { what: "a DECIMAL" });
        }
        let mut text = [b'0'; GROUP];
        for digit in text[..digits].iter_mut().rev() {
            *digit += (number % 10) as u8;
            number /= 10;
        }
        let text = &text[..digits];
        let zeros = if self.is_leading { text.iter().take_while(|digit| **digit == b'0').count() } else { 0 };
        self.is_leading &= zeros == digits;
        self.out.extend_from_slice(&text[zeros..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(packed: &[u8], precision: u8, scale: u8) -> Result<String, ValueError> {
        let mut out = Vec::new();
        write_text(packed, precision, scale, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    /// What the manual of the format gives as its example, and the edges.
    #[test]
    fn golden_bytes() {
        let packed = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        assert_eq!(text(&packed, 14, 4).unwrap(), "1234567890.1234");
        let negative = [0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d];
        assert_eq!(text(&negative, 14, 4).unwrap(), "-1234567890.1234");
        assert_eq!(text(&[0x80, 0x32], 4, 2).unwrap(), "0.50");
        assert_eq!(text(&[0x7f, 0xcd], 4, 2).unwrap(), "-0.50");
        assert_eq!(text(&[0x80], 2, 0).unwrap(), "0");
        assert_eq!(text(&[0x85], 1, 1).unwrap(), "0.5");
        assert_eq!(text(&[0x80, 0xff], 4, 2), Err(ValueError::Malformed { what: "a DECIMAL" }));
        assert_eq!(text(&[0x80], 4, 2), Err(ValueError::Truncated));
        assert_eq!(packed_length(65, 30).unwrap(), 30);
        assert!(
            packed_length(66, 0).is_err() && packed_length(3, 4).is_err() && packed_length(0, 0).is_err()
        );
    }

    #[test]
    fn every_size_fits_the_buffer() {
        for precision in 1..=PRECISION_MAX {
            for scale in 0..=precision {
                assert!(packed_length(precision, scale).unwrap() <= PACKED_MAX, "{precision},{scale}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_number_or_none(
            bytes in proptest::collection::vec(any::<u8>(), 0..40), precision in 0_u8..70, scale in 0_u8..70,
        ) {
            if let Ok(text) = text(&bytes, precision, scale) {
                let digits = text.bytes().filter(u8::is_ascii_digit).count();
                prop_assert!(digits <= usize::from(precision) + 1);
            }
        }
    }
}
