//! Tables in CSV files. The cells are kept as text and become numbers when a column is asked for, so that an error can say which
//! line and column it is about.

use crate::error::{Error, Result};
use crate::file::{file_error, read_whole};
use crate::mode::values::no_host_read;
use crate::tensor::Tensor;
use allotrope_ir::DType;
use csv::{ReaderBuilder, StringRecord, Trim};
use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::path::{Path, PathBuf};

/// What a cell without a value is: an empty one, or `NA`, `N/A`, `NaN`, `null`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// An error that says where it is.
    #[default]
    Error,
    /// Not a number; an error still for whole numbers, which have none.
    NaN,
}

/// How a CSV file is read.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// Whether the first line has the names of the columns; without, they are `0`, `1`, ...
    pub has_header: bool,
    /// What is between two cells.
    pub delimiter: u8,
    /// Lines that begin with this are left out.
    pub comment: Option<u8>,
    pub missing: Missing,
}

impl Default for CsvOptions {
    fn default() -> CsvOptions {
        CsvOptions { has_header: true, delimiter: b',', comment: None, missing: Missing::Error }
    }
}

/// A table that was read.
///
/// ```
/// use allotrope::{data::{CsvOptions, read_csv}, prelude::*};
/// let path = std::env::temp_dir().join(format!("allotrope-csv-{}.csv", std::process::id()));
/// std::fs::write(&path, "width,height,kind\n1.5,2,cat\n2.5,1,dog\n").unwrap();
/// let table = read_csv(&path, CsvOptions::default())?;
/// let x = table.tensor(&["width", "height"], DType::F32)?;
/// let (y, kinds) = table.classes("kind")?;
/// assert_eq!((x.shape().to_vec(), y.to_vec::<i64>(), kinds), (vec![2, 2], vec![0, 1], vec!["cat".to_string(), "dog".into()]));
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    path: PathBuf,
    names: Vec<String>,
    rows: Vec<StringRecord>,
    /// The line in which each row begins.
    lines: Vec<usize>,
    missing: Missing,
}

/// Reads a CSV file (<https://www.rfc-editor.org/rfc/rfc4180>).
///
/// # Errors
/// When the file cannot be read, lines have not the same number of cells, or two columns have one name.
#[track_caller]
pub fn read_csv(path: impl AsRef<Path>, options: CsvOptions) -> Result<Table> {
    let path = path.as_ref();
    no_host_read("read_csv()", Location::caller())?;
    let bytes = read_whole(path)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = ReaderBuilder::new();
    reader.has_headers(options.has_header).delimiter(options.delimiter).comment(options.comment).trim(Trim::All);
    let mut reader = reader.from_reader(bytes);
    let fault = |e: csv::Error| file_error(path, words(&e, bytes, options.comment));
    let header = if options.has_header { Some(reader.headers().map_err(fault)?.clone()) } else { None };
    let rows: Vec<StringRecord> = reader.into_records().collect::<Result<_, _>>().map_err(fault)?;
    let names: Vec<String> = match header {
        Some(header) => header.iter().map(str::to_string).collect(),
        None => (0..rows.first().map_or(0, StringRecord::len)).map(|i| i.to_string()).collect(),
    };
    let mut seen = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(file_error(path, format!("has two columns {twice:?}")));
    }
    let mut lines = Lines::new(bytes, options.comment);
    let lines = rows.iter().map(|row| row.position().map_or(0, |p| lines.of(p))).collect();
    Ok(Table { path: path.to_path_buf(), names, rows, lines, missing: options.missing })
}

/// Counts lines up to one row after the other. The reader's own numbers are those of the place where the row before ended, which
/// may be the line before, an empty one or a comment.
struct Lines<'a> {
    bytes: &'a [u8],
    comment: Option<u8>,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn new(bytes: &[u8], comment: Option<u8>) -> Lines<'_> {
        Lines { bytes, comment, at: 0, line: 1 }
    }

    fn of(&mut self, position: &csv::Position) -> usize {
        let mut start = usize::try_from(position.byte()).unwrap_or(usize::MAX).clamp(self.at, self.bytes.len());
        while let Some(&next) = self.bytes.get(start) {
            let line_end = || self.bytes[start..].iter().position(|b| *b == b'\n');
            match next {
                b'\r' | b'\n' => start += 1,
                next if Some(next) == self.comment => start = line_end().map_or(self.bytes.len(), |n| start + n),
                _ => break,
            }
        }
        self.line += self.bytes[self.at..start].iter().filter(|b| **b == b'\n').count();
        self.at = start;
        self.line
    }
}

/// What is wrong with a line.
fn words(e: &csv::Error, bytes: &[u8], comment: Option<u8>) -> String {
    let line = |position: &Option<csv::Position>| position.as_ref().map_or(0, |p| Lines::new(bytes, comment).of(p));
    match e.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = line(pos);
            format!("line {line}: has {len} cells, and the lines before have {expected_len}")
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            format!("line {}: is not UTF-8", line(pos))
        }
        _ => format!("cannot be read: {e}"),
    }
}

impl Table {
    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Some columns as a tensor `[rows, columns]`.
    ///
    /// # Errors
    /// When there is no such column, or a cell is no number of the dtype; the error says the line. The dtype is f32, f64, i64, i32, u8
    /// or bool (`true`, `false`, 1, 0).
    #[track_caller]
    pub fn tensor(&self, columns: &[&str], dtype: DType) -> Result<Tensor> {
        let places = columns.iter().map(|name| self.place(name)).collect::<Result<Vec<_>>>()?;
        self.parsed(&places, &[self.len(), columns.len()], dtype)
    }

    /// A column as a tensor `[rows]`.
    ///
    /// # Errors
    /// As [`Table::tensor`].
    #[track_caller]
    pub fn column(&self, name: &str, dtype: DType) -> Result<Tensor> {
        self.parsed(&[self.place(name)?], &[self.len()], dtype)
    }

    /// A column as text.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn text(&self, name: &str) -> Result<Vec<&str>> {
        let place = self.place(name)?;
        Ok(self.rows.iter().map(|row| &row[place]).collect())
    }

    /// A column of names as numbers, i64 `[rows]`, and the names in order: number `i` is name `i`.
    ///
    /// # Errors
    /// When there is no such column, or a cell has no value.
    #[track_caller]
    pub fn classes(&self, name: &str) -> Result<(Tensor, Vec<String>)> {
        let place = self.place(name)?;
        let cells = self.rows.iter().enumerate().map(|(i, row)| match is_missing(&row[place]) {
            true => Err(self.fault(i, place, "there is no value")),
            false => Ok(&row[place]),
        });
        let cells = cells.collect::<Result<Vec<&str>>>()?;
        let mut classes: Vec<&str> = cells.clone();
        classes.sort_unstable();
        classes.dedup();
        let numbers: HashMap<&str, i64> = classes.iter().zip(0..).map(|(name, i)| (*name, i)).collect();
        let labels = Tensor::try_from_vec(cells.iter().map(|cell| numbers[cell]).collect(), &[self.len()])?;
        Ok((labels, classes.into_iter().map(str::to_string).collect()))
    }

    fn place(&self, name: &str) -> Result<usize> {
        let place = self.names.iter().position(|known| known == name);
        place.ok_or_else(|| file_error(&self.path, format!("has no column {name:?}; its columns are {:?}", self.names)))
    }

    fn fault(&self, row: usize, place: usize, message: &str) -> Error {
        let line = self.lines[row];
        file_error(&self.path, format!("line {line}, column {:?}: {message}", self.names[place]))
    }

    #[track_caller]
    fn parsed(&self, places: &[usize], shape: &[usize], dtype: DType) -> Result<Tensor> {
        fn number<T: std::str::FromStr>(cell: &str) -> Option<T> {
            cell.parse().ok()
        }
        match dtype {
            DType::F32 => Tensor::try_from_vec(self.cells(places, dtype, Some(f32::NAN), number)?, shape),
            DType::F64 => Tensor::try_from_vec(self.cells(places, dtype, Some(f64::NAN), number)?, shape),
            DType::I64 => Tensor::try_from_vec(self.cells::<i64>(places, dtype, None, number)?, shape),
            DType::I32 => Tensor::try_from_vec(self.cells::<i32>(places, dtype, None, number)?, shape),
            DType::U8 => Tensor::try_from_vec(self.cells::<u8>(places, dtype, None, number)?, shape),
            DType::Bool => {
                let truth = |cell: &str| match cell {
                    "1" | "true" | "True" | "TRUE" => Some(true),
                    "0" | "false" | "False" | "FALSE" => Some(false),
                    _ => None,
                };
                Tensor::try_from_vec(self.cells(places, dtype, None, truth)?, shape)
            }
            DType::F16 | DType::BF16 => Err(Error::argument(format!(
                "a column is read as f32, f64, i64, i32, u8 or bool, got {dtype}; convert it then"
            ))),
        }
    }

    /// All cells of some columns, row by row.
    fn cells<T: Copy>(
        &self,
        places: &[usize],
        dtype: DType,
        nan: Option<T>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>> {
        let mut out = Vec::with_capacity(self.rows.len() * places.len());
        for (i, row) in self.rows.iter().enumerate() {
            for &place in places {
                let cell = &row[place];
                out.push(match (is_missing(cell), self.missing, nan) {
                    (true, Missing::NaN, Some(nan)) => nan,
                    (true, Missing::NaN, None) => {
                        return Err(self.fault(i, place, &format!("there is no value, and {dtype} has no NaN")));
                    }
                    (true, Missing::Error, _) => {
                        let message = "there is no value; leave the line out, or read the file with Missing::NaN";
                        return Err(self.fault(i, place, message));
                    }
                    (false, ..) => {
                        parse(cell).ok_or_else(|| self.fault(i, place, &format!("{cell:?} is no number of {dtype}")))?
                    }
                });
            }
        }
        Ok(out)
    }
}

fn is_missing(cell: &str) -> bool {
    cell.is_empty() || ["na", "n/a", "nan", "null"].iter().any(|none| cell.eq_ignore_ascii_case(none))
}
