//! How tensors print, as `torch.set_printoptions` has it: for the whole process, or for one closure on this thread.
//! Nothing is formatted here.

use parking_lot::Mutex;
use std::cell::Cell;

/// What printing a tensor goes by. The names are those of `torch.set_printoptions`.
///
/// ```
/// use allotrope::prelude::*;
/// use allotrope::tensor::{PrintOptions, with_print_options};
/// let x = Tensor::from_vec(vec![1.12345f32], &[1]);
/// assert_eq!(x.to_string(), "tensor([1.1235])");
/// let two = PrintOptions { precision: 2, ..PrintOptions::default() };
/// assert_eq!(with_print_options(two, || x.to_string()), "tensor([1.12])");
/// assert_eq!(format!("{x:.2}"), "tensor([1.12])");
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PrintOptions {
    /// Digits after the point.
    pub precision: usize,
    /// Tensors of more elements are summarised.
    pub threshold: usize,
    /// Elements shown at each end of an axis of a summarised tensor.
    pub edgeitems: usize,
    /// Characters of a line, after which it is broken.
    pub linewidth: usize,
    /// Scientific notation always, never, or where the numbers ask for it.
    pub sci_mode: Option<bool>,
}

impl PrintOptions {
    /// The profile `default`.
    pub const DEFAULT: PrintOptions =
        PrintOptions { precision: 4, threshold: 1000, edgeitems: 3, linewidth: 80, sci_mode: None };
    /// The profile `short`: fewer digits and elements.
    pub const SHORT: PrintOptions = PrintOptions { precision: 2, edgeitems: 2, ..PrintOptions::DEFAULT };
    /// The profile `full`: every element, whatever the size.
    pub const FULL: PrintOptions = PrintOptions { threshold: usize::MAX, ..PrintOptions::DEFAULT };
}

impl Default for PrintOptions {
    fn default() -> PrintOptions {
        PrintOptions::DEFAULT
    }
}

static OPTIONS: Mutex<PrintOptions> = Mutex::new(PrintOptions::DEFAULT);

thread_local! {
    static HERE: Cell<Option<PrintOptions>> = const { Cell::new(None) };
}

/// Sets how tensors print in the whole process, as `torch.set_printoptions` does.
pub fn set_print_options(options: PrintOptions) {
    *OPTIONS.lock() = options;
}

/// How tensors print on this thread now.
pub fn print_options() -> PrintOptions {
    HERE.get().unwrap_or_else(|| *OPTIONS.lock())
}

/// Runs `f` with other options on this thread, as `torch.printoptions` does; the former ones hold again after it,
/// also where it panics.
pub fn with_print_options<T>(options: PrintOptions, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<PrintOptions>);
    impl Drop for Restore {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let _restore = Restore(HERE.replace(Some(options)));
    f()
}
