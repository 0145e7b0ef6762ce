//! `allotrope devices`: the devices of this machine, what each says of itself, and how it computes by its probe. It says plainly
//! what is missing where there is none.

use super::args::DevicesArgs;
use super::error::CliError;
use super::output::print;

/// Prints them, or sweeps one of them.
///
/// # Errors
/// When nobody reads it, and as the sweep fails.
pub fn run(args: &DevicesArgs) -> Result<(), CliError> {
    #[cfg(feature = "opencl")]
    if let Some(functions) = &args.sweep {
        return super::sweep::run(args, functions);
    }
    #[cfg(not(feature = "opencl"))]
    if args.sweep.is_some() {
        return Err(CliError::without_opencl("--sweep"));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    print(&format!("cpu\n  this processor, {threads} threads; it defines the bits\n\n{}", opencl::all()))
}

#[cfg(not(feature = "opencl"))]
mod opencl {
    /// What there is.
    pub fn all() -> String {
        "opencl\n  this allotrope was built without OpenCL; build it with `--features opencl`\n".to_string()
    }
}

#[cfg(feature = "opencl")]
mod opencl {
    use allotrope::backend::opencl::{self, Description, Kind, Opened, Verdict, What};
    use allotrope::compare::format::seconds;
    use std::fmt::Write;

    /// What there is.
    pub fn all() -> String {
        let units = match opencl::units() {
            Ok(units) => units,
            Err(missing) => return format!("opencl\n  {missing}\n"),
        };
        let mut text = String::new();
        for (unit, number) in units.into_iter().zip(0..=u8::MAX) {
            if number > 0 {
                text.push('\n');
            }
            _ = writeln!(text, "opencl:{number}");
            match unit.describe() {
                Ok(description) => described(&mut text, &description),
                Err(failed) => _ = writeln!(text, "  {failed}"),
            }
            match opencl::of(number).opened() {
                Ok(opened) => judged(&mut text, opened),
                Err(error) => _ = writeln!(text, "  cannot be used: {error}"),
            }
        }
        text
    }

    fn row(text: &mut String, name: &str, value: impl std::fmt::Display) {
        _ = writeln!(text, "  {name:<16}{value}");
    }

    fn described(text: &mut String, of: &Description) {
        let kind = match of.kind {
            Kind::Cpu => "CPU",
            Kind::Gpu => "GPU",
            Kind::Other => "accelerator",
        };
        let gib = |bytes: usize| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
        row(text, "device", format!("{} ({kind}) of {}", of.name, of.vendor));
        row(text, "platform", format!("{}, {}", of.platform, of.platform_version));
        row(text, "version", format!("{}, driver {}", of.version, of.driver));
        row(text, "compute units", format!("{}, {} items in a work group at most", of.compute_units, of.largest_group));
        let whose = if of.shares_memory { ", shared with the host" } else { "" };
        let local = of.local_bytes >> 10;
        let (all, one) = (gib(of.global_bytes), gib(of.largest_buffer));
        row(text, "memory", format!("{all}, {one} in a buffer at most, {local} KiB local{whose}"));
    }

    fn judged(text: &mut String, opened: &Opened) {
        let Verdict { single, double, half, times } = opened.verdict();
        row(text, "launch", format!("{}, with a wait {}", seconds(times.launch), seconds(times.wait)));
        let giga = |rate: f64| format!("{:.1} GB/s", rate / 1e9);
        row(text, "transfer", format!("{} to the device, {} back", giga(times.upload), giga(times.download)));
        row(text, "first build", seconds(times.build));
        let folder = opened.cache_folder().map_or("off".to_string(), |folder| folder.display().to_string());
        row(text, "cache", folder);
        let f32 =
            if opened.verdict().equal_bits() { "the bits of this processor" } else { "not the bits of this processor" };
        row(text, "f32 has", f32);
        _ = writeln!(text, "\n  {:<16}{:<16}f64", "by its probe", "f32");
        for what in What::ALL {
            let (f32, f64) = (single.of(what).agreement, double.of(what).agreement);
            _ = writeln!(text, "  {what:<16}{f32:<16}{f64}");
        }
        _ = writeln!(text, "  {:<16}{}", "f16 in memory", half.agreement);
        let findings = What::ALL.iter().flat_map(|what| [single.of(*what), double.of(*what)]).chain([half]);
        for example in findings.filter_map(|finding| finding.example.as_ref()) {
            _ = writeln!(text, "    {example}");
        }
    }
}
