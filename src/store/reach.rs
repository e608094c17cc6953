//! Why a store cannot be reached, or refuses: the setting, the cause in plain words with host and port, and what to do. What
//! drivers, servers and OpenSSL say is recognized here; only what is not known is repeated, and no value of it.

use crate::config::postgres_files;
use crate::failure::{Failure, in_words};
use crate::store::StoreError;
use crate::store::db::{may_pass, sqlite_code};
use crate::store::migrations::quoting_little;
use ::redis::{ErrorKind, RedisError, ServerErrorKind};
use sqlx::postgres::PgConnectOptions;
use std::error::Error;
use std::io;
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

pub(super) const DATABASE: &str = "HALLPASS_DATABASE_URL";
const REDIS: &str = "HALLPASS_REDIS_URL";

/// What happened, and what to do about it.
struct Told {
    what: String,
    fix: String,
}

impl Told {
    fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }

    fn about(self, setting: &str) -> Failure {
        Failure::new(format!("{setting}: {}", self.what)).with_fix(self.fix)
    }
}

/// A PostgreSQL, as its URL names it.
pub(super) struct Postgres {
    /// The setting or the flag that has the URL.
    setting: &'static str,
    /// Host and port, or the folder of its socket.
    place: String,
    user: String,
    database: String,
}

impl Postgres {
    /// Reads the URL, and looks whether the files that it names are there and hold what they should.
    ///
    /// # Errors
    /// The file that cannot be used.
    pub(super) fn named_by(url: &str, setting: &'static str) -> Result<Self, Failure> {
        for (parameter, path) in postgres_files(url) {
            let place = format!("{setting}: {parameter}={}", path.display());
            let text = std::fs::read(&path).map_err(|error| Failure::at(&place, error))?;
            let begins = if parameter.contains("key") { "PRIVATE KEY-----" } else { "-----BEGIN CERTIFICATE" };
            if !String::from_utf8_lossy(&text).contains(begins) {
                let what = if parameter.contains("key") { "no private key" } else { "no certificate" };
                let why = Failure::new(format!("it holds {what} in PEM form")).about(place);
                return Err(why.with_fix(format!("name the file that holds it, or take {parameter} out")));
            }
        }
        let options = PgConnectOptions::from_str(url).map_err(|error| {
            let fix = "write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, with special \
                       characters of the password percent-encoded";
            Failure::new(format!("{setting}: it is no URL of a PostgreSQL")).with_fix(fix).behind(error)
        })?;
        let place = match options.get_socket() {
            Some(folder) => format!("the socket in {}", folder.display()),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let user = options.get_username().to_owned();
        let database = options.get_database().unwrap_or(&user).to_owned();
        Ok(Self { setting, place, user, database })
    }

    /// Why no connection is made.
    pub(super) fn refused(&self, error: sqlx::Error, patience: Duration) -> StoreError {
        let may_pass = may_pass(&error);
        let failure = self.told(&error, patience).about(self.setting).behind(error);
        StoreError::Unusable { failure, may_pass }
    }

    fn told(&self, error: &sqlx::Error, patience: Duration) -> Told {
        let Self { setting, place, .. } = self;
        match error {
            sqlx::Error::Io(error) => of_network(error, place, "PostgreSQL"),
            sqlx::Error::Tls(error) => {
                let root =
                    "name the certificate of its authority: …?sslmode=verify-full&sslrootcert=/etc/hallpass/ca.pem";
                of_tls(&error.to_string(), place, root).unwrap_or_else(|| {
                    if error.to_string().contains("does not support TLS") {
                        Told::new(
                            format!("PostgreSQL at {place} offers no TLS, which sslmode demands"),
                            "set ssl = on and a certificate in its postgresql.conf; sslmode=disable only where the \
                             network between is trusted",
                        )
                    } else {
                        Told::new(
                            format!("no TLS connection to {place} ({})", quoting_little(&error.to_string())),
                            "look at the certificate and the log of PostgreSQL",
                        )
                    }
                })
            }
            sqlx::Error::Protocol(_) => Told::new(
                format!("what answers at {place} does not speak the protocol of PostgreSQL"),
                format!("correct host and port in {setting}"),
            ),
            sqlx::Error::PoolTimedOut => silent(place, "PostgreSQL", patience),
            sqlx::Error::Database(error) => self.told_by_server(&error.code().unwrap_or_default(), error.message()),
            other => Told::new(
                format!("no connection to PostgreSQL at {place} ({})", quoting_little(&other.to_string())),
                format!("look at its log, and correct {setting}"),
            ),
        }
    }

    /// By [the error codes of PostgreSQL](https://www.postgresql.org/docs/current/errcodes-appendix.html).
    fn told_by_server(&self, code: &str, message: &str) -> Told {
        let Self { setting, place, user, database } = self;
        // Of a database that is only read, nothing is to be made or owned.
        let is_ours = *setting == DATABASE;
        match code {
            "28P01" => Told::new(
                format!(
                    "PostgreSQL at {place} does not accept the password for the user {user:?}, or has no such user"
                ),
                format!(
                    "correct user and password in {setting}, with special characters of the password percent-encoded"
                ),
            ),
            "28000" if message.contains("no pg_hba.conf entry") || message.contains("rejects connection") => {
                let is_plain = message.contains("no encryption") || message.contains("SSL off");
                let (how, fix) = if is_plain {
                    (" without TLS", format!("add sslmode=verify-full to {setting}, or "))
                } else {
                    ("", String::new())
                };
                Told::new(
                    format!(
                        "PostgreSQL at {place} lets the user {user:?} not into the database {database:?} from this \
                         machine{how}"
                    ),
                    format!("{fix}add a line for them to its pg_hba.conf"),
                )
            }
            "28000" if message.contains("not permitted to log in") => Told::new(
                format!("the user {user:?} of PostgreSQL at {place} may not log in"),
                format!("ALTER ROLE \"{user}\" LOGIN, or name another user in {setting}"),
            ),
            "28000" => Told::new(
                format!("PostgreSQL at {place} has no user {user:?}, or does not let that user in from this machine"),
                format!("CREATE ROLE \"{user}\" LOGIN, or correct the user in {setting}"),
            ),
            "3D000" => Told::new(
                format!("PostgreSQL at {place} has no database {database:?}"),
                if is_ours {
                    format!("make it, CREATE DATABASE \"{database}\" OWNER \"{user}\", or correct {setting}")
                } else {
                    format!("correct the database in {setting}")
                },
            ),
            "42501" => Told::new(
                format!("the user {user:?} may not connect to the database {database:?} of PostgreSQL at {place}"),
                if is_ours {
                    format!("make that user the owner: ALTER DATABASE \"{database}\" OWNER TO \"{user}\"")
                } else {
                    format!("GRANT CONNECT ON DATABASE \"{database}\" TO \"{user}\"")
                },
            ),
            _ => of_code(code, &format!("PostgreSQL at {place}")).unwrap_or_else(|| {
                Told::new(
                    format!("PostgreSQL at {place} refuses the connection ({})", quoting_little(message)),
                    "look at its log",
                )
            }),
        }
    }
}

/// What a PostgreSQL is unable to do at all, whatever was asked of it.
fn of_code(code: &str, whose: &str) -> Option<Told> {
    Some(match code {
        "53300" => Told::new(
            format!("{whose} has no connection left"),
            "raise max_connections in its postgresql.conf, or end other users of it; a node takes ten at most",
        ),
        "53100" => Told::new(format!("{whose} has a full disk"), "make room on it"),
        "57P03" => Told::new(format!("{whose} is starting or stopping"), "wait until it runs"),
        "57P01" | "57P02" => Told::new(format!("{whose} was stopped"), "start it"),
        "25006" => Told::new(
            format!("{whose} is read-only, as a standby is"),
            "name the primary in HALLPASS_DATABASE_URL, or promote this one",
        ),
        "42501" => Told::new(
            format!("the user of {DATABASE} may not do that in {whose}"),
            "make that user the owner of the database and of its tables: ALTER DATABASE … OWNER TO …",
        ),
        "42P01" | "42703" => Told::new(
            format!("{whose} has not the tables of this version"),
            "`hallpass migrate` makes them; where it did, name the database that it was run on",
        ),
        _ => return None,
    })
}

/// Why a SQLite file is not opened.
pub(super) fn sqlite_refused(path: &Path, error: sqlx::Error) -> StoreError {
    let may_pass = may_pass(&error);
    let what = path.display().to_string();
    let told = of_sqlite(&error, &what).unwrap_or_else(|| {
        let why = quoting_little(&error.to_string());
        Told::new(format!("{what}: SQLite cannot open it ({why})"), format!("name another file in {DATABASE}"))
    });
    StoreError::Unusable { failure: told.about(DATABASE).behind(error), may_pass }
}

/// By [the result codes of SQLite](https://sqlite.org/rescode.html).
fn of_sqlite(error: &sqlx::Error, whose: &str) -> Option<Told> {
    let missing = |error: &sqlx::Error| {
        let message = error.to_string();
        message.contains("no such table") || message.contains("no such column")
    };
    Some(match sqlite_code(error)? {
        1 if missing(error) => of_code("42P01", whose)?,
        5 | 6 => Told::new(
            format!("{whose}: another process writes to it, and has for as long as we wait"),
            "wait until that is done, or end it, and try again",
        ),
        8 => Told::new(
            format!("{whose}: the file or its folder is read-only"),
            "let the user that runs `hallpass` write to both: SQLite makes files beside it",
        ),
        10 => Told::new(format!("{whose}: the disk does not read or write it"), "look at the disk and its log"),
        11 => Told::new(format!("{whose}: the file is damaged"), "restore it from a backup"),
        13 => Told::new(format!("{whose}: the disk is full"), "make room on it"),
        14 => Told::new(
            format!("{whose}: it cannot be opened as a file"),
            format!("name a file in {DATABASE}, in a folder that the user that runs `hallpass` may write to"),
        ),
        26 => Told::new(
            format!("{whose}: it is no SQLite database"),
            format!("name another file in {DATABASE}, or move this one away"),
        ),
        _ => return None,
    })
}

/// Why a statement failed, where it is not known which database it was sent to.
pub(super) fn statement_failed(error: sqlx::Error) -> Failure {
    let whose = "the database (HALLPASS_DATABASE_URL)";
    let told = match &error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            let why = quoting_little(database.message());
            let told = of_sqlite(&error, whose).or_else(|| of_code(&code, whose));
            let told = told.map(|told| Told { what: format!("{} ({why})", told.what), ..told });
            told.unwrap_or_else(|| {
                Told::new(format!("{whose} refuses a statement ({why})"), "`hallpass doctor` looks at it")
            })
        }
        sqlx::Error::PoolTimedOut => {
            Told::new(format!("{whose} does not answer, or all its connections are in use"), "look whether it runs")
        }
        sqlx::Error::Io(error) => {
            Told::new(format!("the connection to {whose} broke off: {}", in_words(error)), "look whether it runs")
        }
        other => {
            let why = quoting_little(&other.to_string());
            Told::new(format!("{whose} gave no usable answer ({why})"), "`hallpass doctor` looks at it")
        }
    };
    Failure::new(told.what).with_fix(told.fix).behind(error)
}

/// A Redis, as its URL names it.
pub(super) struct Redis {
    /// Host and port of each server.
    place: String,
    is_tls: bool,
    is_cluster: bool,
}

impl Redis {
    pub(super) fn named_by(url: &str) -> Self {
        let rest = url.strip_prefix("redis+sentinel://");
        let of_sentinel = rest.map(|rest| rest.split('/').next().unwrap_or_default());
        let of_sentinel = of_sentinel.map(|rest| rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts).to_owned());
        let place = of_sentinel.unwrap_or_else(|| {
            let named = url.split(',').filter_map(|node| {
                let node = url::Url::parse(node.trim()).ok()?;
                Some(format!("{}:{}", node.host_str()?, node.port().unwrap_or(6379)))
            });
            named.collect::<Vec<_>>().join(", ")
        });
        Self { place, is_tls: url.contains("rediss://"), is_cluster: rest.is_none() && url.contains(',') }
    }

    /// Why it is of no use.
    pub(super) fn refused(&self, error: RedisError, patience: Duration) -> StoreError {
        let told = self.told(&error, patience);
        let error = StoreError::Redis(error);
        let may_pass = error.may_pass();
        StoreError::Unusable { failure: told.about(REDIS).behind(error), may_pass }
    }

    fn told(&self, error: &RedisError, patience: Duration) -> Told {
        let place = &self.place;
        let text = error.to_string();
        let says = |words: &str| text.contains(words);
        let root =
            "install the certificate of its authority among the system's, or name it in the variable SSL_CERT_FILE";
        if let Some(told) = of_tls(&text, place, root) {
            return told;
        }
        match error.kind() {
            ErrorKind::AuthenticationFailed => Told::new(
                format!("Redis at {place} does not accept the user or the password of the URL"),
                format!(
                    "correct them in {REDIS}: redis://USER:PASSWORD@HOST:PORT, or redis://HOST:PORT where it has none"
                ),
            ),
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => self.not_redis(),
            ErrorKind::MasterNameNotFoundBySentinel => Told::new(
                format!("the Sentinels at {place} know no master of that name"),
                format!("name it as in their `sentinel monitor NAME …`: {REDIS}=redis+sentinel://HOST:PORT/NAME"),
            ),
            ErrorKind::Server(ServerErrorKind::NoPerm) => may_not(place, &text),
            ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) => Told::new(
                format!("Redis at {place} is a node of a cluster"),
                format!("name several of its nodes, separated by commas: {REDIS}=redis://HOST:PORT,redis://HOST:PORT"),
            ),
            ErrorKind::Server(ServerErrorKind::BusyLoading) => {
                Told::new(format!("Redis at {place} is reading what it kept"), "wait until it has")
            }
            ErrorKind::Server(ServerErrorKind::ClusterDown) => Told::new(
                format!("the cluster of Redis at {place} is not whole"),
                "look at CLUSTER INFO on one of its nodes",
            ),
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Told::new(
                format!("Redis at {place} is a replica, which cannot be written"),
                format!("name its master in {REDIS}"),
            ),
            _ if says("NOAUTH") => Told::new(
                format!("Redis at {place} demands a password"),
                format!("write it into {REDIS}: redis://:PASSWORD@HOST:PORT"),
            ),
            _ if says("cluster support disabled") => Told::new(
                format!("Redis at {place} is no cluster, and several URLs separated by commas are its nodes"),
                format!("name one server alone in {REDIS}"),
            ),
            _ if says("switch database") || says("DB index") => Told::new(
                format!("Redis at {place} has no database of that number"),
                format!("name another one behind the host in {REDIS}, such as /0"),
            ),
            _ if says("sentinel node") => Told::new(
                format!("what answers at {place} is no Sentinel"),
                format!("write redis://HOST:PORT into {REDIS} for a server without Sentinels"),
            ),
            _ if error.is_timeout() || says("timed out") => {
                let mut told = silent(place, "Redis", patience);
                if self.is_tls {
                    told.what = format!("{}, or speaks no TLS", told.what);
                    told.fix = format!("{}; redis:// instead of rediss:// is without TLS", told.fix);
                }
                told
            }
            ErrorKind::Io => self.of_io(error, &text),
            _ => Told::new(
                format!("Redis at {place} refuses ({})", quoting_little(&text)),
                "look at its log; `hallpass doctor` tries each command",
            ),
        }
    }

    fn of_io(&self, error: &RedisError, text: &str) -> Told {
        let inner = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        if error.is_connection_refusal() || text.contains("onnection refused") {
            return of_network(&io::ErrorKind::ConnectionRefused.into(), &self.place, "Redis");
        }
        let broke = ["broken pipe", "reset by peer", "unexpected end", "terminated"];
        let has_broken = broke.iter().any(|words| text.to_lowercase().contains(words));
        match inner {
            _ if has_broken || error.is_connection_dropped() => {
                let mut told = self.not_redis();
                if !self.is_tls {
                    told.fix = format!("{}; a Redis that wants TLS is named rediss://", told.fix);
                }
                told
            }
            Some(inner) => of_network(inner, &self.place, "Redis"),
            None if text.contains("lookup") => of_network(&io::Error::other(text.to_owned()), &self.place, "Redis"),
            None => Told::new(
                format!("no connection to Redis at {} ({})", self.place, quoting_little(text)),
                format!("start it, or correct host and port in {REDIS}"),
            ),
        }
    }

    fn not_redis(&self) -> Told {
        Told::new(
            format!("what answers at {} does not speak the protocol of Redis", self.place),
            format!("correct host and port in {REDIS}"),
        )
    }

    /// Whether it is one server, which a node of a cluster may not be taken for.
    pub(super) const fn is_alone(&self) -> bool {
        !self.is_cluster
    }
}

/// What an ACL forbids.
fn may_not(place: &str, text: &str) -> Told {
    let command = text.split('\'').nth(1).filter(|_| text.contains("run the")).map(str::to_uppercase);
    let what = match command {
        Some(command) => format!("the user of {REDIS} may not use {command} on Redis at {place}"),
        None => format!("the user of {REDIS} may not use the keys hallpass:* on Redis at {place}"),
    };
    Told::new(what, "ACL SETUSER NAME ~hallpass:* +@read +@write +@scripting +@connection +info +time +config|get")
}

/// Why a command of Redis failed, where it is not known which server it was sent to.
pub(super) fn command_failed(error: RedisError) -> Failure {
    let nameless = Redis { place: "the address of HALLPASS_REDIS_URL".to_owned(), is_tls: false, is_cluster: false };
    nameless.told(&error, Duration::from_secs(2)).about(REDIS).behind(error)
}

fn silent(place: &str, whose: &str, patience: Duration) -> Told {
    let setting = if whose == "Redis" { REDIS } else { DATABASE };
    let seconds = patience.as_secs().max(1);
    Told::new(
        format!("{whose} at {place} gives no answer within {seconds} second{}", if seconds == 1 { "" } else { "s" }),
        format!(
            "look whether a firewall is between, and whether it is {whose} that listens there; or correct host and port in \
             {setting}"
        ),
    )
}

fn of_network(error: &io::Error, place: &str, whose: &str) -> Told {
    use io::ErrorKind as Kind;
    let setting = if whose == "Redis" { REDIS } else { DATABASE };
    let correct = format!("start {whose} there, or correct host and port in {setting}");
    match error.kind() {
        Kind::ConnectionRefused => Told::new(format!("connection refused at {place}"), correct),
        Kind::NotFound => Told::new(format!("there is no {}", place.trim_start_matches("the ")), correct),
        Kind::PermissionDenied => Told::new(
            format!("permission denied at {place}"),
            format!("let the user that runs `hallpass` use it, or correct {setting}"),
        ),
        Kind::HostUnreachable | Kind::NetworkUnreachable => {
            Told::new(format!("no network leads to {place}"), format!("look at the network, or correct {setting}"))
        }
        Kind::UnexpectedEof | Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted => Told::new(
            format!("{place} closed the connection before it was made"),
            format!("look whether it is {whose} that listens there, and at its log; or correct {setting}"),
        ),
        _ if error.to_string().contains("lookup") => Told::new(
            format!("no address is known for the host of {place}"),
            format!("correct the host in {setting}, or its name in the DNS"),
        ),
        _ => Told::new(format!("no connection to {place}: {}", in_words(error)), correct),
    }
}

/// Why a certificate is not accepted; `None`: that is not what is told.
fn of_tls(text: &str, place: &str, root: &str) -> Option<Told> {
    if !text.contains("certificate verify failed") {
        return None;
    }
    let reason = text.rsplit_once('(').and_then(|(_, rest)| rest.split(')').next()).unwrap_or("it is not trusted");
    let reason = reason.to_lowercase();
    let fix = if reason.contains("mismatch") {
        "use the name that the certificate is for in the URL, or give the server a certificate for this one"
    } else if reason.contains("expired") || reason.contains("not yet valid") {
        "renew the certificate of the server, and compare the clocks"
    } else {
        root
    };
    Some(Told::new(format!("the certificate of {place} is not accepted: {reason}"), fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_openssl_says_of_a_certificate_is_told_with_a_fix_for_it() {
        let text = |reason: &str| {
            format!("error:0A000086:SSL routines:x:certificate verify failed:ssl/statem/statem_clnt.c:2125: ({reason})")
        };
        for (reason, fix) in [
            ("self-signed certificate", "ROOT"),
            ("unable to get local issuer certificate", "ROOT"),
            ("Hostname mismatch", "use the name"),
            ("IP address mismatch", "use the name"),
            ("certificate has expired", "renew"),
        ] {
            let told = of_tls(&text(reason), "db:5432", "ROOT").unwrap();
            let what = format!("the certificate of db:5432 is not accepted: {}", reason.to_lowercase());
            assert!(told.what == what && told.fix.starts_with(fix), "{} {}", told.what, told.fix);
        }
        assert!(of_tls("connection refused", "db:5432", "ROOT").is_none());
    }

    #[test]
    fn a_redis_is_named_by_its_hosts_and_never_by_its_password() {
        for (url, place) in [
            ("redis://u:hunter2@r.example/0", "r.example:6379"),
            ("redis+sentinel://u:hunter2@a:1,b:2/x", "a:1,b:2"),
            ("redis://:hunter2@a:1, redis://b", "a:1, b:6379"),
        ] {
            assert_eq!(Redis::named_by(url).place, place);
        }
    }

    #[test]
    fn a_code_of_postgresql_is_told_without_its_words() {
        let server = Postgres { setting: DATABASE, place: "h:1".into(), user: "u".into(), database: "d".into() };
        for (code, message, what) in [
            ("28P01", "password authentication failed for user \"u\"", "does not accept the password"),
            (
                "28000",
                "no pg_hba.conf entry for host \"1.2.3.4\", user \"u\", database \"d\", no encryption",
                "without TLS",
            ),
            ("28000", "role \"u\" is not permitted to log in", "may not log in"),
            ("3D000", "database \"d\" does not exist", "has no database \"d\""),
            ("53300", "sorry, too many clients already", "has no connection left"),
            ("57P03", "the database system is starting up", "is starting or stopping"),
        ] {
            let told = server.told_by_server(code, message);
            assert!(told.what.contains(what) && !told.fix.is_empty(), "{}", told.what);
        }
        let source = Postgres { setting: "--aspnet-identity", ..server };
        for code in ["28P01", "28000", "3D000", "42501"] {
            let fix = source.told_by_server(code, "").fix;
            assert!(!fix.contains(DATABASE) && !fix.contains("OWNER"), "{fix}");
        }
    }
}
