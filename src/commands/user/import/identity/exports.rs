//! A folder of CSV files named after the tables, as the tools of SQL Server, PostgreSQL and SQLite write them, with a header, and
//! `NULL` where there is nothing.

use crate::commands::user::import::csv_file::{CsvFile, Row};
use crate::failure::Failure;
use crate::store::identity_source::{Found, Selection, Table, Tables};
use crate::store::imports::{Finding, Place, Weight};
use csv::ByteRecord;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands for nothing: in the tools of SQL Server, and in those of `MySQL`.
const NOTHING: [&[u8]; 2] = [b"NULL", b"\\N"];

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
            let columns = CsvFile::open(&file)?.headings().to_vec();
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
        let (mut rows, mut record) = (CsvFile::open(file)?, ByteRecord::new());
        while let Some(Row { line, fault }) = rows.next(&mut record)? {
            if is_ruler(&record) || is_count(&record) {
                continue;
            }
            let line = Some(line);
            let fields: Result<Vec<Option<String>>, Failure> = match fault {
                None => places.iter().map(|at| at.map_or(Ok(None), |at| cell(&record[at]))).collect(),
                Some(fault) => Err(fault),
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
