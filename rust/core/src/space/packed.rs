//! The two sizes of number that hold a coded state: most models need 64 bits, some 128.

use std::fmt::Debug;
use std::ops::{BitAnd, BitOr, BitXor, BitXorAssign, Not, Shl, Shr};

/// A number as a row of bits.
pub(crate) trait Packed:
    Copy
    + Debug
    + Default
    + Eq
    + Ord
    + Send
    + Sync
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + BitXorAssign
    + Not<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
    + From<u32>
{
    /// Bits of a state at most: one bit is never used, so that no state is [`Self::NONE`].
    const MOST_BITS: u32;
    /// No state.
    const NONE: Self;

    /// The lowest 64 bits,
    fn low(self) -> u64;
    /// and those above.
    fn high(self) -> u64;
    /// Sum and product, of which nothing is lost where they are used.
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// How many bits are set,
    fn count(self) -> u32;
    /// where the lowest of them is,
    fn lowest(self) -> u32;
    /// and all but that.
    fn but_lowest(self) -> Self;

    fn is_zero(self) -> bool {
        self == Self::default()
    }
}

macro_rules! packed {
    ($word:ty, $high:expr) => {
        impl Packed for $word {
            const MOST_BITS: u32 = Self::BITS - 1;
            const NONE: Self = Self::MAX;

            #[inline]
            fn low(self) -> u64 {
                self as u64
            }

            #[inline]
            fn high(self) -> u64 {
                $high(self)
            }

            #[inline]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            #[inline]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }

            #[inline]
            fn count(self) -> u32 {
                self.count_ones()
            }

            #[inline]
            fn lowest(self) -> u32 {
                self.trailing_zeros()
            }

            #[inline]
            fn but_lowest(self) -> Self {
                self & self.wrapping_sub(1)
            }
        }
    };
}

packed!(u64, |_| 0);
packed!(u128, |word| (word >> 64) as u64);
