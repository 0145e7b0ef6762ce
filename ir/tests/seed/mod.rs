//! The seed of tests that draw at random: fixed, so that a commit passes or fails everywhere alike, unless the variables
//! say otherwise. See docs/testing.md.

use proptest::test_runner::{Config, RngSeed};

/// The seed of the default run.
const SEED: u64 = 0;

/// So many cases of the fixed seed, or what proptest's own variables `PROPTEST_CASES` and `PROPTEST_RNG_SEED` say. What is
/// drawn is printed, which a test that fails shows. Nothing is written to files: a case that fails becomes a test of its
/// own.
pub fn config(cases: u32) -> Config {
    let given = Config::default();
    let seed = match given.rng_seed {
        RngSeed::Random => SEED,
        RngSeed::Fixed(seed) => seed,
    };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { given.cases } else { cases };
    println!("drawn at random; the same again: PROPTEST_RNG_SEED={seed} PROPTEST_CASES={cases}");
    Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..given }
}
