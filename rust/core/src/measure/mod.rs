//! Figures of a complete search that need all of its transitions.
//!
//! A measure is a strategy over one explored graph: it implements [`Measure`] in a file of its own, which also holds its result,
//! the rows that it answers with, and the columns of these rows. [`measure`] lists all measures, the more important ones first,
//! and takes one after the other within what the limit on memory leaves. A measure that does not fit is left out, and the answer
//! names the first such measure.
//!
//! Two measures look alike and differ: *interleavings* count every maximal path once, and *probability* lets each state choose
//! among its labelled transitions with equal chances. Short paths weigh little in the first and much in the second.
//!
//! Invariant: this folder uses `graph`, `number` and `store`, and none of them uses it. The search hands over a [`Subject`] and
//! knows no measure by name.

mod cause;
mod chain;
mod interleavings;
mod lanes;
mod price;
mod probability;
mod response;
mod subject;

use dashu_int::UBig;

pub use self::price::PriceRow;
pub use self::response::ResponseRow;
pub(crate) use self::subject::{ShortestTrace, Subject};

use self::interleavings::{CountInterleavings, Interleavings};
use self::price::AddUpPrices;
use self::probability::ComputeProbabilities;
use self::response::FindLostResponses;
use self::subject::Acyclic;
use crate::columns::Column;
use crate::limits::Reason;
use crate::space::Space;
use crate::store::account::MemoryAccount;

/// A strategy that computes figures from one explored graph.
trait Measure<S: Space> {
    /// Its name in the reason of an answer that lacks it.
    const NAME: &'static str;

    /// The figures.
    type Answer;

    /// Computes the figures; none if they have no meaning for this graph.
    fn take(&self, subject: &Subject<'_, S>, account: &mut MemoryAccount) -> Result<Option<Self::Answer>, Reason>;
}

/// The figures that need all transitions in memory, as an answer shows them; those of single outcomes stand in the rows of
/// outcomes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// Whether some state can be reached again from itself.
    pub cyclic: bool,
    /// A bound on the error of the logarithms of interleavings where these are too large for exact integers; none where they are
    /// exact.
    pub log10_error: Option<f64>,
    /// All responses, in the order of the Program; empty if they were left out.
    pub responses: Vec<ResponseRow>,
    /// For each outcome that was reached, all prices in the order of the Program; empty if they were not asked for or left out,
    /// and for a graph with cycles.
    pub prices: Vec<PriceRow>,
}

impl Measured {
    /// The table of a measure by its name; none if there is no such table.
    pub(crate) fn table(&self, name: &str) -> Option<Vec<Column>> {
        match name {
            "responses" => Some(ResponseRow::columns(&self.responses)),
            "prices" => Some(PriceRow::columns(&self.prices)),
            _ => None,
        }
    }
}

/// The figures of one outcome; each is none if it was left out or has no meaning for the graph.
#[derive(Debug, Default)]
pub(crate) struct OutcomeFigures {
    pub(crate) interleavings: Option<UBig>,
    pub(crate) log10_interleavings: Option<f64>,
    pub(crate) interleaving_share: Option<f64>,
    pub(crate) probability: Option<f64>,
}

/// All measures of one graph.
#[derive(Debug)]
pub(crate) struct Measures {
    pub(crate) measured: Measured,
    interleavings: Option<Interleavings>,
    probabilities: Option<Vec<f64>>,
    /// Why a measure was left out, if one was.
    pub(crate) left_out: Option<Reason>,
}

impl Measures {
    pub(crate) fn of(&self, outcome: usize) -> OutcomeFigures {
        let interleavings = self.interleavings.as_ref();
        OutcomeFigures {
            interleavings: interleavings.and_then(|all| all.exact(outcome)),
            log10_interleavings: interleavings.and_then(|all| all.log10(outcome)),
            interleaving_share: interleavings.map(|all| all.share(outcome)),
            probability: self.probabilities.as_ref().map(|all| all[outcome]),
        }
    }
}

/// Takes all measures of a graph; fails only if the search has to stop. The account says what was held, in either case.
pub(crate) fn measure<S: Space>(subject: &Subject<'_, S>, account: &mut MemoryAccount) -> Result<Measures, Reason> {
    let acyclic = Acyclic::of(subject, account)?;
    let mut run = Run { subject, account, left_out: None };
    let acyclic = acyclic.as_ref();
    let responses = run.take(&FindLostResponses { acyclic: acyclic.filter(|_| !subject.diverges) })?;
    let probabilities = run.take(&ComputeProbabilities { acyclic })?;
    let interleavings = run.take(&CountInterleavings { acyclic })?;
    let prices = run.take(&AddUpPrices { acyclic, interleavings: interleavings.as_ref() })?;
    let measured = Measured {
        cyclic: acyclic.is_none() || subject.diverges,
        log10_error: interleavings.as_ref().and_then(Interleavings::log10_error),
        responses: responses.unwrap_or_default(),
        prices: prices.unwrap_or_default(),
    };
    Ok(Measures { measured, interleavings, probabilities, left_out: run.left_out })
}

/// The measures of a graph under way.
struct Run<'a, S> {
    subject: &'a Subject<'a, S>,
    account: &'a mut MemoryAccount,
    left_out: Option<Reason>,
}

impl<S: Space> Run<'_, S> {
    /// The figures of a measure; none if there is no memory for it, or if it has no meaning for this graph.
    fn take<M: Measure<S>>(&mut self, measure: &M) -> Result<Option<M::Answer>, Reason> {
        self.account.begin(M::NAME);
        self.subject.watch.monitor.begin(M::NAME);
        match measure.take(self.subject, self.account) {
            Err(reason @ Reason::LeftOut { .. }) => {
                self.left_out = self.left_out.or(Some(reason));
                Ok(None)
            }
            answer => answer,
        }
    }
}
