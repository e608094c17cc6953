//! The build script: it lists the built-in migrations of this folder, so that a new file is all there is to add.
//!
//! `src/store/migrations.rs` includes what it writes: number, words and text of each file, in their order.

use std::error::Error;
use std::fmt::Write as _;
use std::{env, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=migrations");
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("migrations");
    let mut files: Vec<String> = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, std::io::Error>>()?;
    files.retain(|file| Path::new(file).extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let (number, words) = file.trim_end_matches(".sql").split_once('_').ok_or("a file without a number and _")?;
        let (number, words) = (number.parse::<i64>()?, words.replace('_', " "));
        let path = folder.join(&file);
        let path = path.to_str().ok_or("a path that is not UTF-8")?;
        writeln!(list, "    ({number}, {words:?}, include_str!({path:?})),")?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("migrations.rs"), list)?;
    Ok(())
}
