//! A file of text as other programs write it: UTF-8, or UTF-16 with a mark at its beginning; and the rows of one that is CSV, with
//! commas, semicolons or tabs. A row takes bounded memory: a quote that is not closed makes one of all that comes after it.

use crate::failure::Failure;
use csv::{ByteRecord, Position, Reader, ReaderBuilder};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_MARKS: [([u8; 2], bool); 2] = [([0xff, 0xfe], true), ([0xfe, 0xff], false)];
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// How much of a file the header is looked for in, in bytes.
const HEADER: usize = 64 * 1024;
/// A longer row is none, in bytes: pictures of people are shorter.
const LONGEST_ROW: u64 = 16 * 1024 * 1024;

/// Its text as UTF-8, without a mark.
///
/// # Errors
/// It cannot be read.
pub(super) fn decoded(input: Box<dyn Read>) -> io::Result<BufReader<Box<dyn Read>>> {
    let mut file = BufReader::with_capacity(HEADER, input);
    let start = file.fill_buf()?;
    let order = UTF16_MARKS.iter().find(|(mark, _)| start.starts_with(mark)).map(|(_, is_little)| *is_little);
    let input: Box<dyn Read> = if let Some(is_little) = order {
        file.consume(2);
        Box::new(Utf16 { input: file, is_little, high: None, ready: Vec::new(), given: 0 })
    } else {
        let mark = if start.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 };
        file.consume(mark);
        Box::new(file)
    };
    Ok(BufReader::with_capacity(HEADER, input))
}

/// What is most often between the names of the header, which is the first line.
pub(super) fn separator(start: &[u8]) -> u8 {
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

/// Where a row is, and why it is none.
pub(in crate::commands::user) struct Row {
    /// The line that it starts in.
    pub line: u64,
    /// It does not have as many fields as the header, or has no end.
    pub fault: Option<Failure>,
}

/// A CSV file with a header.
pub(in crate::commands::user) struct CsvFile {
    file: PathBuf,
    reader: Reader<Counted>,
    /// How many bytes were read since the last row was.
    count: Arc<AtomicU64>,
    headings: Vec<String>,
    has_ended: bool,
}

impl CsvFile {
    /// Opens it.
    ///
    /// # Errors
    /// It cannot be read, or its header has no end.
    pub fn open(file: &Path) -> Result<Self, Failure> {
        let named = |error| Failure::at(file.display(), error);
        Self::of(file, decoded(Box::new(File::open(file).map_err(named)?)).map_err(named)?)
    }

    /// What has that name in messages.
    ///
    /// # Errors
    /// It cannot be read, or its header has no end.
    pub fn of(file: &Path, mut input: BufReader<Box<dyn Read>>) -> Result<Self, Failure> {
        let named = |error: io::Error| Failure::at(file.display(), error);
        let separator = separator(input.fill_buf().map_err(named)?);
        let count = Arc::new(AtomicU64::new(0));
        let mut reader = ReaderBuilder::new()
            .delimiter(separator)
            .flexible(true)
            .from_reader(Counted { input, count: count.clone() });
        let header = reader.byte_headers().map_err(|error| Failure::at(file.display(), error))?;
        let headings = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        Ok(Self { file: file.to_owned(), reader, count, headings, has_ended: false })
    }

    /// The names of its columns.
    pub fn headings(&self) -> &[String] {
        &self.headings
    }

    /// Reads the next row; `None`: there is none. What follows a row without an end is not read: it is in that row.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next(&mut self, record: &mut ByteRecord) -> Result<Option<Row>, Failure> {
        if self.has_ended {
            return Ok(None);
        }
        self.count.store(0, Ordering::Relaxed);
        let start = self.reader.position().line();
        match self.reader.read_byte_record(record) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let line = record.position().map_or(start, Position::line);
                let (has, wanted) = (record.len(), self.headings.len());
                let fault =
                    (has != wanted).then(|| Failure::new(format!("it has {has} fields, and the first line {wanted}")));
                Ok(Some(Row { line, fault }))
            }
            Err(_) if self.count.load(Ordering::Relaxed) > LONGEST_ROW => {
                self.has_ended = true;
                let what = format!(
                    "it has more than {LONGEST_ROW} bytes: where a quote is not closed, all that follows is in one row; \
                     nothing after it was read"
                );
                // It is cut off, and may say anything.
                record.clear();
                Ok(Some(Row { line: start, fault: Some(Failure::new(what)) }))
            }
            Err(error) => Err(Failure::at(self.file.display(), error)),
        }
    }
}

/// Counts what is read, and stops where that is more than a row has.
struct Counted {
    input: BufReader<Box<dyn Read>>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let count = self.count.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        if count > LONGEST_ROW {
            return Err(io::Error::other("a row has no end"));
        }
        Ok(read)
    }
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
