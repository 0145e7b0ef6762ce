//! Every operator against PyTorch's own test database: values, gradients and refusals, eager and traced, with equal bits.
//!
//! `ALLOTROPE_OPINFO=DIR` says where the cases are (see `corpus::folder` for the default), `ALLOTROPE_OPINFO_ONLY=add,mul`
//! runs some operators only, `ALLOTROPE_OPINFO_VERBOSE=1` shows every failing case. An operator without an adapter fails.

mod adapters;
#[allow(dead_code, reason = "every way to read an argument is here, whether or not an adapter needs it now")]
mod case;
mod compare;
mod corpus;
#[cfg(feature = "opencl")]
mod device;
mod document;
mod dtypes;
mod promotion;
mod quiet;
mod report;
mod run;
mod sample;
mod second;
mod selftest;

mod forms;
mod tape;

use adapters::adapters;

#[test]
fn every_operator_of_the_corpus() {
    let report = report::run(&corpus::folder(), &adapters(), report::only());
    println!("{report}");
    assert!(report.is_clean(), "the corpus has failures; they are listed above");
}
