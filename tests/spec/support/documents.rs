//! Documents whose examples are run, so that they cannot rot.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A Markdown file of `docs/`.
pub struct Document {
    text: String,
    name: String,
}

/// The top of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Document {
    /// Reads a file, named from the top.
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { text, name: name.to_owned() }
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands in the code blocks of that language, in their order.
    pub fn blocks(&self, language: &str) -> Vec<&str> {
        let fence = format!("```{language}\n");
        let blocks = self.text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
        let blocks: Vec<&str> = blocks.collect();
        assert!(!blocks.is_empty(), "{} has no blocks of {language}", self.name);
        blocks
    }

    /// Runs a block of shell commands in a folder, with the binary as `hallpass`; gives what it writes to standard output.
    #[track_caller]
    pub fn run(&self, block: &str, folder: &Path, variables: &[(&str, String)]) -> String {
        let binary = Path::new(env!("CARGO_BIN_EXE_hallpass")).parent().unwrap().to_owned();
        let path = std::env::join_paths(
            std::iter::once(binary).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        )
        .unwrap();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", block])
            .current_dir(folder)
            .env("PATH", path)
            .env_remove("RUST_LOG")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}:\n{block}\n{stdout}\n{stderr}", self.name);
        stdout.into_owned()
    }
}
