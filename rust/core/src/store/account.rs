//! The account of memory for everything that is computed from a complete search.
//!
//! The search looks at its limit after each batch. What follows it allocates in few large pieces, so each piece is asked for
//! before it is allocated. Whoever is refused leaves its figure out: the answer is then incomplete and names the figure.
//!
//! Invariant: `held` plus the largest piece that is in use for a while never exceeds the limit, if the search itself did not.
//!
//! Rejected: asking the operating system how much is resident. The answer depends on the machine and the moment, so the same
//! limit would leave out different figures.

use crate::limits::Reason;
use crate::store::memory::{Cell, Cells};

/// How much memory is held, and how much may be.
#[derive(Debug)]
pub(crate) struct MemoryAccount {
    /// The limit on memory, in bytes; none if there is none.
    limit: Option<u64>,
    /// Bytes that stay allocated until they are released.
    held: usize,
    /// The largest sum of held bytes and one request.
    peak: usize,
    /// The figure that is being computed, for the reason of a refusal.
    figure: &'static str,
}

impl MemoryAccount {
    /// An account that starts with what the search holds.
    pub(crate) fn new(limit: Option<u64>, held: usize) -> Self {
        Self { limit, held, peak: held, figure: "measures" }
    }

    /// Names the figure that later requests are for.
    pub(crate) fn begin(&mut self, figure: &'static str) {
        self.figure = figure;
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// Bytes that the limit leaves.
    pub(crate) fn left(&self) -> usize {
        self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(self.held))
    }

    fn refusal(&self) -> Reason {
        Reason::LeftOut { figure: self.figure, limit: self.limit }
    }

    /// Asks for memory that is freed before the next request, unless it is [retained](Self::retain).
    pub(crate) fn request(&mut self, bytes: usize) -> Result<(), Reason> {
        if bytes > self.left() {
            return Err(self.refusal());
        }
        self.peak = self.peak.max(self.held.saturating_add(bytes));
        Ok(())
    }

    /// Counts requested memory as held until it is released.
    pub(crate) fn retain(&mut self, bytes: usize) {
        self.held += bytes;
    }

    /// Counts retained memory as free again.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.held -= bytes;
    }

    /// Requests and allocates zeroed cells.
    pub(crate) fn cells<C: Cell>(&mut self, count: usize) -> Result<Cells<C>, Reason> {
        self.request(count.saturating_mul(size_of::<C>()))?;
        Cells::zeroed(count).map_err(|_| self.refusal())
    }
}

#[cfg(test)]
mod tests {
    use crate::sync::AtomicU64;

    use super::*;

    #[test]
    fn a_request_beyond_the_limit_is_refused_and_names_its_figure() {
        let mut account = MemoryAccount::new(Some(100), 40);
        account.begin("probabilities");
        assert_eq!(account.request(60), Ok(()));
        let refused = Reason::LeftOut { figure: "probabilities", limit: Some(100) };
        assert_eq!(account.request(61), Err(refused));
        account.retain(60);
        assert_eq!(account.cells::<AtomicU64>(1).unwrap_err(), refused);
        account.release(30);
        assert_eq!(account.cells::<AtomicU64>(3).unwrap().as_slice().len(), 3);
        assert_eq!((account.left(), account.peak()), (30, 100));
    }

    #[test]
    fn without_a_limit_only_the_system_refuses() {
        let mut account = MemoryAccount::new(None, 40);
        assert_eq!(account.request(1 << 40), Ok(()));
        let refused = account.cells::<AtomicU64>(usize::MAX / 64).unwrap_err();
        assert_eq!(refused.to_string(), "no memory for measures");
    }
}
