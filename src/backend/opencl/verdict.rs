//! How a device computes: what its probe found, as the rest of the backend asks for it. It finds out nothing itself.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Times in seconds, of an idle device.
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
pub struct Times {
    /// One of many launches, one after the other.
    pub launch: f64,
    /// A launch that is waited for.
    pub wait: f64,
    /// Bytes a second from the host to the device, and back.
    pub upload: f64,
    pub download: f64,
    /// The program of the probe, built from its text or taken from a cache of the driver's.
    pub build: f64,
}

/// A class of operations.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Sum, difference and product.
    Arithmetic,
    /// That a product and a sum in two statements are two roundings, with `FP_CONTRACT OFF`.
    Contraction,
    /// `fma` with one rounding.
    Fma,
    Division,
    SquareRoot,
    /// `floor`, `ceil`, `rint`, `trunc`, `fmod`.
    Rounding,
    /// From and to integers, and between f32 and f64.
    Conversion,
    /// Operands and results that are subnormal numbers, in all other classes.
    Subnormals,
}

impl What {
    pub const ALL: [What; 8] = [
        What::Arithmetic,
        What::Contraction,
        What::Fma,
        What::Division,
        What::SquareRoot,
        What::Rounding,
        What::Conversion,
        What::Subnormals,
    ];

    fn place(self) -> usize {
        self as usize
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            What::Arithmetic => "sum, product",
            What::Contraction => "no contraction",
            What::Fma => "fma",
            What::Division => "division",
            What::SquareRoot => "square root",
            What::Rounding => "rounding, fmod",
            What::Conversion => "conversion",
            What::Subnormals => "subnormals",
        })
    }
}

/// How results of a device agree with those of the host.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Agreement {
    /// The device cannot do it.
    #[default]
    Absent,
    /// The same bits; any NaN for a NaN.
    Equal,
    /// No further off than so many units in the last place.
    Within(u32),
    /// Further off, or something else altogether.
    Differs,
}

impl Agreement {
    /// The worse of the two, of which neither is absent.
    fn and(self, other: Agreement) -> Agreement {
        match (self, other) {
            (Agreement::Absent, x) | (x, Agreement::Absent) => x,
            (Agreement::Differs, _) | (_, Agreement::Differs) => Agreement::Differs,
            (Agreement::Within(a), Agreement::Within(b)) => Agreement::Within(a.max(b)),
            (Agreement::Equal, x) | (x, Agreement::Equal) => x,
        }
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Agreement::Absent => f.pad("absent"),
            Agreement::Equal => f.pad("equal bits"),
            Agreement::Within(ulps) => f.pad(&format!("within {ulps} ulp")),
            Agreement::Differs => f.pad("differs"),
        }
    }
}

/// What was found of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub agreement: Agreement,
    /// The first operation that did not agree, with its operands and results.
    pub example: Option<String>,
}

/// What was found of all classes in one dtype, in the order of [`What::ALL`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings([Finding; 8]);

impl Findings {
    pub fn of(&self, what: What) -> &Finding {
        &self.0[what.place()]
    }

    /// Whether the device has the host's bits in this class.
    pub fn is_equal(&self, what: What) -> bool {
        self.of(what).agreement == Agreement::Equal
    }

    /// Whether it has in all of them but division and square root, which can be had from the others.
    pub fn is_exact(&self) -> bool {
        let derived = |what| matches!(what, What::Division | What::SquareRoot);
        What::ALL.into_iter().all(|what| derived(what) || self.is_equal(what))
    }

    pub(super) fn note(&mut self, what: What, agreement: Agreement, example: impl FnOnce() -> String) {
        let finding = &mut self.0[what.place()];
        let worse = finding.agreement.and(agreement);
        if worse != finding.agreement {
            finding.agreement = worse;
            finding.example = (worse != Agreement::Equal).then(example);
        }
    }
}

/// How a device computes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    pub single: Findings,
    /// All absent where the device does not compute in f64.
    pub double: Findings,
    /// f16 in memory: loaded as f32, and stored with the nearest rounding.
    pub half: Finding,
    pub times: Times,
}

impl Verdict {
    /// Whether results of f32 have the host's bits, division and square root being had from fma where they must.
    pub fn equal_bits(&self) -> bool {
        self.single.is_exact()
    }

    /// What results depend on, as text: all but the times.
    pub(super) fn bits(&self) -> String {
        let classes = |f: &Findings| f.0.iter().map(|finding| format!("{:?}", finding.agreement)).collect::<Vec<_>>();
        let all = [classes(&self.single), classes(&self.double), vec![format!("{:?}", self.half.agreement)]];
        all.concat().join(",")
    }
}
