//! Whole numbers as conmon's callers may write them.
//!
//! GLib reads integer options with `strtol(3)` and base 0: leading blanks and
//! a sign are skipped, `0x` starts a hexadecimal and `0` an octal number, and
//! nothing may follow the last digit.

/// Why a text is not an acceptable number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegerError {
    /// No digits, or something that is not a digit.
    NotANumber,
    /// A number, but beyond the type asked for.
    OutOfRange,
}

/// Reads a number between `min` and `max`, both included.
///
/// # Errors
/// [`IntegerError`], as above. Digits without end are out of range, never an
/// overflow.
pub fn parse(text: &[u8], min: i64, max: i64) -> Result<i64, IntegerError> {
    let text = skip_blanks(text);
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let (base, digits) = match digits {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        [b'0', _, ..] => (8, digits),
        _ => (10, digits),
    };
    let magnitude = magnitude(digits, base)?;
    let value = if negative { -magnitude } else { magnitude };
    match i64::try_from(value) {
        Ok(value) if (min..=max).contains(&value) => Ok(value),
        _ => Err(IntegerError::OutOfRange),
    }
}

/// The digits' value, stuck at a number beyond every `i64` once it gets there.
fn magnitude(digits: &[u8], base: u32) -> Result<i128, IntegerError> {
    const BEYOND: i128 = 1 << 64;
    if digits.is_empty() {
        return Err(IntegerError::NotANumber);
    }
    digits.iter().try_fold(0_i128, |sum, &byte| {
        let digit = char::from(byte).to_digit(base).ok_or(IntegerError::NotANumber)?;
        Ok((sum * i128::from(base) + i128::from(digit)).min(BEYOND))
    })
}

/// The text after its blanks, as `isspace(3)` has them, vertical tab included.
fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | 9..=13)).count();
    text.get(blanks..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int32(text: &str) -> Result<i64, IntegerError> {
        parse(text.as_bytes(), i64::from(i32::MIN), i64::from(i32::MAX))
    }

    #[test]
    fn decimal_hexadecimal_and_octal_are_understood() {
        assert_eq!(int32("0"), Ok(0));
        assert_eq!(int32("42"), Ok(42));
        assert_eq!(int32("0x2A"), Ok(42));
        assert_eq!(int32("0X2a"), Ok(42));
        assert_eq!(int32("052"), Ok(42));
        assert_eq!(int32("00"), Ok(0));
    }

    #[test]
    fn leading_blanks_and_one_sign_are_allowed() {
        assert_eq!(int32(" \t\n\u{b}\u{c}\r7"), Ok(7));
        assert_eq!(int32("-5"), Ok(-5));
        assert_eq!(int32(" +0x10"), Ok(16));
        assert_eq!(int32("-010"), Ok(-8));
    }

    #[test]
    fn anything_else_is_not_a_number() {
        for text in [
            "", " ", "-", "+", "+-5", "- 5", "abc", "5 ", "5x", "0x", "08", "0x-1", "1e3", "1.5",
            "0b1",
        ] {
            assert_eq!(int32(text), Err(IntegerError::NotANumber), "{text:?}");
        }
        assert_eq!(
            int32("99999999999999999999999999999999999999999999x"),
            Err(IntegerError::NotANumber)
        );
    }

    #[test]
    fn both_ends_of_the_range_are_inside_and_one_further_is_not() {
        assert_eq!(int32("2147483647"), Ok(2_147_483_647));
        assert_eq!(int32("-2147483648"), Ok(-2_147_483_648));
        assert_eq!(int32("2147483648"), Err(IntegerError::OutOfRange));
        assert_eq!(int32("-2147483649"), Err(IntegerError::OutOfRange));
        let int64 = |text: &str| parse(text.as_bytes(), i64::MIN, i64::MAX);
        assert_eq!(int64("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(int64("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(int64("9223372036854775808"), Err(IntegerError::OutOfRange));
        assert_eq!(
            int64("0xffffffffffffffffffffffffffffffffffffffff"),
            Err(IntegerError::OutOfRange)
        );
        assert_eq!(int64(&"9".repeat(1000)), Err(IntegerError::OutOfRange));
    }
}
