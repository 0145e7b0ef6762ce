//! What a device's arithmetic is known for, which decides between texts of the same meaning. It holds no text.

/// What a device rounds correctly by itself. Where it does not, longer text does.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arithmetic {
    /// `/` of f32.
    pub exact_division: bool,
    /// `sqrt` of f32.
    pub exact_sqrt: bool,
}

impl Arithmetic {
    /// A device that rounds as IEEE 754 says.
    pub const EXACT: Arithmetic = Arithmetic { exact_division: true, exact_sqrt: true };
}
