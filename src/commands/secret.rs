//! `hallpass hash-secret`: the PHC string of a secret, for a migration file.

use crate::commands::terminal::not_hashed;
use crate::commands::{Outcome, read_secret};
use crate::passwords;

pub(super) fn run() -> Outcome {
    let secret = read_secret("Secret", true)?;
    if secret.len() < 16 {
        eprintln!("hallpass: a secret this short can be guessed; `hallpass client new` makes good ones");
    }
    println!("{}", passwords::hash(&secret).map_err(not_hashed)?);
    Ok(())
}
