//! Throwaway PostgreSQL servers: one shared by the whole test process, others that a test may stop and start.
//!
//! Also owns [`Watchdog`], which ends any server with the process that started it, even after SIGKILL; `redis.rs` and
//! `chromium.rs` use it too. Knows nothing of Hallpass and its schema: it gives out the URLs of empty databases.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use std::{env, process, thread};

/// The server shared by every test of this process; it is started by the first to ask.
pub fn server() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(Server::start)
}

/// A PostgreSQL server with its own folder and port, ended and removed when dropped.
pub struct Server {
    programs: Programs,
    port: u16,
    databases: AtomicU32,
    watchdog: Mutex<Watchdog>,
}

impl Server {
    /// Makes a cluster in a temporary folder and starts it: a second, of which `initdb` takes the most.
    pub fn start() -> Self {
        let owner = Owner::needed();
        let folder = temporary_folder("hallpass-postgres-", owner);
        let programs = Programs { found_in: programs(), work_in: folder.path().to_owned(), owner };
        programs.run(
            "initdb",
            &[
                "--pgdata=data",
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ],
        );
        let port = free_port();
        let mut server = vec![programs.found_in.join("postgres").into_os_string()];
        server.extend(["-D", "data", "-p"].map(OsString::from));
        server.push(port.to_string().into());
        for setting in [
            "listen_addresses=127.0.0.1",
            // Within the data folder, where the server works: a socket's path may not be long.
            "unix_socket_directories=.",
            "max_connections=300",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
        ] {
            server.extend(["-c", setting].map(OsString::from));
        }
        // From here on it is the watchdog that removes the folder. SIGQUIT is PostgreSQL's "immediate" shutdown:
        // nothing in it is worth writing out.
        let watchdog = Mutex::new(Watchdog::start(&folder.keep(), owner, "QUIT", &server));
        let server = Self { programs, port, databases: AtomicU32::new(0), watchdog };
        server.wait_until_ready();
        server
    }

    /// Creates an empty database and gives its URL.
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        self.programs.run("createdb", &["--host=127.0.0.1", "--port", &port, "--username=postgres", &name]);
        format!("postgres://postgres@127.0.0.1:{port}/{name}")
    }

    /// The folder it works in, which belongs to the user it runs as.
    pub fn folder(&self) -> &Path {
        &self.programs.work_in
    }

    /// Takes the databases away: open connections are cut and new ones are refused.
    pub fn stop(&self) {
        // PostgreSQL's "fast" shutdown, which writes everything out, so that the databases come back as they were.
        self.watchdog.lock().expect("no test panics while it holds the watchdog").stop("INT");
    }

    /// Brings the databases back after [`Server::stop`], on the same port.
    pub fn start_again(&self) {
        self.watchdog.lock().expect("no test panics while it holds the watchdog").start_again();
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        let port = self.port.to_string();
        wait_until("PostgreSQL takes connections", &self.programs.work_in, || {
            let mut probe = self.programs.command("pg_isready", &["--quiet", "--host=127.0.0.1", "--port", &port]);
            probe.status().is_ok_and(|status| status.success())
        });
    }
}

/// PostgreSQL's programs, with the folder they work in and the user they run as.
struct Programs {
    found_in: PathBuf,
    work_in: PathBuf,
    owner: Option<Owner>,
}

impl Programs {
    fn run(&self, program: &str, arguments: &[&str]) {
        let Output { status, stderr, .. } = self
            .command(program, arguments)
            .output()
            .unwrap_or_else(|error| panic!("{program} did not start: {error}"));
        assert!(status.success(), "{program} failed: {}", String::from_utf8_lossy(&stderr));
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.found_in.join(program));
        command.args(arguments).current_dir(&self.work_in).stdin(Stdio::null());
        // PGDATA, PGOPTIONS and their like would lead to another server, or into it by another way.
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        Owner::apply(self.owner, &mut command);
        command
    }
}

/// The folder of PostgreSQL's programs, the newest where there are several.
pub fn programs() -> PathBuf {
    let on_path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&on_path).map(|folder| folder.join("initdb"));
    // Debian links single programs into /usr/bin, and initdb looks for postgres beside itself: follow the link.
    let on_path = on_path.filter_map(|program| Some(fs::canonicalize(program).ok()?.parent()?.to_owned()));

    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told = told.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));

    let mut packaged: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| {
            let version = version.ok()?;
            Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin")))
        })
        .collect();
    packaged.sort_unstable_by_key(|(version, _)| std::cmp::Reverse(*version));
    let packaged = packaged.into_iter().map(|(_, folder)| folder);

    let needed = ["initdb", "postgres", "createdb", "pg_isready"];
    on_path
        .chain(told)
        .chain(packaged)
        .find(|folder| needed.iter().all(|program| folder.join(program).is_file()))
        .expect("the PostgreSQL server is not installed; `tests/run` installs what the tests need")
}

/// Whom a server runs as where root may not run it.
#[derive(Clone, Copy)]
pub struct Owner {
    user: u32,
    group: u32,
}

impl Owner {
    /// `postgres`, or else `nobody`, when this process is root, as which PostgreSQL refuses to run.
    fn needed() -> Option<Self> {
        // The owner of this process's folder in /proc is the user it runs as.
        if fs::metadata("/proc/self").map_or(true, |process| process.uid() != 0) {
            return None;
        }
        let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
        let find = |wanted: &str| {
            let fields: Vec<&str> = users.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                (fields[0] == wanted).then_some(fields)
            })?;
            Some(Self { user: fields.get(2)?.parse().ok()?, group: fields.get(3)?.parse().ok()? })
        };
        Some(find("postgres").or_else(|| find("nobody")).expect("there is a user whom PostgreSQL may run as"))
    }

    fn apply(owner: Option<Self>, command: &mut Command) {
        if let Some(owner) = owner {
            command.uid(owner.user).gid(owner.group);
        }
    }
}

/// A private folder that `owner` may write to.
pub fn temporary_folder(prefix: &str, owner: Option<Owner>) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix(prefix).tempdir().expect("the temporary folder takes a new one");
    if let Some(owner) = owner {
        chown(folder.path(), Some(owner.user), Some(owner.group)).expect("root may give a folder away");
    }
    folder
}

/// A TCP port of 127.0.0.1 that nothing uses, and nothing uses 10000 above it either, where Redis puts its cluster bus.
///
/// Below the kernel's ephemeral ports, so that a stopped server's port is not lent to an outgoing connection meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Starting from the process id keeps two runs on one machine apart.
    let first = process::id().wrapping_mul(97);
    (0..10_000)
        .map(|_| first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000)
        .map(|offset| 20_000 + u16::try_from(offset).expect("it is less than 10000"))
        .find(|&port| is_free(port) && is_free(port + 10_000))
        .expect("one of ten thousand ports is free")
}

/// Asks `is_ready` over and over, for half a minute; then panics with what the server in `folder` has logged.
pub fn wait_until(what: &str, folder: &Path, mut is_ready: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if is_ready() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    panic!("waited in vain until {what}; the log says:\n{log}");
}

/// A shell that runs one server and ends it once this process is gone, however it went.
///
/// Its standard input is a pipe of which only this process holds the other end, so that the kernel closes it even after
/// SIGKILL. The end of the pipe means: kill the server and remove its folder. Before that, lines stop and start it.
pub struct Watchdog {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// `$1`: the signal that ends the server; `$2`: its folder; then the server's command.
///
/// The server's output goes to a file, never to this process's own: a reader of that to its end would wait for the
/// server. The shell leads a process group, out of reach of Ctrl-C, and at the end takes the rest of the group along:
/// the browsers that chromedriver leaves behind, for example.
const WATCH: &str = r#"
signal=$1 folder=$2
shift 2
"$@" >>log 2>&1 &
server=$!
while read -r order; do
    case $order in
        start)
            "$@" >>log 2>&1 &
            server=$!
            ;;
        *)
            kill -s "$order" "$server"
            wait "$server"
            server=
            echo stopped
            ;;
    esac
done
if [ -n "$server" ]; then
    kill -s "$signal" "$server"
    wait "$server"
fi
trap '' TERM
kill -s TERM 0
rm -rf -- "$folder" || { sleep 1; rm -rf -- "$folder"; }
"#;

impl Watchdog {
    /// Starts `server`, which works in `folder` and logs to `log` there; `signal` ends it when the time comes.
    pub fn start(folder: &Path, owner: Option<Owner>, signal: &str, server: &[OsString]) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH, "watchdog", signal]).arg(folder).args(server).current_dir(folder);
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Owner::apply(owner, &mut shell);
        let mut shell = shell.spawn().expect("there is a shell");
        let orders = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().expect("it was piped above"));
        Self { shell, orders, answers }
    }

    /// Ends the server with `signal`, waits for its end and keeps its folder.
    pub fn stop(&mut self, signal: &str) {
        self.order(signal);
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the watchdog answers");
        assert_eq!(answer, "stopped\n", "the watchdog is alive");
    }

    /// Starts the server again with the same command.
    pub fn start_again(&mut self) {
        self.order("start");
    }

    fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("it is taken only at the end");
        writeln!(orders, "{order}").expect("the watchdog is listening");
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.orders.take());
        // Nothing more can be done about a failure here, and a panic would hide the one that may be in progress.
        let _ = self.shell.wait();
    }
}
