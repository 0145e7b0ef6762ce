//! Zip archives of plain members, as PyTorch and NumPy write them. A member is never larger in memory than what the archive can
//! hold: what its directory claims is held against the length of the file first.

use std::collections::HashSet;
use std::io::{self, Cursor, Read, Seek, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// Bytes that compressed members may have together, and as many times the archive's own: what is larger is no data but a trap.
const INFLATED: u64 = 64 << 20;
const TIMES: u64 = 256;

/// An archive that is read.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that members may still give: those that are stored as they are, and those that are compressed.
    stored: u64,
    inflated: u64,
}

impl<'a> Archive<'a> {
    /// # Errors
    /// When the bytes are no archive, or two of its members have one name.
    pub(super) fn of(bytes: &'a [u8]) -> Result<Archive<'a>, String> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("is no whole zip archive: {e}"))?;
        let mut names = HashSet::new();
        if let Some(twice) = directory(bytes, zip.central_directory_start())?.into_iter().find(|n| !names.insert(*n)) {
            return Err(format!("is damaged: member {:?} is there twice", String::from_utf8_lossy(twice)));
        }
        let len = bytes.len() as u64;
        Ok(Archive { zip, stored: len, inflated: len.saturating_mul(TIMES).saturating_add(INFLATED) })
    }

    /// The names of all members, in order.
    ///
    /// # Errors
    /// When one is no text.
    pub(super) fn names(&self) -> Result<Vec<String>, String> {
        let each = self.zip.file_names().map(|name| name.map(|name| name.into_owned()));
        each.collect::<Result<_, _>>().map_err(|e| format!("is damaged: the name of a member: {e}"))
    }

    /// The bytes of a member.
    ///
    /// # Errors
    /// When there is none of that name, it is damaged, or larger than it can be.
    pub(super) fn read(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let fault = |e: &dyn std::fmt::Display| format!("member {name:?}: {e}");
        let mut member = self.zip.by_name(name).map_err(|e| fault(&e))?;
        let (size, is_stored) = (member.size(), member.compression() == CompressionMethod::Stored);
        let left = if is_stored { &mut self.stored } else { &mut self.inflated };
        *left = left.checked_sub(size).ok_or_else(|| {
            fault(&format!(
                "its {size} bytes are more than an archive of this length holds; it is damaged, or meant to do harm"
            ))
        })?;
        let mut bytes = Vec::new();
        member.by_ref().take(size + 1).read_to_end(&mut bytes).map_err(|e| fault(&e))?;
        match bytes.len() as u64 == size {
            true => Ok(bytes),
            false => Err(fault(&format!("has not the {size} bytes that the directory says"))),
        }
    }
}

/// The names in the central directory, which begins at this byte, each as often as it is there.
fn directory(bytes: &[u8], start: u64) -> Result<Vec<&[u8]>, String> {
    const HEAD: usize = 46;
    let mut rest = usize::try_from(start).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
    let mut names = Vec::new();
    while rest.starts_with(b"PK\x01\x02") {
        let number = |at: usize| rest.get(at..at + 2).map_or(0, |n| usize::from(u16::from_le_bytes([n[0], n[1]])));
        let (name, more) = (number(28), number(30) + number(32));
        let cut = || "is damaged: its directory is cut off".to_string();
        names.push(rest.get(HEAD..HEAD + name).ok_or_else(cut)?);
        rest = rest.get(HEAD + name + more..).ok_or_else(cut)?;
    }
    Ok(names)
}

/// An archive that is written: members as they are, each beginning at a multiple of 64 bytes, and no moment of writing.
pub(super) struct Writer<W: Write + Seek>(ZipWriter<W>);

impl<W: Write + Seek> Writer<W> {
    pub(super) fn new(out: W) -> Writer<W> {
        Writer(ZipWriter::new(out))
    }

    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .with_alignment(64)
            .large_file(bytes.len() >= u32::MAX as usize);
        self.0.start_file(name, options).map_err(io::Error::other)?;
        self.0.write_all(bytes)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.0.finish().map(drop).map_err(io::Error::other)
    }
}
