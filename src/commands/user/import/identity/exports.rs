//! A folder of CSV files named after the tables, as the tools of SQL Server, PostgreSQL and SQLite write them: UTF-8 or UTF-16
//! with a mark at the beginning, separated by commas, semicolons or tabs, with a header, and `NULL` where there is nothing.

use crate::failure::Failure;
use crate::store::identity_source::{Found, Selection, Table, Tables};
use crate::store::imports::{Finding, Place, Weight};
use csv::{ByteRecord, Position, Reader, ReaderBuilder};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// What stands for nothing: in the tools of SQL Server, and in those of `MySQL`.
const NOTHING: [&[u8]; 2] = [b"NULL", b"\\N"];
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_MARKS: [([u8; 2], bool); 2] = [([0xff, 0xfe], true), ([0xfe, 0xff], false)];
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// How much of a file the header is looked for in, in bytes.
const HEADER: usize = 64 * 1024;

/// The folder.
pub(super) struct Folder {
    files: BTreeMap<String, (PathBuf, Vec<String>)>,
}

impl Folder {
    /// Finds the files.
    ///
    /// # Errors
    /// The folder, or a file, cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let named = |error| Failure::at(path.display(), error);
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(path).map_err(named)? {
            let file = entry.map_err(named)?.path();
            let is_csv = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
            let Some(stem) = file.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_csv && file.is_file())
            else {
                continue;
            };
            // dbo.AspNetUsers.csv is that table.
            let name = stem.rsplit('.').next().unwrap_or(stem).to_owned();
            let mut reader = open(&file)?;
            let header = reader.byte_headers().map_err(|error| Failure::at(file.display(), error))?;
            let columns = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
            let named = file.display().to_string();
            if let Some((other, _)) = files.insert(name, (file, columns)) {
                let what = format!("{named} and {} are exports of one table", other.display());
                return Err(Failure::new(what).with_fix("leave one of them in the folder"));
            }
        }
        Ok(Self { files })
    }

    /// Its files as tables.
    pub(super) fn tables(&self) -> Vec<Found> {
        let found = |(name, (_, columns)): (&String, &(PathBuf, Vec<String>))| Found {
            schema: None,
            name: name.clone(),
            columns: columns.clone(),
            is_visible: true,
        };
        self.files.iter().map(found).collect()
    }

    /// Copies a table; a row that is none is told.
    ///
    /// # Errors
    /// The file cannot be read, or the database of the import failed.
    pub(super) async fn copy(
        &self,
        selection: &Selection,
        into: &mut Tables<'_>,
        intake: &mut impl FnMut(Finding),
    ) -> Result<(), Failure> {
        let Some((file, header)) = self.files.get(&selection.name) else { return Ok(()) };
        let find = |column: &Option<String>| header.iter().position(|name| Some(name) == column.as_ref());
        let places: Vec<Option<usize>> = selection.columns.iter().map(find).collect();
        into.begin(selection).await?;
        let (mut reader, mut record) = (open(file)?, ByteRecord::new());
        while reader.read_byte_record(&mut record).map_err(|error| Failure::at(file.display(), error))? {
            if is_ruler(&record) || is_count(&record) {
                continue;
            }
            let line = record.position().map(Position::line);
            let fields: Result<Vec<Option<String>>, Failure> = if record.len() == header.len() {
                places.iter().map(|at| at.map_or(Ok(None), |at| cell(&record[at]))).collect()
            } else {
                Err(Failure::new(format!("it has {} fields, and the first line {}", record.len(), header.len())))
            };
            match fields {
                Ok(fields) => into.put(line, fields).await?,
                Err(why) => {
                    let key = places.first().copied().flatten().and_then(|at| cell(record.get(at)?).ok().flatten());
                    let key = key.unwrap_or_default();
                    let place = Place { table: Some(selection.name.clone()), key: key.clone(), line };
                    intake(
                        Finding::new(Weight::Fault, &place, "", why.to_string())
                            .with_fix("export the table as UTF-8 with quotes"),
                    );
                    let has_lines = record.iter().any(|field| field.contains(&b'\n'));
                    if selection.table == Table::Users && (key.is_empty() || has_lines) {
                        // Who is in it cannot be known: a quote that is not closed takes the rows after it along.
                        into.staging().add_unknown();
                    }
                    if selection.table == Table::Users && !key.is_empty() {
                        into.put_broken(line, &key).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn cell(bytes: &[u8]) -> Result<Option<String>, Failure> {
    if NOTHING.contains(&bytes) {
        return Ok(None);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(Failure::new("it is no UTF-8")),
    }
}

/// The line of hyphens that `sqlcmd` writes below the header.
fn is_ruler(record: &ByteRecord) -> bool {
    !record.is_empty() && record.iter().all(|field| !field.is_empty() && field.iter().all(|byte| *byte == b'-'))
}

/// What `sqlcmd` writes below the rows: `(24 rows affected)`.
fn is_count(record: &ByteRecord) -> bool {
    let text = (record.len() == 1).then(|| record.get(0)).flatten().unwrap_or_default();
    text.starts_with(b"(") && text.ends_with(b" affected)")
}

fn open(path: &Path) -> Result<Reader<Box<dyn Read>>, Failure> {
    let named = |error| Failure::at(path.display(), error);
    let mut file = BufReader::with_capacity(HEADER, File::open(path).map_err(named)?);
    let start = file.fill_buf().map_err(named)?;
    let order = UTF16_MARKS.iter().find(|(mark, _)| start.starts_with(mark)).map(|(_, is_little)| *is_little);
    let input: Box<dyn Read> = if let Some(is_little) = order {
        file.consume(2);
        Box::new(Utf16 { input: file, is_little, high: None, ready: Vec::new(), given: 0 })
    } else {
        let mark = if start.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 };
        file.consume(mark);
        Box::new(file)
    };
    let mut input = BufReader::with_capacity(HEADER, input);
    let separator = separator(input.fill_buf().map_err(named)?);
    Ok(ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(Box::new(input)))
}

/// What is most often between the names of the header.
fn separator(start: &[u8]) -> u8 {
    let header = start.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let (mut counts, mut is_quoted) = ([0_usize; SEPARATORS.len()], false);
    for byte in header {
        is_quoted ^= *byte == b'"';
        if let Some(at) = SEPARATORS.iter().position(|separator| separator == byte).filter(|_| !is_quoted) {
            counts[at] += 1;
        }
    }
    let most = (0..SEPARATORS.len()).max_by_key(|at| (counts[*at], SEPARATORS.len() - at)).unwrap_or_default();
    SEPARATORS[most]
}

/// UTF-16 as UTF-8. What is no character becomes U+FFFD.
struct Utf16<R> {
    input: R,
    is_little: bool,
    /// The first half of a character.
    high: Option<u16>,
    ready: Vec<u8>,
    given: usize,
}

impl<R: Read> Utf16<R> {
    /// The next unit; `None`: the end, where half a unit is none.
    fn unit(&mut self) -> io::Result<Option<u16>> {
        let mut pair = [0; 2];
        match self.input.read_exact(&mut pair) {
            Ok(()) if self.is_little => Ok(Some(u16::from_le_bytes(pair))),
            Ok(()) => Ok(Some(u16::from_be_bytes(pair))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.given = 0;
        while self.ready.len() < HEADER / 2 {
            let high = self.high.take();
            let Some(unit) = self.unit()? else {
                self.push(high.map(|_| Err(())));
                return Ok(());
            };
            if let Some(high) = high {
                let pair = char::decode_utf16([high, unit]).next();
                if let Some(Ok(character)) = pair {
                    self.push(Some(Ok(character)));
                    continue;
                }
                self.push(Some(Err(())));
            }
            match unit {
                // The first half of a character waits for the other.
                0xd800..0xdc00 => self.high = Some(unit),
                _ => self.push(Some(char::from_u32(u32::from(unit)).ok_or(()))),
            }
        }
        Ok(())
    }

    fn push(&mut self, character: Option<Result<char, ()>>) {
        if let Some(character) = character {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.ready.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() {
            self.fill()?;
        }
        let left = &self.ready[self.given..];
        let most = left.len().min(buffer.len());
        buffer[..most].copy_from_slice(&left[..most]);
        self.given += most;
        Ok(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_read_in_both_orders_with_characters_of_two_units() {
        let text = "Id\tName\r\n1\tJürgen 🦀\r\n".repeat(5000);
        for is_little in [true, false] {
            let units =
                text.encode_utf16().flat_map(|unit| if is_little { unit.to_le_bytes() } else { unit.to_be_bytes() });
            let bytes: Vec<u8> = units.collect();
            let mut read = String::new();
            let mut input = Utf16 { input: bytes.as_slice(), is_little, high: None, ready: Vec::new(), given: 0 };
            input.read_to_string(&mut read).unwrap();
            assert!(read == text);
        }
        let broken: &[u8] = &[0x3d, 0xd8, b'a', 0, 0x3d, 0xd8];
        let mut read = String::new();
        Utf16 { input: broken, is_little: true, high: None, ready: Vec::new(), given: 0 }
            .read_to_string(&mut read)
            .unwrap();
        assert_eq!(read, "\u{fffd}a\u{fffd}");
    }

    #[test]
    fn the_separator_is_the_one_of_the_header() {
        for (header, separator_is) in
            [("Id,Name\r\n1;2;3", b','), ("Id;Name", b';'), ("Id\tName", b'\t'), ("Id", b','), ("\"a,b,c\";b", b';')]
        {
            assert_eq!(separator(header.as_bytes()), separator_is, "{header}");
        }
    }
}
