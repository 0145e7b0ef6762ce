//! A GIF89a writer for pictures of few, known colours: one palette for all frames, only what changed is stored.
//!
//! It knows indexed pixels, never charts. The plotting library's own GIF output chooses a palette anew for every
//! frame, which flickers and takes several times the space.

use rustc_hash::FxHashMap;
use std::io::{self, Write};

/// Colours that a palette may hold; the last of the 256 entries means "as in the frame before".
pub const MOST_COLORS: usize = 255;
const UNCHANGED: u8 = 255;
const LITERAL_BITS: u32 = 8;
const CLEAR: u16 = 256;
const END: u16 = 257;
const MOST_CODES: u16 = 4096;

/// Writes frames one after the other; nothing but the last frame stays in memory.
pub struct GifWriter<W: Write> {
    out: W,
    width: u16,
    height: u16,
    last: Option<Vec<u8>>,
}

impl<W: Write> GifWriter<W> {
    /// Starts an endlessly repeating animation of `width` by `height` pixels.
    ///
    /// # Panics
    /// When the palette is empty or holds more than `MOST_COLORS`.
    pub fn new(mut out: W, width: u16, height: u16, palette: &[[u8; 3]]) -> io::Result<Self> {
        assert!(!palette.is_empty() && palette.len() <= MOST_COLORS, "1 to 255 colours");
        out.write_all(b"GIF89a")?;
        out.write_all(&width.to_le_bytes())?;
        out.write_all(&height.to_le_bytes())?;
        out.write_all(&[0b1111_0111, 0, 0])?; // A global table of 2^8 entries, 8 bits a channel.
        let mut table = [[0u8; 3]; 256];
        table[..palette.len()].copy_from_slice(palette);
        out.write_all(table.as_flattened())?;
        out.write_all(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")?; // Repeat for ever.
        Ok(Self { out, width, height, last: None })
    }

    /// Adds a frame of palette indices, row after row, shown for `hundredths` of a second.
    ///
    /// # Panics
    /// When `pixels` is not `width * height` long.
    pub fn frame(&mut self, pixels: Vec<u8>, hundredths: u16) -> io::Result<()> {
        let width = usize::from(self.width);
        assert_eq!(pixels.len(), width * usize::from(self.height), "a frame has every pixel");
        let (left, top, right, bottom) = match &self.last {
            None => (0, 0, width, usize::from(self.height)),
            Some(last) => changed_box(last, &pixels, width),
        };
        self.out.write_all(&[0x21, 0xf9, 4, 0b0000_0101])?; // Leave in place; one index is transparent.
        self.out.write_all(&hundredths.to_le_bytes())?;
        self.out.write_all(&[UNCHANGED, 0, 0x2c])?;
        for value in [left, top, right - left, bottom - top] {
            self.out.write_all(&(value as u16).to_le_bytes())?;
        }
        self.out.write_all(&[0, LITERAL_BITS as u8])?;
        let mut codes = LzwWriter::new(&mut self.out);
        codes.start()?;
        for y in top..bottom {
            for at in (y * width + left)..(y * width + right) {
                let same = self.last.as_ref().is_some_and(|last| last[at] == pixels[at]);
                codes.push(if same { UNCHANGED } else { pixels[at] })?;
            }
        }
        codes.finish()?;
        self.last = Some(pixels);
        Ok(())
    }

    /// Ends the file.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&[0x3b])?;
        self.out.flush()
    }
}

/// The smallest box around all differing pixels as left, top, right, bottom (the last two excluded); one pixel
/// when nothing differs, because a frame cannot be empty.
fn changed_box(last: &[u8], next: &[u8], width: usize) -> (usize, usize, usize, usize) {
    let mut found: Option<(usize, usize, usize, usize)> = None;
    let rows = last.chunks_exact(width).zip(next.chunks_exact(width));
    for (y, (before, after)) in rows.enumerate() {
        let Some(first) = before.iter().zip(after).position(|(a, b)| a != b) else { continue };
        let end = before.iter().zip(after).rposition(|(a, b)| a != b).unwrap_or(first) + 1;
        let (left, top, right, _) = found.unwrap_or((first, y, end, y));
        found = Some((left.min(first), top, right.max(end), y + 1));
    }
    found.unwrap_or((0, 0, 1, 1))
}

/// Variable-width LZW in sub-blocks of up to 255 bytes (GIF89a, appendix F).
struct LzwWriter<'a, W: Write> {
    out: &'a mut W,
    block: Vec<u8>,
    bits: u32,
    bit_count: u32,
    code_bits: u32,
    next: u16,
    codes: FxHashMap<(u16, u8), u16>,
    prefix: Option<u16>,
}

impl<'a, W: Write> LzwWriter<'a, W> {
    fn new(out: &'a mut W) -> Self {
        Self {
            out,
            block: Vec::with_capacity(255),
            bits: 0,
            bit_count: 0,
            code_bits: LITERAL_BITS + 1,
            next: END + 1,
            codes: FxHashMap::default(),
            prefix: None,
        }
    }

    fn start(&mut self) -> io::Result<()> {
        self.emit(CLEAR)
    }

    fn push(&mut self, literal: u8) -> io::Result<()> {
        let Some(prefix) = self.prefix else {
            self.prefix = Some(u16::from(literal));
            return Ok(());
        };
        if let Some(code) = self.codes.get(&(prefix, literal)) {
            self.prefix = Some(*code);
            return Ok(());
        }
        self.emit(prefix)?;
        self.prefix = Some(u16::from(literal));
        if self.next == MOST_CODES {
            self.emit(CLEAR)?;
            self.codes.clear();
            self.code_bits = LITERAL_BITS + 1;
            self.next = END + 1;
            return Ok(());
        }
        self.codes.insert((prefix, literal), self.next);
        // The reader learns each code one step later, so the width grows when the code just made needs it.
        if self.next == 1 << self.code_bits {
            self.code_bits += 1;
        }
        self.next += 1;
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        if let Some(prefix) = self.prefix.take() {
            self.emit(prefix)?;
        }
        // The reader has learnt one more code by now, and may have grown its width for it.
        if self.next == 1 << self.code_bits && self.code_bits < 12 {
            self.code_bits += 1;
        }
        self.emit(END)?;
        while self.bit_count > 0 {
            self.byte()?;
        }
        self.flush()?;
        self.out.write_all(&[0])
    }

    fn emit(&mut self, code: u16) -> io::Result<()> {
        self.bits |= u32::from(code) << self.bit_count;
        self.bit_count += self.code_bits;
        while self.bit_count >= 8 {
            self.byte()?;
        }
        Ok(())
    }

    fn byte(&mut self) -> io::Result<()> {
        self.block.push(self.bits as u8);
        self.bits >>= 8;
        self.bit_count = self.bit_count.saturating_sub(8);
        if self.block.len() == 255 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.out.write_all(&[self.block.len() as u8])?;
            self.out.write_all(&self.block)?;
            self.block.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader's half of LZW, straight from the specification: what the writer must be understood by.
    fn decode(data: &[u8]) -> Vec<u8> {
        let (mut bits, mut count, mut at) = (0u32, 0u32, 0usize);
        let mut width = LITERAL_BITS + 1;
        let mut table: Vec<Vec<u8>> = Vec::new();
        let mut last: Option<Vec<u8>> = None;
        let mut pixels = Vec::new();
        loop {
            while count < width {
                bits |= u32::from(data[at]) << count;
                count += 8;
                at += 1;
            }
            let code = (bits & ((1 << width) - 1)) as u16;
            bits >>= width;
            count -= width;
            if code == CLEAR {
                table = (0..=END).map(|code| vec![code as u8]).collect();
                width = LITERAL_BITS + 1;
                last = None;
                continue;
            }
            if code == END {
                return pixels;
            }
            let known = table.get(usize::from(code)).cloned();
            let entry = known.unwrap_or_else(|| {
                let mut entry = last.clone().expect("a new code follows another");
                entry.push(entry[0]);
                entry
            });
            pixels.extend(&entry);
            if let Some(mut learnt) = last.filter(|_| table.len() < usize::from(MOST_CODES)) {
                learnt.push(entry[0]);
                table.push(learnt);
                if table.len() == 1 << width && width < 12 {
                    width += 1;
                }
            }
            last = Some(entry);
        }
    }

    fn round_trip(pixels: &[u8]) {
        let mut out = Vec::new();
        let mut writer = LzwWriter::new(&mut out);
        writer.start().expect("memory");
        for &pixel in pixels {
            writer.push(pixel).expect("memory");
        }
        writer.finish().expect("memory");
        let mut data = Vec::new();
        let mut at = 0;
        while out[at] != 0 {
            let length = usize::from(out[at]);
            data.extend(&out[at + 1..=at + length]);
            at += length + 1;
        }
        assert_eq!(at + 1, out.len(), "nothing follows the last sub-block");
        assert!(decode(&data) == pixels, "{} pixels came back different", pixels.len());
    }

    #[test]
    fn every_length_reads_back() {
        // Lengths around every growth of the code width, in noise (the table grows fastest) and in runs.
        let noise = |i: usize| (i.wrapping_mul(2_654_435_761) >> 13) as u8;
        for length in (0..1100).chain(3700..3900) {
            round_trip(&(0..length).map(noise).collect::<Vec<_>>());
        }
        round_trip(&(0..60_000).map(noise).collect::<Vec<_>>());
        round_trip(&vec![7; 300_000]);
        round_trip(&(0..40_000).map(|i| (i / 97 % 5) as u8).collect::<Vec<_>>());
    }

    #[test]
    fn only_the_box_that_changed_is_stored() {
        let last = vec![0; 20];
        let mut next = last.clone();
        assert_eq!(changed_box(&last, &next, 5), (0, 0, 1, 1));
        next[6] = 1;
        next[13] = 1;
        assert_eq!(changed_box(&last, &next, 5), (1, 1, 4, 3));
    }
}
