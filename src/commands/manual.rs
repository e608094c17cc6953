//! `hallpass completions` and `hallpass man`: from the same source as `--help`.

use crate::commands::{Outcome, command};
use crate::failure::Failure;
use std::io::Write as _;
use std::path::Path;

/// Where the completions of each shell belong.
pub(super) const COMPLETIONS_HELP: &str = "Examples:
  hallpass completions bash > /etc/bash_completion.d/hallpass
  hallpass completions zsh > /usr/local/share/zsh/site-functions/_hallpass
  hallpass completions fish > ~/.config/fish/completions/hallpass.fish";

pub(super) fn completions(shell: clap_complete::Shell) -> Outcome {
    // Written into memory first: the generator panics where a pipe is closed.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), "hallpass", &mut text);
    put(&text)
}

pub(super) fn pages(folder: Option<&Path>) -> Outcome {
    let Some(folder) = folder else {
        let mut text = Vec::new();
        clap_mangen::Man::new(command()).render(&mut text).map_err(|error| Failure::at("the manual", error))?;
        return put(&text);
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command().disable_help_subcommand(true), folder))
        .map_err(|error| Failure::at(folder.display(), error))?;
    eprintln!("Wrote the pages into {}", folder.display());
    Ok(())
}

fn put(text: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(text);
    print!("{text}");
    std::io::stdout().flush().map_err(|error| Failure::at("standard output", error))
}
