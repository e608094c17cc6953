//! The binary as operators run it: arguments in, output and status out, or a `serve` in the background.

use super::leaks;
use super::postgres::free_port;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Asserts that a command did what it was asked.
#[track_caller]
pub fn done(outcome: Outcome) -> Outcome {
    assert_eq!(outcome.status, 0, "{outcome:?}");
    outcome
}

/// The document that a command printed.
#[track_caller]
pub fn json_of(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

/// Asserts that a command refused: status 1, nothing on standard output, and every one of these texts in the message.
#[track_caller]
pub fn refused(outcome: &Outcome, texts: &[&str]) {
    assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
    for text in texts {
        assert!(outcome.stderr.contains(text), "{text:?} is not in {outcome:?}");
    }
}

/// The names of what is in a folder, sorted; none where there is no folder.
pub fn files_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The binary in that folder, with nothing of the test's own environment that it would read.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
    command.current_dir(folder).env_remove("RUST_LOG");
    command
}

/// Runs it to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    run_with(folder, arguments, &[], "")
}

/// Every command there is, as its words: those that have none below them.
pub fn every_command(folder: &Path) -> Vec<Vec<String>> {
    fn walk(folder: &Path, words: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(folder, &arguments).stdout;
        let lines =
            help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1).take_while(|line| !line.is_empty());
        let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
        if names.is_empty() {
            found.push(words.clone());
        }
        for name in names.into_iter().filter(|name| *name != "help") {
            words.push(name.to_owned());
            walk(folder, words, found);
            words.pop();
        }
    }
    let mut found = Vec::new();
    walk(folder, &mut Vec::new(), &mut found);
    found
}

/// Runs it to its end with variables and standard input.
pub fn run_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Outcome {
    let mut child = command(folder)
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no input may have ended before it is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs it at a terminal (a pseudo-terminal of `script`, util-linux) where an operator types these lines; what it says on
/// either output is in `stdout`, with the line ends of a terminal taken away.
pub fn run_at_terminal(folder: &Path, arguments: &[&str], variables: &[(&str, &str)], typed: &str) -> Outcome {
    let quoted = |text: &&str| format!("'{}'", text.replace('\'', "'\\''"));
    let line: Vec<String> = std::iter::once(&env!("CARGO_BIN_EXE_hallpass")).chain(arguments).map(quoted).collect();
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--echo", "never", "--command", &line.join(" "), "/dev/null"])
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script, of util-linux, is installed");
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap().replace('\r', ""),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A command in the background, ended when dropped.
pub struct Running {
    child: Child,
    /// What `serve` writes is a log; other commands may print a secret, once, to whom it is for.
    is_serve: bool,
    pub stdout: PathBuf,
    pub stderr: PathBuf,
}

impl Running {
    /// Starts it; its output goes to files in `folder`.
    pub fn start(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let name = format!("{}-{}", arguments.first().unwrap_or(&""), free_port());
        let (stdout, stderr) = (folder.join(format!("{name}.out")), folder.join(format!("{name}.err")));
        let child = command(folder)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&stdout).unwrap())
            .stderr(std::fs::File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let is_serve = arguments.first() == Some(&"serve");
        Self { child, is_serve, stdout, stderr }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote so far.
    pub fn output(&self) -> (String, String) {
        let read = |path: &Path| {
            let mut text = String::new();
            std::fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        (read(&self.stdout), read(&self.stderr))
    }

    /// Waits until it wrote `text` on either.
    pub fn wait_for(&self, text: &str) {
        for _ in 0..1500 {
            let (stdout, stderr) = self.output();
            if stdout.contains(text) || stderr.contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let (stdout, stderr) = self.output();
        panic!("waited in vain until {text:?} was in the output:\n{stdout}\n{stderr}");
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end; the status, or -1 after a signal.
    pub fn wait(&mut self) -> i32 {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let (stdout, stderr) = self.output();
        panic!("it does not end:\n{stdout}\n{stderr}");
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The folder may be gone before.
        let written = [&self.stdout, &self.stderr].map(|path| std::fs::read_to_string(path).unwrap_or_default());
        let secrets = leaks::secrets_in(&written.concat());
        let is_safe = !self.is_serve || secrets.is_empty() || std::thread::panicking();
        assert!(is_safe, "serve wrote {secrets:?}:\n{}", written.concat());
    }
}

/// The right to the ports 9001 and 9002, which `demo` takes where it can and `demo --against` must have.
///
/// One test of this process holds it at a time; another process may hold the ports for a while.
pub async fn demo_ports() -> tokio::sync::MutexGuard<'static, ()> {
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let right = ONE.lock().await;
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in 0..1200 {
        if is_free(9001) && is_free(9002) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    right
}

/// `hallpass demo` in the background, and what it told the person at the terminal.
pub struct Demo {
    pub running: Running,
    pub monolith: String,
    pub reports: String,
    pub provider: String,
    /// `None` where it does not know: with `--against`.
    pub credentials: Option<(String, String)>,
}

impl Demo {
    /// Starts it with more arguments, its temporary files in `folder`, and reads what it printed.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let arguments: Vec<&str> = std::iter::once("demo").chain(arguments.iter().copied()).collect();
        let running = Running::start(folder, &arguments, &[("TMPDIR", folder.to_str().unwrap())]);
        running.wait_for("Ctrl-C ends it all");
        let (stdout, _) = running.output();
        let find = |name: &str| {
            let told = stdout.lines().find_map(|line| line.trim_start().strip_prefix(name));
            told.map(|value| value.trim().to_owned())
        };
        let credentials = find("User name").zip(find("Password"));
        let [monolith, reports, provider] = ["Monolith", "Reports", "Provider"].map(|name| find(name).unwrap());
        Self { running, monolith, reports, provider, credentials }
    }
}

/// `hallpass preview page` in the background: every page that people meet, with made-up names.
pub struct PreviewPages {
    _running: Running,
    /// Where the sign-in page is.
    pub login: String,
    /// How the pages are called.
    pub names: Vec<String>,
}

impl PreviewPages {
    /// Starts it in `folder` with these settings.
    pub fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let texts = folder.join("texts-to-preview");
        hebrew(&texts);
        let texts = texts.display().to_string();
        let languages = LANGUAGES.join(",");
        let variables =
            [&[("HALLPASS_TEXTS", texts.as_str()), ("HALLPASS_LANGUAGES", languages.as_str())], variables].concat();
        let running = Running::start(folder, &["preview", "page", "login"], &variables);
        running.wait_for("Ctrl-C ends it");
        let (login, others) = running.output();
        let listed = others.split(": ").nth(1).and_then(|list| list.split('.').next()).unwrap();
        let names: Vec<String> = listed.split(", ").map(str::to_owned).collect();
        assert!(names.len() >= 20 && names.iter().any(|name| name == "consent"), "{names:?}");
        Self { _running: running, login: login.trim().to_owned(), names }
    }

    pub fn url(&self, name: &str) -> String {
        self.login.replace("/login", &format!("/{name}"))
    }

    /// The same in a language.
    pub fn url_in(&self, language: &str, name: &str) -> String {
        format!("{}?ui_locales={language}", self.url(name))
    }
}

/// The languages that pages are looked at in: those that they come in, and one from right to left.
pub const LANGUAGES: [&str; 3] = ["en", "de", "he"];

/// Writes a catalog into a folder that says in Hebrew letters what the English one says, with the same names, and as Hebrew does
/// without most vowels.
pub fn hebrew(folder: &Path) {
    let line = |line: &str| {
        let at =
            if line.starts_with(['#', '-', '}']) || line.trim_end().ends_with("->") { None } else { words_in(line) };
        let Some(at) = at else { return line.to_owned() };
        let (mut depth, mut before) = (0, ' ');
        let letters = line[at..].chars().filter_map(|c| {
            let is_within_word = before.is_ascii_alphabetic();
            before = c;
            depth += i32::from(c == '{') - i32::from(c == '}');
            match c {
                _ if depth > 0 || !c.is_ascii_alphabetic() => Some(c),
                'a' | 'e' | 'i' | 'o' | 'u' if is_within_word => None,
                _ => char::from_u32(0x5d0 + (c.to_ascii_lowercase() as u32 - u32::from('a'))),
            }
        });
        format!("{}{}", &line[..at], letters.collect::<String>())
    };
    std::fs::create_dir_all(folder).unwrap();
    let catalog: Vec<String> = super::documents::read("templates/texts/en.ftl").lines().map(line).collect();
    std::fs::write(folder.join("he.ftl"), catalog.join("\n") + "\n").unwrap();
}

/// Where in a line of a catalog the words begin.
fn words_in(line: &str) -> Option<usize> {
    let indented = line.trim_start();
    let at = line.len() - indented.len();
    if indented.starts_with('[') || indented.starts_with("*[") {
        return line.find(']').map(|end| end + 1);
    }
    let is_key = at == 0 || indented.starts_with('.');
    if is_key { line.find(" =").map(|equals| equals + 2) } else { Some(at) }
}

/// A provider run by `serve` on servers or embedded stores, with its settings as variables.
pub struct Serve {
    pub running: Running,
    pub issuer: String,
    pub management: String,
    pub variables: Vec<(String, String)>,
}

impl Serve {
    /// Starts `hallpass serve` in `folder` on these stores and waits until it answers.
    pub fn start(folder: &Path, database_url: &str, redis_url: &str) -> Self {
        let (port, management) = (free_port(), free_port());
        let variables: Vec<(String, String)> = [
            ("HALLPASS_ISSUER", format!("http://localhost:{port}")),
            ("HALLPASS_LISTEN", format!("127.0.0.1:{port}")),
            ("HALLPASS_MANAGEMENT_LISTEN", format!("127.0.0.1:{management}")),
            ("HALLPASS_DATABASE_URL", database_url.to_owned()),
            ("HALLPASS_REDIS_URL", redis_url.to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        Self::again(folder, variables)
    }

    /// Starts it with exactly these variables.
    pub fn again(folder: &Path, variables: Vec<(String, String)>) -> Self {
        let pairs: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let of = |wanted: &str| pairs.iter().find(|(name, _)| *name == wanted).unwrap().1;
        let (issuer, management) = (of("HALLPASS_ISSUER").to_owned(), of("HALLPASS_MANAGEMENT_LISTEN").to_owned());
        let running = Running::start(folder, &["serve"], &pairs);
        running.wait_for("serving");
        Self { running, issuer, management, variables }
    }

    /// Its settings, for other commands.
    pub fn variables(&self) -> Vec<(&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}
