//! The FastAPI service of `examples/fastapi/`, installed once and run by uvicorn on a port of its own.

use super::postgres::{Watchdog, free_port, temporary_folder, wait_until};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The service, ended when dropped, or with this process.
pub struct FastApi {
    /// What it logs, beside its tests' own eyes.
    log: PathBuf,
    _watchdog: Watchdog,
}

impl FastApi {
    /// An address that is not in use yet, for a client that is registered before the service runs.
    pub fn base_url() -> String {
        format!("http://127.0.0.1:{}", free_port())
    }

    /// Starts it as its README says, with the client's `settings` as `hallpass client new` printed them.
    pub fn start(base_url: &str, settings: &str) -> Self {
        let mut variables: Vec<OsString> = settings.lines().map(OsString::from).collect();
        variables.extend(
            [&format!("BASE_URL={base_url}"), "SESSION_SECRET=a secret that is for tests and nothing else"]
                .map(OsString::from),
        );
        Self::run(base_url, variables, &example())
    }

    /// Starts the `main.py` of another folder, which is its working directory, as a reader of `--settings` has it.
    pub fn of(base_url: &str, app: &Path) -> Self {
        Self::run(base_url, vec!["-C".into(), app.into()], app)
    }

    fn run(base_url: &str, more: Vec<OsString>, app: &Path) -> Self {
        let folder = temporary_folder("hallpass-fastapi-", None).keep();
        let port = base_url.rsplit(':').next().unwrap();
        let mut server: Vec<OsString> = vec!["env".into()];
        server.extend(more);
        server.push("PYTHONDONTWRITEBYTECODE=1".into());
        server.push(python().into());
        server.extend(["-m", "uvicorn", "main:app", "--port", port, "--app-dir"].map(OsString::from));
        server.push(app.into());
        let watchdog = Watchdog::start(&folder, None, "TERM", &server);
        let port: u16 = port.parse().unwrap();
        wait_until("uvicorn takes connections", &folder, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { log: folder.join("log"), _watchdog: watchdog }
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fastapi")
}

/// The interpreter of an environment with the example's requirements, made anew only when they change.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let requirements = example().join("requirements.txt");
        let digest = Sha256::digest(fs::read(&requirements).unwrap());
        let name = URL_SAFE_NO_PAD.encode(&digest[..6]);
        // Beside the folder of the test binary: target/debug/deps.
        let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
        let folder = target.join(format!("fastapi-{name}"));
        let (python, complete) = (folder.join("bin/python"), folder.join("complete"));
        if !complete.exists() {
            let _ = fs::remove_dir_all(&folder);
            run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
            run(Command::new(&python)
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
                .arg(&requirements));
            fs::write(complete, "").unwrap();
        }
        python
    })
}

fn run(command: &mut Command) {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `tests/run` installs what is needed"));
    let said = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {said}");
}
