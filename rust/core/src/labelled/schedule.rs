//! A trace as a short string.
//!
//! Each step is an index into the canonical order of the transitions enabled there: one digit in base 36, or a
//! decimal number in parentheses from 36 on. `"0a(40)"` means transition 0, then 10, then 40. The empty string is the
//! empty run, which stays in the initial state.
//!
//! Source: the action indices of stateright's `Path` and the schedule strings of shuttle.

use std::fmt::Write as _;

use crate::error::Error;

const RADIX: u32 = 36;

/// Appends a step.
pub(crate) fn push_step(schedule: &mut String, index: usize) {
    match u32::try_from(index).ok().and_then(|index| char::from_digit(index, RADIX)) {
        Some(digit) => schedule.push(digit),
        None => {
            let _ = write!(schedule, "({index})");
        }
    }
}

/// A step as written, and its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'s> {
    pub(crate) text: &'s str,
    pub(crate) index: usize,
}

/// Splits a schedule into its steps.
pub(crate) fn parse(schedule: &str) -> Result<Vec<Token<'_>>, Error> {
    let mut tokens = Vec::new();
    let mut rest = schedule;
    while let Some(first) = rest.chars().next() {
        let length = if first == '(' { rest.find(')').map_or(rest.len(), |at| at + 1) } else { first.len_utf8() };
        let (text, tail) = rest.split_at(length);
        let index = match text.strip_prefix('(') {
            Some(number) => number.strip_suffix(')').and_then(decimal),
            None => first.to_digit(RADIX).filter(|_| !first.is_ascii_uppercase()).map(|digit| digit as usize),
        };
        let Some(index) = index else {
            return Err(Error::schedule(format!(
                "schedule: step {}: `{text}` is not a digit 0-9 or a-z or a decimal number in parentheses",
                tokens.len() + 1
            )));
        };
        tokens.push(Token { text, index });
        rest = tail;
    }
    Ok(tokens)
}

fn decimal(digits: &str) -> Option<usize> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(schedule: &str) -> Vec<usize> {
        parse(schedule).unwrap().iter().map(|token| token.index).collect()
    }

    #[test]
    fn writing_and_reading_are_inverse() {
        let steps = [0, 9, 10, 35, 36, 1000, 0];
        let mut schedule = String::new();
        for step in steps {
            push_step(&mut schedule, step);
        }
        assert_eq!(schedule, "09az(36)(1000)0");
        assert_eq!(indices(&schedule), steps);
    }

    #[test]
    fn the_empty_schedule_has_no_steps() {
        assert!(indices("").is_empty());
    }

    #[test]
    fn a_bad_token_is_named_with_its_position() {
        for (schedule, token) in
            [("01A", "`A`"), ("01(3", "`(3`"), ("01(+3)", "`(+3)`"), ("01()", "`()`"), ("01é", "`é`")]
        {
            let message = parse(schedule).unwrap_err().to_string();
            assert!(message.contains("step 3") && message.contains(token), "{message}");
        }
    }
}
