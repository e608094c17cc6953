//! Throwaway Redis servers in each of the shapes Hallpass can be pointed at: alone, a cluster, behind a Sentinel.
//!
//! One of each is shared by the whole test process and started by the first test to ask; a test that means to stop one,
//! or to make it fail over, starts its own. Their end is the watchdog's work, in `postgres.rs`.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use super::postgres::{Watchdog, free_port, temporary_folder, wait_until};

/// The name under which the Sentinel knows its master.
pub const MASTER_NAME: &str = "hallpass";

/// The server shared by every test of this process.
pub fn server() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(Server::start)
}

/// The cluster shared by every test of this process.
pub fn cluster() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start)
}

/// The Sentinel, with its master and replica, shared by every test of this process.
pub fn sentinel() -> &'static Sentinel {
    static SHARED: OnceLock<Sentinel> = OnceLock::new();
    SHARED.get_or_init(Sentinel::start)
}

/// A Redis server that keeps nothing on disk, ended when dropped.
pub struct Server {
    folder: PathBuf,
    port: u16,
    watchdog: Mutex<Watchdog>,
}

impl Server {
    /// Starts a server on a port of its own.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one that keeps what it holds as these settings say, beside its defaults: what is on disk is read again by
    /// [`Server::start_again`].
    pub fn persisting(settings: &[&str]) -> Self {
        Self::run(free_port(), None, &[&["--maxmemory-policy", "noeviction"], settings].concat())
    }

    fn start_with(settings: &[&str]) -> Self {
        let mut arguments = vec!["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"];
        arguments.extend(settings);
        Self::run(free_port(), None, &arguments)
    }

    fn run(port: u16, file: Option<&str>, arguments: &[&str]) -> Self {
        let folder = temporary_folder("hallpass-redis-", None);
        let mut server = vec![OsString::from("redis-server")];
        if let Some(text) = file {
            fs::write(folder.path().join("redis.conf"), text).expect("the folder is ours");
            server.push("redis.conf".into());
        }
        let port_text = port.to_string();
        server.extend(["--bind", "127.0.0.1", "--port", &port_text, "--dir", "."].map(OsString::from));
        server.extend(arguments.iter().map(OsString::from));
        assert!(
            Command::new("redis-server").arg("--version").output().is_ok(),
            "the Redis server is not installed; `tests/run` installs what the tests need"
        );
        let folder = folder.keep();
        // SIGKILL, since there is nothing to write out and a master would wait for its replicas.
        let watchdog = Mutex::new(Watchdog::start(&folder, None, "KILL", &server));
        let server = Self { folder, port, watchdog };
        server.wait_until_ready();
        server
    }

    /// Where clients find the server: its database 0.
    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Takes the server away: open connections are cut, new ones refused, and what it held is forgotten.
    pub fn stop(&self) {
        self.watchdog.lock().expect("no test panics while it holds the watchdog").stop("KILL");
    }

    /// Brings the server back after [`Server::stop`] on the same port, empty unless it is [`Server::persisting`].
    pub fn start_again(&self) {
        self.watchdog.lock().expect("no test panics while it holds the watchdog").start_again();
        self.wait_until_ready();
    }

    /// Sends one command, of which an argument with a space is in double quotes, and gives the answer as Redis wrote it, in
    /// [RESP](https://redis.io/docs/latest/develop/reference/protocol-spec/); empty when there is no server.
    pub fn ask(&self, command: &str) -> String {
        let ask = || {
            let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
            connection.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(connection, "{command}\r\n")?;
            let mut answer = Vec::new();
            read_answer(&mut BufReader::new(connection), &mut answer)?;
            Ok::<_, io::Error>(String::from_utf8_lossy(&answer).into_owned())
        };
        ask().unwrap_or_default()
    }

    fn wait_until(&self, what: &str, is_so: impl FnMut() -> bool) {
        wait_until(what, &self.folder, is_so);
    }

    fn wait_until_ready(&self) {
        self.wait_until("Redis answers", || self.ask("PING").starts_with("+PONG"));
    }
}

/// Appends one whole answer: a line, which for a string is followed by its bytes and for a list by its elements.
fn read_answer(from: &mut impl BufRead, answer: &mut Vec<u8>) -> io::Result<()> {
    let start = answer.len();
    from.read_until(b'\n', answer)?;
    let line = String::from_utf8_lossy(&answer[start..]).into_owned();
    // A length of -1 is "nil", and has nothing after it.
    let length = line.get(1..).and_then(|length| length.trim_end().parse::<u64>().ok());
    match (line.chars().next(), length) {
        (None, _) => Err(io::ErrorKind::UnexpectedEof.into()),
        (Some('$'), Some(length)) => from.take(length + 2).read_to_end(answer).map(|_| ()),
        (Some('*'), Some(length)) => (0..length).try_for_each(|_| read_answer(from, answer)),
        _ => Ok(()),
    }
}

/// Three masters that share the slots, without replicas.
pub struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// Starts the nodes and joins them: two seconds or three.
    pub fn start() -> Self {
        let enabled = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let nodes: Vec<Server> = (0..3).map(|_| Server::start_with(&enabled)).collect();
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes.iter().map(Server::address))
            .args(["--cluster-replicas", "0", "--cluster-yes"])
            .output()
            .expect("redis-cli comes with the server");
        assert!(created.status.success(), "the cluster was not made: {}", String::from_utf8_lossy(&created.stdout));
        for node in &nodes {
            node.wait_until("the cluster is whole", || node.ask("CLUSTER INFO").contains("cluster_state:ok"));
        }
        Self { nodes }
    }

    /// The URLs of all nodes, separated by commas.
    pub fn urls(&self) -> String {
        let urls: Vec<String> = self.nodes.iter().map(|node| format!("redis://{}", node.address())).collect();
        urls.join(",")
    }

    /// The nodes, of which a test may stop one of a cluster of its own.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }
}

/// A Sentinel that watches over a master and its replica under the name [`MASTER_NAME`].
pub struct Sentinel {
    sentinel: Server,
    servers: [Server; 2],
}

impl Sentinel {
    /// Starts the three and waits until the Sentinel knows the replica.
    pub fn start() -> Self {
        // Without it a master waits five seconds for more replicas before it serves the first.
        let no_delay = ["--repl-diskless-sync-delay", "0"];
        let master = Server::start_with(&no_delay);
        let master_port = master.port.to_string();
        let replica = Server::start_with(&[&no_delay[..], &["--replicaof", "127.0.0.1", &master_port]].concat());
        // The Sentinel looks for replicas as it starts, and then only every ten seconds.
        replica.wait_until("the replica follows", || replica.ask("INFO replication").contains("master_link_status:up"));
        let file = format!(
            "sentinel monitor {MASTER_NAME} 127.0.0.1 {master_port} 1\n\
             sentinel down-after-milliseconds {MASTER_NAME} 1000\n\
             sentinel failover-timeout {MASTER_NAME} 5000\n"
        );
        let sentinel = Server::run(free_port(), Some(&file), &["--sentinel"]);
        sentinel.wait_until("the Sentinel knows the replica", || {
            sentinel.ask(&format!("SENTINEL REPLICAS {MASTER_NAME}")).contains("master-link-status\r\n$2\r\nok")
        });
        Self { sentinel, servers: [master, replica] }
    }

    /// `host:port` of the Sentinel itself.
    pub fn address(&self) -> String {
        self.sentinel.address()
    }

    /// The server that is the master at this moment, by the Sentinel's word.
    pub fn master(&self) -> &Server {
        let answer = self.sentinel.ask(&format!("SENTINEL GET-MASTER-ADDR-BY-NAME {MASTER_NAME}"));
        let is_named = |server: &&Server| answer.contains(&format!("\r\n{}\r\n", server.port));
        self.servers.iter().find(is_named).unwrap_or_else(|| panic!("the Sentinel names neither server: {answer:?}"))
    }

    /// Waits until the replica has everything that was written so far. (`WAIT` would tell only of its own connection.)
    pub fn wait_for_the_replica(&self) {
        let offset = |server: &Server, name: &str| {
            let answer = server.ask("INFO replication");
            answer.lines().find_map(|line| line.trim().strip_prefix(name)?.parse::<u64>().ok())
        };
        let master = self.master();
        let replica = self.servers.iter().find(|server| server.port != master.port).expect("there are two");
        let written = offset(master, "master_repl_offset:").expect("a master tells its offset");
        replica.wait_until("the replica has it", || {
            offset(replica, "slave_repl_offset:").is_some_and(|reached| reached >= written)
        });
    }

    /// Makes the replica the master, with the Sentinel's own order; both servers stay up.
    pub fn fail_over(&self) {
        let old = self.master().port;
        let answer = self.sentinel.ask(&format!("SENTINEL FAILOVER {MASTER_NAME}"));
        assert!(answer.starts_with("+OK"), "the Sentinel refuses to fail over: {answer:?}");
        self.wait_for_a_master_other_than(old);
    }

    /// Kills the master and waits until the Sentinel has noticed and made the replica the master.
    pub fn lose_master(&self) {
        let old = self.master();
        old.stop();
        self.wait_for_a_master_other_than(old.port);
    }

    fn wait_for_a_master_other_than(&self, old: u16) {
        self.sentinel.wait_until("the replica has become the master", || {
            let master = self.master();
            master.port != old && master.ask("ROLE").contains("\r\nmaster\r\n")
        });
    }
}
