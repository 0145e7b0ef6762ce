//! How a device computes, found out when it is opened: each class of operations on operands that are chosen to catch it, against
//! the host's results, and how long a launch and a transfer take. What a device says of itself decides nothing here. The verdict
//! is kept on disk, by device and driver.

mod rows;
mod text;
mod times;

use super::device::Opened;
use super::handles::{Arg, Kernel, Program};
use super::verdict::{Agreement, Finding, Findings, Times, Verdict, What};
use crate::error::{Error, Result};
use half::f16;
use rows::{Float, Row};
use std::time::Instant;

/// The verdict on a device that was just opened: the one that was kept, or a new one.
///
/// # Errors
/// When the device fails.
pub fn verdict(opened: &Opened) -> Result<Verdict> {
    let key = format!("verdict\0{}\0{}", opened.key, text::program(true));
    let kept = opened.cache.get(&key).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(verdict) = kept {
        return Ok(verdict);
    }
    let verdict = probe(opened)?;
    if let Ok(bytes) = serde_json::to_vec(&verdict) {
        opened.cache.put(&key, &bytes);
    }
    Ok(verdict)
}

fn probe(opened: &Opened) -> Result<Verdict> {
    let begun = Instant::now();
    // A driver that claims f64 and has none is one without.
    let with_double = opened.description.has_double.then(|| opened.compile(&text::program(true))).transpose();
    let (program, has_double) = match with_double {
        Ok(Some(program)) => (program, true),
        Ok(None) | Err(Error::Build { .. }) => (opened.compile(&text::program(false))?, false),
        Err(error) => return Err(error),
    };
    let build = begun.elapsed();
    let probe = Probe { opened, program };
    let mut verdict = Verdict { single: probe.compare::<f32>()?, ..Verdict::default() };
    if has_double {
        verdict.double = probe.compare::<f64>()?;
    }
    verdict.half = probe.half()?;
    verdict.times = Times { build: build.as_secs_f64(), ..times::measure(opened, &probe.kernel(text::NOTHING)?)? };
    Ok(verdict)
}

struct Probe<'a> {
    opened: &'a Opened,
    program: Program,
}

impl Probe<'_> {
    fn kernel(&self, name: &str) -> Result<Kernel> {
        self.opened.kernel(&self.program, name)
    }

    /// What a kernel makes of the input, which has `n` operands of a kind, when it runs for so many items.
    fn run(&self, name: &str, input: &[u8], n: usize, items: usize, output: usize) -> Result<Vec<u8>> {
        let opened = self.opened;
        let (x, y) = (opened.buffer(input.len())?, opened.buffer(output)?);
        opened.write(&x, 0, input)?;
        // What a kernel does not write is no result of it.
        opened.fill(&y, 0..output, &[0xA5])?;
        let args = [Arg::Buffer(&x), Arg::Buffer(&y), Arg::Long(n as i64)];
        opened.launch(&self.kernel(name)?, &args, [items, 1, 1], None, false)?;
        let mut bytes = vec![0; output];
        opened.read(&y, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// All rows of a dtype, one number at a time, and as vectors, for which drivers have other code.
    fn compare<T: Float>(&self) -> Result<Findings> {
        let (rows, operands) = (T::rows(), T::operands());
        let n = operands.len();
        let input: Vec<u8> = (0..3).flat_map(|k| operands.iter().flat_map(move |abc| abc[k].bytes())).collect();
        let mut findings = Findings::default();
        for width in text::WIDTHS {
            let name = text::name::<T>(width);
            let output = self.run(&name, &input, n, n / width, rows.len() * n * size_of::<T>())?;
            let mut results = output.chunks_exact(size_of::<T>()).map(T::of_bytes);
            for row in &rows {
                for (abc, device) in operands.iter().zip(results.by_ref()) {
                    if width > row.widest {
                        continue;
                    }
                    row.judge(*abc, device, &mut findings);
                }
            }
        }
        Ok(findings)
    }

    /// Every f16 loaded, and numbers around the middle of any two of them stored.
    fn half(&self) -> Result<Finding> {
        let mut finding = Findings::default();
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let input: Vec<u8> = all.iter().flat_map(|h| h.to_ne_bytes()).collect();
        let loaded = self.run(text::LOAD_HALF, &input, all.len(), all.len(), all.len() * 4)?;
        for (h, device) in all.iter().zip(loaded.chunks_exact(4).map(f32::of_bytes)) {
            let host = f16::from_bits(*h).to_f32();
            let example = || format!("vload_half of {h:#06x}: {device:?}, and {host:?} on the host");
            finding.note(What::Conversion, rows::agreement(host, device), example);
        }
        let numbers = rows::around_halves();
        let input: Vec<u8> = numbers.iter().flat_map(|x| x.to_ne_bytes()).collect();
        let stored = self.run(text::STORE_HALF, &input, numbers.len(), numbers.len(), numbers.len() * 2)?;
        for (x, device) in numbers.iter().zip(stored.as_chunks().0) {
            let (host, device) = (f16::from_f32(*x), f16::from_ne_bytes(*device));
            let same = host.to_bits() == device.to_bits() || (host.is_nan() && device.is_nan());
            let agreement = if same { Agreement::Equal } else { Agreement::Differs };
            let example = || format!("vstore_half_rte of {x:?}: {device:?}, and {host:?} on the host");
            finding.note(What::Conversion, agreement, example);
        }
        Ok(finding.of(What::Conversion).clone())
    }
}

impl<T: Float> Row<T> {
    /// Notes how the device's result agrees with the host's.
    fn judge(&self, [a, b, c]: [T; 3], device: T, findings: &mut Findings) {
        if !(self.fits)(a, b, c) {
            return;
        }
        let host = (self.host)(a, b, c);
        let product = if self.operands == 3 { a.times(b) } else { a };
        let numbers = [host, product, a, b, c];
        let is_small = numbers[..2 + self.operands].iter().any(|x| x.is_small());
        let what = if is_small { What::Subnormals } else { self.what };
        let example = || {
            let given = [a, b, c][..self.operands].iter().map(|x| format!("{x:?}")).collect::<Vec<_>>().join(", ");
            format!("`{}` of {given}: {device:?}, and {host:?} on the host", self.text)
        };
        findings.note(what, rows::agreement(host, device), example);
    }
}
