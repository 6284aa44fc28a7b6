//! Tests and updates of one word.
//!
//! Words are `u128` (global) or `u64` (package, CPU); in JSON every mask is a hexadecimal string, since JSON numbers
//! lose bits above 2^53 in many readers.

use std::fmt::Debug;
use std::ops::{BitAnd, BitOr, Not};

use serde::{Deserialize, Deserializer};

/// The type that holds the bits of a scope: `u128` or `u64`.
pub trait Word:
    Copy + Debug + Default + PartialEq + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self> + Into<u128>
{
    /// The number of bits of the type.
    const BITS: u32;

    /// Narrows; no set bit is ever lost, as masks and updates stay within their word.
    fn from_u128(word: u128) -> Self;
}

impl Word for u128 {
    const BITS: u32 = Self::BITS;

    fn from_u128(word: u128) -> Self {
        word
    }
}

impl Word for u64 {
    const BITS: u32 = Self::BITS;

    fn from_u128(word: u128) -> Self {
        word as Self
    }
}

/// A conjunction of literals on the bits of a word: `word & care == value`. The default is true everywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, bound = "W: Word")]
pub struct Cube<W> {
    /// The bits that are tested.
    #[serde(with = "hex")]
    pub care: W,
    /// The values that these bits must have; zero outside `care`.
    #[serde(with = "hex")]
    pub value: W,
}

impl<W: Word> Cube<W> {
    /// Whether the word satisfies every literal.
    #[inline]
    #[must_use]
    pub fn matches(&self, word: W) -> bool {
        word & self.care == self.value
    }

    /// Whether every word matches.
    #[inline]
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.care == W::default()
    }
}

/// Rewrites a word: `(word & !clear) | set`, then the additions. The default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, bound = "W: Word")]
pub struct Update<W> {
    /// Bits to clear.
    #[serde(default, with = "hex")]
    pub clear: W,
    /// Bits to set after that.
    #[serde(default, with = "hex")]
    pub set: W,
    /// Counters to change after that.
    #[serde(default)]
    pub add: Vec<Addition>,
}

/// Adds to the counter in `width` bits from `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addition {
    /// Lowest bit of the counter.
    pub offset: u32,
    /// Its number of bits.
    pub width: u32,
    /// The summand. Guards must make sure that the sum stays within the counter.
    pub delta: i64,
}

impl Addition {
    /// The bits of the counter.
    #[must_use]
    pub fn mask(&self) -> u128 {
        low_bits(self.width) << self.offset
    }

    /// The word with the counter changed. A sum outside the counter wraps within it, so that a wrong guard never
    /// damages a neighbour.
    #[inline]
    #[must_use]
    pub fn apply(&self, word: u128) -> u128 {
        let sum = (word >> self.offset).wrapping_add_signed(i128::from(self.delta));
        (word & !self.mask()) | ((sum & low_bits(self.width)) << self.offset)
    }
}

impl<W: Word> Update<W> {
    /// Whether no word is changed.
    #[inline]
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.clear | self.set == W::default() && self.add.is_empty()
    }

    /// The word after the update.
    #[inline]
    #[must_use]
    pub fn apply(&self, word: W) -> W {
        let word = (word & !self.clear) | self.set;
        if self.add.is_empty() {
            return word;
        }
        W::from_u128(self.add.iter().fold(word.into(), |word, addition| addition.apply(word)))
    }
}

/// A mask of the `width` lowest bits.
pub(crate) fn low_bits(width: u32) -> u128 {
    if width >= 128 { u128::MAX } else { (1 << width) - 1 }
}

/// Hexadecimal strings such as `"0x1f"`.
pub(crate) mod hex {
    use serde::de::Error as _;

    use super::{Deserialize, Deserializer, Word, low_bits};

    /// Reads one hexadecimal string.
    pub(crate) fn parse<W: Word>(text: &str) -> Result<W, String> {
        let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'));
        let word = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        word.filter(|word| word & !low_bits(W::BITS) == 0)
            .map(W::from_u128)
            .ok_or_else(|| format!("`{text}` is not a hexadecimal string of at most {} bits such as \"0x1f\"", W::BITS))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, W: Word>(deserializer: D) -> Result<W, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_addition_changes_its_counter_only() {
        let up = Addition { offset: 4, width: 3, delta: 1 };
        assert_eq!(up.apply(0b1010_1111), 0b1011_1111);
        let down = Addition { offset: 4, width: 3, delta: -2 };
        assert_eq!(down.apply(0b1010_1111), 0b1000_1111);
    }

    #[test]
    fn an_addition_that_overflows_wraps_within_its_counter() {
        let up = Addition { offset: 0, width: 2, delta: 1 };
        assert_eq!(up.apply(0b111), 0b100);
        let down = Addition { offset: 1, width: 2, delta: -1 };
        assert_eq!(down.apply(0b1001), 0b1111);
    }

    #[test]
    fn clear_comes_before_set_and_both_before_additions() {
        let update = Update { clear: 0b0110, set: 0b0011, add: vec![Addition { offset: 4, width: 2, delta: 2 }] };
        assert_eq!(update.apply(0b01_1110_u64), 0b11_1011);
    }

    #[test]
    fn a_cube_that_cares_for_nothing_is_true() {
        assert!(Cube::<u128>::default().matches(u128::MAX));
        assert!(Cube { care: 0b11, value: 0b10 }.matches(0b110_u64));
        assert!(!Cube { care: 0b11, value: 0b10 }.matches(0b111_u64));
    }

    #[test]
    fn hexadecimal_strings_need_their_prefix() {
        assert_eq!(hex::parse::<u64>("0x1f"), Ok(31));
        assert!(hex::parse::<u64>("1f").is_err());
        assert!(hex::parse::<u64>("0x+1").is_err());
        assert!(hex::parse::<u64>("0x10000000000000000").is_err());
        assert_eq!(hex::parse::<u128>("0x10000000000000000"), Ok(1 << 64));
    }
}
