//! Dates and times as the binary log packs them, and as text.
//!
//! **Source**: MySQL, `my_time.cc` (`my_time_packed_from_binary`, `my_datetime_packed_from_binary`,
//! `my_timestamp_from_binary`), for the types with fractions; MySQL internals, "Date and Time Data Type
//! Representation", for the older ones.

use std::io::Write as _;

use super::value::ValueError;

/// A DATE; zero dates and parts are values like others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// 0 to 9999.
    pub year: u16,
    /// 0 to 12.
    pub month: u8,
    /// 0 to 31.
    pub day: u8,
}

/// A TIME: up to 838 hours either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Below zero.
    pub is_negative: bool,
    /// 0 to 838.
    pub hours: u16,
    /// 0 to 59.
    pub minutes: u8,
    /// 0 to 59.
    pub seconds: u8,
    /// Millionths of a second.
    pub micros: u32,
    /// Digits of the column's fraction, 0 to 6.
    pub decimals: u8,
}

/// A DATETIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// The day.
    pub date: Date,
    /// 0 to 23.
    pub hours: u8,
    /// 0 to 59.
    pub minutes: u8,
    /// 0 to 59.
    pub seconds: u8,
    /// Millionths of a second.
    pub micros: u32,
    /// Digits of the column's fraction, 0 to 6.
    pub decimals: u8,
}

/// A TIMESTAMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Since 1970 in UTC; 0 with no micros is the zero date.
    pub seconds: u32,
    /// Millionths of a second.
    pub micros: u32,
    /// Digits of the column's fraction, 0 to 6.
    pub decimals: u8,
}

/// Bytes of a fraction with so many digits.
pub(super) fn fraction_length(decimals: u8) -> usize {
    usize::from(decimals.min(6)).div_ceil(2)
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The fraction in millionths: its bytes count hundredths, ten-thousandths or millionths.
fn micros(bytes: &[u8]) -> Result<u32, ValueError> {
    let scale = [1, 10_000, 100, 1];
    let micros = big_endian(bytes) as u32 * scale.get(bytes.len()).copied().unwrap_or(1);
    if micros < 1_000_000 { Ok(micros) } else { Err(ValueError::Malformed { what: "a fraction" }) }
}

fn check(is_right: bool, what: &'static str) -> Result<(), ValueError> {
    if is_right { Ok(()) } else { Err(ValueError::Malformed { what }) }
}

impl Date {
    /// Three bytes of the binary log.
    pub(super) fn unpack(bytes: [u8; 3]) -> Result<Self, ValueError> {
        let packed = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        Self::new((packed >> 9) as u16, (packed >> 5 & 15) as u8, (packed & 31) as u8)
    }

    fn new(year: u16, month: u8, day: u8) -> Result<Self, ValueError> {
        check(year <= 9999 && month <= 12, "a date")?;
        Ok(Self { year, month, day })
    }

    /// Appends `YYYY-MM-DD`.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let _infallible = write!(out, "{:04}-{:02}-{:02}", self.year, self.month, self.day);
    }
}

impl Time {
    /// The type of before MySQL 5.6: three bytes, the digits HHMMSS as one number.
    pub(super) fn unpack_old(bytes: [u8; 3]) -> Result<Self, ValueError> {
        let packed = i32::from_le_bytes([0, bytes[0], bytes[1], bytes[2]]) >> 8;
        let digits = packed.unsigned_abs();
        let time = Self {
            is_negative: packed < 0,
            hours: (digits / 10_000) as u16,
            minutes: (digits / 100 % 100) as u8,
            seconds: (digits % 100) as u8,
            micros: 0,
            decimals: 0,
        };
        time.checked()
    }

    /// Three bytes and the fraction's: one number, to which an offset was added that makes it positive. So
    /// the fraction of a negative time counts upwards from the next whole second below.
    pub(super) fn unpack(bytes: &[u8], decimals: u8) -> Result<Self, ValueError> {
        if !(3..=6).contains(&bytes.len()) {
            return Err(ValueError::Truncated);
        }
        let bits = 8 * bytes.len() as u32;
        let value = big_endian(bytes) as i64 - (1_i64 << (bits - 1));
        let magnitude = value.unsigned_abs();
        let fraction_bits = bits - 24;
        let whole = magnitude >> fraction_bits;
        let fraction = (magnitude & ((1 << fraction_bits) - 1)).to_be_bytes();
        let time = Self {
            is_negative: value < 0,
            hours: (whole >> 12 & 0x3ff) as u16,
            minutes: (whole >> 6 & 63) as u8,
            seconds: (whole & 63) as u8,
            micros: micros(&fraction[8 - fraction_bits as usize / 8..])?,
            decimals,
        };
        time.checked()
    }

    fn checked(self) -> Result<Self, ValueError> {
        check(self.minutes < 60 && self.seconds < 60 && self.hours <= 838, "a TIME")?;
        Ok(self)
    }

    /// Appends `[-]HH:MM:SS[.ffffff]`.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        if self.is_negative {
            out.push(b'-');
        }
        let _infallible = write!(out, "{:02}:{:02}:{:02}", self.hours, self.minutes, self.seconds);
        write_fraction(self.micros, self.decimals, out);
    }
}

impl DateTime {
    /// The type of before MySQL 5.6: eight bytes, the digits YYYYMMDDHHMMSS as one number.
    pub(super) fn unpack_old(bytes: [u8; 8]) -> Result<Self, ValueError> {
        let packed = u64::from_le_bytes(bytes);
        let (day, clock) = (packed / 1_000_000, packed % 1_000_000);
        check(day <= 99_991_299, "a DATETIME")?;
        let datetime = Self {
            date: Date::new((day / 10_000) as u16, (day / 100 % 100) as u8, (day % 100) as u8)?,
            hours: (clock / 10_000) as u8,
            minutes: (clock / 100 % 100) as u8,
            seconds: (clock % 100) as u8,
            micros: 0,
            decimals: 0,
        };
        datetime.checked()
    }

    /// Five bytes and the fraction's.
    pub(super) fn unpack(bytes: &[u8], decimals: u8) -> Result<Self, ValueError> {
        let (whole, fraction) = bytes.split_at_checked(5).ok_or(ValueError::Truncated)?;
        let whole = big_endian(whole);
        check(whole >> 39 == 1, "a DATETIME")?;
        let datetime = Self::of_bits(whole & !(1 << 39))?;
        Self { micros: micros(fraction)?, decimals, ..datetime }.checked()
    }

    /// Months (thirteen a year), days, hours, minutes, seconds, as they are packed.
    fn of_bits(bits: u64) -> Result<Self, ValueError> {
        let months = bits >> 22;
        Ok(Self {
            date: Date::new((months / 13) as u16, (months % 13) as u8, (bits >> 17 & 31) as u8)?,
            hours: (bits >> 12 & 31) as u8,
            minutes: (bits >> 6 & 63) as u8,
            seconds: (bits & 63) as u8,
            micros: 0,
            decimals: 0,
        })
    }

    fn checked(self) -> Result<Self, ValueError> {
        check(self.hours < 24 && self.minutes < 60 && self.seconds < 60, "a DATETIME")?;
        Ok(self)
    }

    /// Appends `YYYY-MM-DD HH:MM:SS[.ffffff]`.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        self.date.write(out);
        let _infallible = write!(out, " {:02}:{:02}:{:02}", self.hours, self.minutes, self.seconds);
        write_fraction(self.micros, self.decimals, out);
    }
}

impl Timestamp {
    /// The type of before MySQL 5.6: four bytes.
    pub(super) fn unpack_old(bytes: [u8; 4]) -> Self {
        Self { seconds: u32::from_le_bytes(bytes), micros: 0, decimals: 0 }
    }

    /// Four bytes and the fraction's.
    pub(super) fn unpack(bytes: &[u8], decimals: u8) -> Result<Self, ValueError> {
        let (whole, fraction) = bytes.split_at_checked(4).ok_or(ValueError::Truncated)?;
        Ok(Self { seconds: big_endian(whole) as u32, micros: micros(fraction)?, decimals })
    }

    /// The same moment in UTC; the zero date for zero.
    pub(super) fn to_datetime(self) -> DateTime {
        let date = if self.seconds == 0 && self.micros == 0 {
            Date { year: 0, month: 0, day: 0 }
        } else {
            date_of_day(self.seconds / 86_400)
        };
        let second = self.seconds % 86_400;
        DateTime {
            date,
            hours: (second / 3600) as u8,
            minutes: (second / 60 % 60) as u8,
            seconds: (second % 60) as u8,
            micros: self.micros,
            decimals: self.decimals,
        }
    }
}

/// The date of a day since 1970-01-01 (proleptic Gregorian; years begin in March, so that leap days are
/// last).
fn date_of_day(day: u32) -> Date {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    Date { year: year as u16, month: month as u8, day: (of_year - (153 * shifted + 2) / 5 + 1) as u8 }
}

fn write_fraction(micros: u32, decimals: u8, out: &mut Vec<u8>) {
    if decimals > 0 {
        let digits = six_digits(micros);
        out.push(b'.');
        out.extend_from_slice(&digits[..usize::from(decimals.min(6))]);
    }
}

fn six_digits(mut number: u32) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// Date and time in binary JSON, eight bytes: days and seconds above 24 bits of millionths.
pub(super) fn json_datetime(packed: i64) -> Result<DateTime, ValueError> {
    check(packed >= 0, "a date in JSON")?;
    let micros = (packed & 0xff_ffff) as u32;
    check(micros < 1_000_000, "a date in JSON")?;
    DateTime { micros, decimals: 6, ..DateTime::of_bits(packed as u64 >> 24)? }.checked()
}

/// Time in binary JSON.
pub(super) fn json_time(packed: i64) -> Result<Time, ValueError> {
    let magnitude = packed.unsigned_abs();
    let (whole, micros) = (magnitude >> 24, (magnitude & 0xff_ffff) as u32);
    check(micros < 1_000_000 && whole >> 22 == 0, "a time in JSON")?;
    let time = Time {
        is_negative: packed < 0,
        hours: (whole >> 12 & 0x3ff) as u16,
        minutes: (whole >> 6 & 63) as u8,
        seconds: (whole & 63) as u8,
        micros,
        decimals: 6,
    };
    time.checked()
}
