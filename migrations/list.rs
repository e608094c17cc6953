//! The build script: it lists the built-in migrations of this folder, so that a new file is all there is to add.
//!
//! `src/store/migrations.rs` includes what it writes: number, words and text of each file, in the order of the numbers. A file
//! with a date in its name is an operator's, who may try things in a checkout, and no part of the program.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::{env, fs, path::Path};

/// Below this, numbers are Hallpass's own.
const FIRST_ADMIN_VERSION: i64 = 1_000_000;

/// Number and words of a file of ours: `0001_some_words.sql`.
fn parsed(file: &str) -> Option<(i64, String)> {
    let (number, words) = file.strip_suffix(".sql")?.split_once('_')?;
    let number = number.parse().ok().filter(|number| (1..FIRST_ADMIN_VERSION).contains(number))?;
    Some((number, words.replace('_', " ")))
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=migrations");
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("migrations");
    let mut ours: BTreeMap<i64, (String, String)> = BTreeMap::new();
    for entry in fs::read_dir(&folder)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let Some((number, words)) = parsed(&file) else { continue };
        if let Some((other, _)) = ours.insert(number, (file.clone(), words)) {
            return Err(format!("migrations/{file} and migrations/{other} have one number").into());
        }
    }
    let mut list = String::from("&[\n");
    for (number, (file, words)) in ours {
        let path = folder.join(file);
        let path = path.to_str().ok_or("the path of the migrations is not UTF-8")?;
        writeln!(list, "    ({number}, {words:?}, include_str!({path:?})),")?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("migrations.rs"), list)?;
    Ok(())
}
