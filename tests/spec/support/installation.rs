//! A provider as an operator sets it up: by the commands of the README, run by `serve` on PostgreSQL and Redis,
//! whatever the suite runs on.

use super::program::{Outcome, Serve, run_with};
use super::provider::{PASSWORD, TestClient};
use super::{postgres, redis};
use crate::support::folder;
use std::fs;
use tempfile::TempDir;

/// The installation: a folder with keys and migrations, two stores, a process.
pub struct Installation {
    pub folder: TempDir,
    pub serve: Serve,
}

impl Installation {
    /// With one key and alice, whose password is `PASSWORD`.
    pub fn start() -> Self {
        let folder = folder();
        let (database_url, redis_url) = (postgres::server().create_database(), redis::server().url());
        let variables = [("HALLPASS_DATABASE_URL", database_url.as_str()), ("HALLPASS_REDIS_URL", &redis_url)];
        succeed(run_with(folder.path(), &["key", "new"], &variables, ""));
        let serve = Serve::start(folder.path(), &database_url, &redis_url);
        let installation = Self { folder, serve };
        let alice = ["user", "add", "alice", "--email", "alice@example.com", "--name", "Alice Example"];
        installation.run(&[&alice[..], &["--password-stdin"]].concat(), PASSWORD);
        installation
    }

    /// Runs a command of the binary there, which must succeed; gives its standard output.
    pub fn run(&self, arguments: &[&str], input: &str) -> String {
        succeed(run_with(self.folder.path(), arguments, &self.serve.variables(), input))
    }

    /// Registers a client while the provider runs; gives it, and its settings as lines `NAME=VALUE`.
    pub fn register(&self, id: &str, more: &[&str]) -> (TestClient, String) {
        let settings = self.run(&[&["client", "new", id], more].concat(), "");
        self.run(&["migrate"], "");
        let secret = settings.lines().find_map(|line| line.strip_prefix("OIDC_CLIENT_SECRET=")).map(str::to_owned);
        let redirect_uri = more.iter().skip_while(|word| **word != "--redirect-uri").nth(1).unwrap_or(&"");
        (TestClient { client_id: id.to_owned(), secret, redirect_uri: (*redirect_uri).to_owned() }, settings)
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.serve.running.stderr).unwrap()
    }
}

fn succeed(outcome: Outcome) -> String {
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    outcome.stdout
}
