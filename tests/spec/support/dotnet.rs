//! .NET, where it is found: projects built and run as their README says. Elsewhere a test says that it was skipped; nothing
//! here installs .NET.

use super::chromium::on_path;
use super::postgres::{Watchdog, temporary_folder, wait_until};
use std::ffi::OsString;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program; `None` where there is none, which is said even if the output of tests is captured.
pub fn found(test: &str) -> Option<PathBuf> {
    let found = on_path(&["dotnet"]);
    if found.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: dotnet is not on the PATH");
    }
    found
}

/// Runs one of its commands in a folder, to its end.
#[track_caller]
pub fn run(dotnet: &Path, folder: &Path, arguments: &[&str]) {
    let Output { status, stdout, stderr } = prepared(Command::new(dotnet), folder).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    assert!(status.success(), "dotnet {}: {said}", arguments.join(" "));
}

fn prepared(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder).envs([("DOTNET_CLI_TELEMETRY_OPTOUT", "1"), ("DOTNET_NOLOGO", "1")]);
    command
}

/// A project that runs, ended when dropped, or with this process.
pub struct Project {
    log: PathBuf,
    _watchdog: Watchdog,
}

impl Project {
    /// Runs a project that was built, at that address, with these variables.
    pub fn start(dotnet: &Path, project: &Path, base_url: &str, variables: &[(&str, &str)]) -> Self {
        let folder = temporary_folder("hallpass-dotnet-", None).keep();
        let mut server: Vec<OsString> = vec!["env".into(), "-C".into(), project.into()];
        server.extend(variables.iter().map(|(name, value)| OsString::from(format!("{name}={value}"))));
        server.push(dotnet.into());
        server.extend(["run", "--no-build", "--no-launch-profile", "--urls", base_url].map(OsString::from));
        let watchdog = Watchdog::start(&folder, None, "TERM", &server);
        let port: u16 = base_url.rsplit(':').next().unwrap().parse().unwrap();
        wait_until("Kestrel takes connections", &folder, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { log: folder.join("log"), _watchdog: watchdog }
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

/// A certificate for `localhost` and its key, in that folder.
pub fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join("localhost.pem"), folder.join("localhost.key"));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (certificate, key)
}
