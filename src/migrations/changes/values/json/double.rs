//! Doubles as MySQL prints them in JSON.
//!
//! **Source**: MySQL, `my_gcvt` (strings/dtoa.cc): the shortest digits that read as the same double; with an
//! exponent where it is below -15 or the number has more than 15 digits in front of the point and zeros among
//! them; and `wrapper_to_string`, which adds `.0` to what looks like an integer.

use std::io::Write as _;

use crate::migrations::changes::values::value::ValueError;

/// Digits in front of the point, and zeros behind it, up to which there is no exponent.
const PLAIN_MAX: i32 = 15;

/// Appends the number.
///
/// # Errors
/// `Malformed` for what is no number.
pub(super) fn write(number: f64, out: &mut Vec<u8>) -> Result<(), ValueError> {
    if !number.is_finite() {
        return Err(ValueError::Malformed { what: "a JSON double" });
    }
    let text = format!("{:e}", number.abs());
    let fault = ValueError::Malformed { what: "a JSON double" };
    let (mantissa, exponent) = text.split_once('e').ok_or(fault.clone())?;
    let digits: Vec<u8> = mantissa.bytes().filter(|byte| *byte != b'.').collect();
    let exponent: i32 = exponent.parse().map_err(|_| fault)?;
    if number.is_sign_negative() {
        out.push(b'-');
    }
    // Where the point stands, counted from the first digit.
    let point = exponent + 1;
    if point > -PLAIN_MAX && (point <= PLAIN_MAX || digits.len() as i32 > point) {
        write_plain(&digits, point, out);
    } else {
        write_scientific(&digits, exponent, out);
    }
    Ok(())
}

fn write_plain(digits: &[u8], point: i32, out: &mut Vec<u8>) {
    if point <= 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + point.unsigned_abs() as usize, b'0');
        out.extend_from_slice(digits);
        return;
    }
    let point = point as usize;
    let whole = digits.len().min(point);
    out.extend_from_slice(&digits[..whole]);
    out.resize(out.len() + point - whole, b'0');
    out.push(b'.');
    if digits.len() > point {
        out.extend_from_slice(&digits[point..]);
    } else {
        out.push(b'0');
    }
}

fn write_scientific(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    let _infallible = write!(out, "e{exponent}");
}
