//! Schedulers against PyTorch's rates in `tests/data/schedulers`, beside a traced step that follows them.

use std::path::Path;

#[test]
fn schedulers_have_pytorchs_rates() {
    let all = crate::cases::run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schedulers"));
    let passed: usize = all.iter().map(|o| o.passed).sum();
    let failed: Vec<&String> = all.iter().flat_map(|o| &o.failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(passed, 32);
    assert!(all.iter().all(|o| o.class.starts_with("schedulers.")));
}
