//! The settings: every one with its name, default, meaning, bounds and an example.
//!
//! Three sources speak in this order: flags, environment (`HALLPASS_…`, or `HALLPASS_…_FILE`, see `files`), `hallpass.toml`. An
//! unknown or bad setting stops the start with its name, what is wrong and an example. The table below is also what
//! `--help` and the README are made of.

mod files;
mod mail;
mod organization;
mod sign_up;
mod texts;
mod urls;

pub(crate) use urls::postgres_files;

use crate::failure::Failure;
use crate::protocol::difference::most_like;
use crate::texts::Languages;
use ipnet::IpNet;
pub use mail::{MailServer, Tls};
pub use organization::{Accent, Color, Logo, Organization, OrganizationFault, PictureFault, Tenths};
use secrecy::SecretString;
pub use sign_up::SignUp;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub use texts::{FolderFault, MailLayout, Wording};
use url::Url;
use urls::{database_url, redis_url};

/// One setting, as operators know it.
#[derive(Debug)]
pub struct Setting {
    /// The name in `hallpass.toml`; the flag has dashes (`flag`), the variable is `HALLPASS_` and capitals.
    pub name: &'static str,
    /// What holds when it is not set; empty: unset.
    pub default: &'static str,
    /// One line of meaning.
    pub meaning: &'static str,
    /// A value that works.
    pub example: &'static str,
}

impl Setting {
    /// The environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        variable_of(self.name)
    }

    /// Whether an empty value is a fault: the default that would take its place is another address, another database or
    /// other keys than were meant.
    #[must_use]
    pub fn is_never_empty(&self) -> bool {
        matches!(self.name, "issuer" | "listen" | "management_listen" | "database_url" | "keys")
    }

    /// The flag, without its dashes in front. Settings are flags of every command, and `--name` is one of some commands' own.
    #[must_use]
    pub fn flag(&self) -> String {
        if self.name == "name" { "organization-name".to_owned() } else { self.name.replace('_', "-") }
    }
}

fn variable_of(name: &str) -> String {
    format!("HALLPASS_{}", name.to_uppercase())
}

macro_rules! settings {
    ($($name:ident = $default:literal, $example:literal, $meaning:literal;)+) => {
        /// Every setting there is.
        pub const SETTINGS: &[Setting] = &[
            $(Setting { name: stringify!($name), default: $default, meaning: $meaning, example: $example }),+
        ];
    };
}

settings! {
    issuer = "http://localhost:8080", "https://id.example.com",
        "The issuer exactly as clients see it; may have a path; https unless the host is loopback";
    listen = "127.0.0.1:8080", "0.0.0.0:8080", "Address of the public listener";
    management_listen = "127.0.0.1:8081", "127.0.0.1:8081", "Address for health and readiness; never public";
    database_url = "sqlite:hallpass.db", "postgres://hallpass@db.internal/hallpass?sslmode=verify-full",
        "Where clients, users and consents rest: sqlite:… or postgres://…";
    redis_url = "", "redis://localhost:6379/0",
        "Where codes and sessions rest: redis://, rediss://, redis+sentinel://host:port/service, or several nodes of a cluster separated by commas; unset: in this process";
    keys = "keys", "/etc/hallpass/keys", "Folder of the signing keys and the factor keys";
    migrations = "", "/etc/hallpass/migrations",
        "Folder of your own migration files, applied beside the built-in ones; ./migrations if it exists";
    trusted_proxies = "", "10.0.3.0/24,127.0.0.1/32",
        "Networks whose X-Forwarded-For is believed, for rate limits and audit only";
    outbound_ca = "", "/etc/hallpass/ca.pem", "PEM file of authorities trusted beside the system's";
    code_lifetime = "60", "60", "Seconds an authorization code can be redeemed (5 to 600)";
    access_token_lifetime = "600", "600", "Seconds an access token lives (30 to 86400)";
    id_token_lifetime = "600", "600", "Seconds an id_token is good for (30 to 86400)";
    refresh_token_idle_lifetime = "2592000", "2592000", "Seconds an unused refresh token lives (60 to 31536000)";
    refresh_reuse_window = "10", "10", "Seconds in which a repeated refresh gets the same answer (0 to 60)";
    session_idle_lifetime = "43200", "43200", "Seconds an unused sign-in lasts (60 to 31536000)";
    session_lifetime = "604800", "604800", "Seconds a sign-in lasts at most (60 to 31536000)";
    remember = "never", "ask",
        "Whether a sign-in outlasts the browser's closing, for what is left of its lifetime: never, always, or ask by a checkbox; unused, it ends after HALLPASS_SESSION_IDLE_LIFETIME all the same";
    trusted_browser = "0", "30",
        "Days for which a user can have a browser trusted, so that a plain sign-in asks for no second factor there (0 to 365); 0: none is";
    name = "", "Example Ltd.", "Name of the organization, on every page instead of Hallpass (at most 60 characters)";
    logo = "", "/etc/hallpass/logo.svg",
        "File of its logo, an SVG without scripts and outside references, or a PNG of at most 2048 × 2048 pixels; at most 64 KiB; with a name";
    accent = "", "#0d5e4d",
        "Color of buttons and links, #rrggbb; made darker on light screens and lighter on dark ones until its contrast is 4.5:1 (WCAG 2.2 AA); two with a comma between them, for light and for dark screens, are taken as they are";
    help_url = "", "https://example.com/help", "Where users find help: https://… or mailto:…";
    privacy_url = "", "https://example.com/privacy", "The privacy notice of the organization: https://… or mailto:…";
    imprint_url = "", "https://example.com/imprint", "Who the organization is: https://… or mailto:…";
    smtp_url = "", "smtps://hallpass:password@smtp.example.com:465",
        "Server that takes mails, with user and password where it asks for them: smtps://…, or smtp://…?tls=required (STARTTLS) or ?tls=none; unset: no mail is sent; with HALLPASS_MAIL_FROM";
    mail_from = "", "id@example.com", "Address that mails come from; with HALLPASS_SMTP_URL";
    sign_up = "off", "domain:example.com",
        "Who makes an account by themselves, at /sign-up: off, invitation (by a link of hallpass user invite), or domain:example.com (who reads the mail of an address there; several with commas; with HALLPASS_SMTP_URL)";
    languages = "en,de", "de,en",
        "Languages of pages and mails, with commas between them: en (English), de (German), and those of HALLPASS_TEXTS; the first is for who asks for none of them";
    texts = "", "/etc/hallpass/texts",
        "Folder of your own texts: a catalog for a language, such as fr.ftl, and mail.html and mail.txt by which mails are laid out (docs/languages.md)";
    audit_retention = "", "365", "Days after which audit events are removed (1 to 36500); unset: they are kept";
}

/// Whether browsers keep a sign-in when they are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    /// They do not.
    Never,
    /// They do.
    Always,
    /// As the user says at the sign-in.
    Ask,
}

/// Where the lasting store is.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// PostgreSQL; the URL may hold a password.
    Postgres(SecretString),
}

/// Where the short-lived store is.
#[derive(Clone, Debug)]
pub enum EphemeralUrl {
    /// In this process.
    Memory,
    /// Redis by any of the forms of `HALLPASS_REDIS_URL`; may hold a password.
    Redis(SecretString),
}

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The issuer's exact text.
    pub issuer: String,
    /// The public listener.
    pub listen: SocketAddr,
    /// The listener for health and readiness.
    pub management_listen: SocketAddr,
    /// The lasting store.
    pub database_url: DatabaseUrl,
    /// The short-lived store.
    pub redis_url: EphemeralUrl,
    /// The folder of signing keys.
    pub keys: PathBuf,
    /// The admin's migration folder, if there is one.
    pub migrations: Option<PathBuf>,
    /// PEM file of authorities trusted beside the system's in requests of our own.
    pub outbound_ca: Option<PathBuf>,
    /// Who may say `X-Forwarded-For`.
    pub trusted_proxies: Vec<IpNet>,
    /// Seconds.
    pub code_lifetime: i64,
    /// Seconds.
    pub access_token_lifetime: i64,
    /// Seconds.
    pub id_token_lifetime: i64,
    /// Seconds.
    pub refresh_token_idle_lifetime: i64,
    /// Seconds; 0 turns it off.
    pub refresh_reuse_window: i64,
    /// Seconds.
    pub session_idle_lifetime: i64,
    /// Seconds.
    pub session_lifetime: i64,
    /// Whether browsers keep a sign-in when they are closed.
    pub remember: Remember,
    /// Days for which a browser can be trusted; 0: none is.
    pub trusted_browser: i64,
    /// The organization's own face.
    pub organization: Arc<Organization>,
    /// Where mails are handed over; `None`: none is sent.
    pub smtp_url: Option<MailServer>,
    /// The address that mails come from: there is one where there is a server for them.
    pub mail_from: String,
    /// Who makes an account by themselves.
    pub sign_up: SignUp,
    /// The languages of pages and mails.
    pub languages: Languages,
    /// What the operator has written for people to read.
    pub texts: Arc<Wording>,
    /// Days; `None`: for good.
    pub audit_retention: Option<i64>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is no TOML.
    #[error("{}, line {line}: not TOML: {why}", file.display())]
    NotToml {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why, without a word of the file, which may hold a password.
        why: String,
    },
    /// An unknown setting.
    #[error("{name} (from {place}): there is no such setting.{}", offer(*nearest))]
    Unknown {
        /// What it is called.
        name: String,
        /// Where it is set.
        place: String,
        /// What was probably meant.
        nearest: Option<&'static Setting>,
    },
    /// A value that cannot be taken. A URL may hold a password, so the value itself is never repeated.
    #[error("{} (from {place}): {why}", variable_of(name))]
    Value {
        /// Of which setting.
        name: &'static str,
        /// Where it is set.
        place: String,
        /// What is wrong with it.
        why: String,
    },
}

fn offer(nearest: Option<&Setting>) -> String {
    match nearest {
        Some(setting) => format!(" Did you mean {}?", setting.variable()),
        None => " `hallpass serve --help` lists them all.".to_owned(),
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let example = match &error {
            ConfigError::NotToml { .. } => "issuer = \"https://id.example.com\"".to_owned(),
            ConfigError::Unknown { nearest: None, .. } => "HALLPASS_ISSUER=https://id.example.com".to_owned(),
            ConfigError::Unknown { nearest: Some(setting), .. } => {
                format!("{}={}", setting.variable(), setting.example)
            }
            ConfigError::Value { name, .. } => {
                let setting = SETTINGS.iter().find(|setting| setting.name == *name);
                format!("{}={}", variable_of(name), setting.map_or("", |setting| setting.example))
            }
        };
        Self::new(error.to_string()).with_note("Example", example)
    }
}

/// The settings as text with the place each came from.
#[derive(Debug, Default)]
pub struct RawConfig {
    values: BTreeMap<&'static str, (String, String)>,
}

impl RawConfig {
    /// Gathers the three sources. `flag` answers for the command line, `environment` is every variable of
    /// the process, `file` the text of `hallpass.toml` with its name.
    ///
    /// # Errors
    /// An unknown setting, in the environment or the file, and a file that is not TOML.
    pub fn gather(
        flag: impl Fn(&Setting) -> Option<String>,
        environment: impl Iterator<Item = (String, String)>,
        file: Option<(&Path, &str)>,
    ) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        if let Some((path, text)) = file {
            let table: toml::Table = toml::from_str(text).map_err(|error: toml::de::Error| ConfigError::NotToml {
                file: path.to_owned(),
                line: error.span().map_or(1, |span| line_at(text, span.start)),
                why: error.message().replace('\n', ", "),
            })?;
            for (key, value) in table {
                let place = match line_of_key(text, &key) {
                    Some(line) => format!("{}, line {line}", path.display()),
                    None => path.display().to_string(),
                };
                let setting =
                    SETTINGS.iter().find(|setting| setting.name == key).ok_or_else(|| unknown(&key, &place))?;
                let text = match value {
                    toml::Value::String(text) => text,
                    toml::Value::Integer(number) => number.to_string(),
                    toml::Value::Array(items) => items
                        .iter()
                        .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                        .collect::<Vec<_>>()
                        .join(","),
                    other => other.to_string(),
                };
                take(&mut values, setting, text, format!("{} in {place}", setting.name))?;
            }
        }
        let mut of_environment = BTreeMap::new();
        let has_text = |text: &str| !text.trim().is_empty();
        for (variable, text) in environment.filter(|(variable, _)| variable.starts_with("HALLPASS_")) {
            let of_file = files::setting_of(&variable);
            let setting = SETTINGS.iter().find(|setting| setting.variable() == variable).or(of_file);
            let setting = setting.ok_or_else(|| unknown(&variable, "the environment"))?;
            let fault = |place: String, why: String| ConfigError::Value { name: setting.name, place, why };
            if has_text(&text)
                && let Some(other) = of_environment.insert(setting.name, variable.clone())
            {
                return Err(fault(
                    format!("{other} and {variable}"),
                    "is set by both of them; leave one out".to_owned(),
                ));
            }
            if of_file.is_none() {
                take(&mut values, setting, text, variable)?;
            } else if has_text(&text) {
                let value = files::read(&text).map_err(|why| fault(variable.clone(), why.to_string()))?;
                take(&mut values, setting, value, format!("{variable}, {text}"))?;
            }
        }
        for setting in SETTINGS {
            if let Some(text) = flag(setting) {
                take(&mut values, setting, text, format!("--{}", setting.flag()))?;
            }
        }
        Ok(Self { values })
    }

    /// What was said of a setting, as text, and where it was.
    #[must_use]
    pub fn given(&self, setting: &Setting) -> Option<(&str, &str)> {
        self.values.get(setting.name).map(|(text, place)| (text.as_str(), place.as_str()))
    }

    fn text(&self, name: &'static str) -> (String, String) {
        self.values.get(name).cloned().unwrap_or_else(|| {
            let default = SETTINGS.iter().find(|setting| setting.name == name).map_or("", |setting| setting.default);
            (default.to_owned(), format!("the default of {name}"))
        })
    }

    fn parsed<T>(&self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        let (text, place) = self.text(name);
        parse(&text).map_err(|why| ConfigError::Value { name, place, why })
    }

    fn seconds(&self, name: &'static str, least: i64, most: i64) -> Result<i64, ConfigError> {
        self.parsed(name, |text| match text.parse::<i64>() {
            Ok(seconds) if (least..=most).contains(&seconds) => Ok(seconds),
            _ => Err(format!("must be a whole number of seconds from {least} to {most}")),
        })
    }

    fn organization(&self) -> Result<Organization, ConfigError> {
        fn told<T>(read: Result<T, OrganizationFault>) -> Result<T, String> {
            read.map_err(|fault| fault.to_string())
        }
        let name = self.parsed("name", |text| told(organization::name(text)))?;
        let has_name = name.is_some();
        let logo = |text: &str| match text {
            "" => Ok(None),
            _ if !has_name => Err("needs HALLPASS_NAME, which is read out instead of it".to_owned()),
            file => Logo::read(Path::new(file)).map(Some).map_err(|fault| fault.to_string()),
        };
        let organization = Organization {
            name,
            logo: self.parsed("logo", logo)?,
            accent: self.parsed("accent", |text| told(Accent::parse(text)))?,
            help_url: self.parsed("help_url", |text| told(organization::link(text)))?,
            privacy_url: self.parsed("privacy_url", |text| told(organization::link(text)))?,
            imprint_url: self.parsed("imprint_url", |text| told(organization::link(text)))?,
            version: String::new(),
        };
        Ok(organization.with_version())
    }

    /// Server and address speak of one thing: neither is any good without the other.
    fn mail(&self) -> Result<(Option<MailServer>, Option<String>), ConfigError> {
        let from = self.parsed("mail_from", mail::from)?;
        let has_from = from.is_some();
        let url = self.parsed("smtp_url", |text| match (text, has_from) {
            ("", true) => Err("is not set, and HALLPASS_MAIL_FROM does nothing without it".to_owned()),
            ("", false) => Ok(None),
            (text, true) => mail::smtp_url(text).map(Some),
            (text, false) => {
                mail::smtp_url(text)?;
                Err("needs HALLPASS_MAIL_FROM, the address that mails come from".to_owned())
            }
        })?;
        Ok((url, from))
    }

    /// The languages, with the operator's own texts, and what else the operator has written.
    fn languages(&self) -> Result<(Languages, Wording), ConfigError> {
        let (texts, mut wording) =
            self.parsed("texts", |text| texts::folder(text).map_err(|fault| fault.to_string()))?;
        let languages = |text: &str| Languages::of(text, &texts).map_err(|fault| fault.to_string());
        let languages = self.parsed("languages", languages)?;
        wording.remarks.extend(texts.remarks(&languages));
        Ok((languages, wording))
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The first setting that is wrong, with what is wrong and an example.
    pub fn check(&self) -> Result<Config, ConfigError> {
        let (smtp_url, mail_from) = self.mail()?;
        let sign_up = self.parsed("sign_up", |text| sign_up::sign_up(text, smtp_url.is_some()))?;
        let (languages, wording) = self.languages()?;
        let config = Config {
            issuer: self.parsed("issuer", issuer)?,
            listen: self.parsed("listen", address)?,
            management_listen: self.parsed("management_listen", address)?,
            database_url: self.parsed("database_url", database_url)?,
            redis_url: self.parsed("redis_url", redis_url)?,
            keys: PathBuf::from(self.text("keys").0),
            migrations: self.parsed("migrations", migrations)?,
            outbound_ca: Some(PathBuf::from(self.text("outbound_ca").0)).filter(|path| !path.as_os_str().is_empty()),
            trusted_proxies: self.parsed("trusted_proxies", networks)?,
            code_lifetime: self.seconds("code_lifetime", 5, 600)?,
            access_token_lifetime: self.seconds("access_token_lifetime", 30, 86_400)?,
            id_token_lifetime: self.seconds("id_token_lifetime", 30, 86_400)?,
            refresh_token_idle_lifetime: self.seconds("refresh_token_idle_lifetime", 60, 31_536_000)?,
            refresh_reuse_window: self.seconds("refresh_reuse_window", 0, 60)?,
            session_idle_lifetime: self.seconds("session_idle_lifetime", 60, 31_536_000)?,
            session_lifetime: self.seconds("session_lifetime", 60, 31_536_000)?,
            remember: self.parsed("remember", remember)?,
            trusted_browser: self.parsed("trusted_browser", trusted_browser)?,
            organization: Arc::new(self.organization()?),
            smtp_url,
            mail_from: mail_from.unwrap_or_default(),
            sign_up,
            languages,
            texts: Arc::new(wording),
            audit_retention: self.parsed("audit_retention", days)?,
        };
        Ok(config)
    }
}

/// Takes a value for what came before it. An empty one says nothing, as templates and compose files write it where nothing is
/// meant; where that would put a default in its place unseen, it is a fault.
fn take(
    values: &mut BTreeMap<&'static str, (String, String)>,
    setting: &'static Setting,
    text: String,
    place: String,
) -> Result<(), ConfigError> {
    if !text.trim().is_empty() {
        values.insert(setting.name, (text, place));
        return Ok(());
    }
    if setting.is_never_empty() {
        let why = format!("is empty; leave it out to mean {}", setting.default);
        return Err(ConfigError::Value { name: setting.name, place, why });
    }
    Ok(())
}

/// The line of a place in a text, from 1.
fn line_at(text: &str, place: usize) -> usize {
    text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
}

/// The line of a file of settings, from 1, on which one is set, or on which a table of that name begins.
fn line_of_key(text: &str, key: &str) -> Option<usize> {
    let is_it = |line: &str| {
        let rest = line.trim_start().trim_start_matches('[').trim_start_matches(['"', '\'']);
        rest.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', '.', ']', '"', '\'']))
    };
    text.lines().position(is_it).map(|at| at + 1)
}

fn unknown(name: &str, place: &str) -> ConfigError {
    let bare = name.trim_start_matches("HALLPASS_");
    let nearest = most_like(bare, SETTINGS, |setting| setting.name, 4);
    ConfigError::Unknown { name: name.to_owned(), place: place.to_owned(), nearest }
}

/// The issuer keeps its exact text: clients compare it without normalization.
fn issuer(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| "is not an absolute URL".to_owned())?;
    if text.ends_with('/') {
        return Err(
            "must not end with a slash: clients compare the issuer byte for byte, and most write it without".into()
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have neither query nor fragment (OpenID Connect Discovery 3)".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry a user name or password".into());
    }
    let normalized = url.as_str().trim_end_matches('/');
    if normalized != text {
        return Err(format!("must be written in its plain form, {normalized}"));
    }
    match url.scheme() {
        "https" => {}
        "http" if crate::protocol::client::is_loopback_host(&url) => {}
        "http" => return Err("must be https: over plain http, passwords and codes can be read on the way (only loopback hosts may use http)".into()),
        _ => return Err("must be an https URL".into()),
    }
    if !url.path().bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'.' | b'_' | b'~'))
        || url.path().contains("//")
    {
        return Err("its path may have only letters, digits and - . _ ~ between single slashes".into());
    }
    Ok(text.to_owned())
}

fn remember(text: &str) -> Result<Remember, String> {
    match text {
        "never" => Ok(Remember::Never),
        "always" => Ok(Remember::Always),
        "ask" => Ok(Remember::Ask),
        _ => Err("must be one of never, always, ask".into()),
    }
}

fn trusted_browser(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(days) if (0..=365).contains(&days) => Ok(days),
        _ => Err("must be a whole number of days from 0 to 365".into()),
    }
}

fn days(text: &str) -> Result<Option<i64>, String> {
    match text.parse() {
        _ if text.is_empty() => Ok(None),
        Ok(days) if (1..=36_500).contains(&days) => Ok(Some(days)),
        _ => Err("must be a whole number of days from 1 to 36500".into()),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an IP address and a port".to_owned())
}

fn migrations(text: &str) -> Result<Option<PathBuf>, String> {
    if text.is_empty() {
        let default = PathBuf::from("migrations");
        return Ok(default.is_dir().then_some(default));
    }
    let path = PathBuf::from(text);
    if path.is_dir() { Ok(Some(path)) } else { Err(format!("there is no folder {}", path.display())) }
}

fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse::<IpNet>()
                .or_else(|_| part.parse::<std::net::IpAddr>().map(IpNet::from))
                .map_err(|_| format!("{part:?} is not a network such as 10.0.3.0/24"))
        })
        .collect()
}

impl Config {
    /// The path of the issuer: empty, or `/auth` without a slash at the end.
    #[must_use]
    pub fn base_path(&self) -> &str {
        let after_scheme = self.issuer.find("://").map_or(0, |at| at + 3);
        self.issuer[after_scheme..].find('/').map_or("", |at| &self.issuer[after_scheme + at..])
    }

    /// Scheme, host and port of the issuer, as browsers write an `Origin`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.issuer[..self.issuer.len() - self.base_path().len()]
    }

    /// Host and, where it has one, port of the issuer: what users see in the address bar.
    #[must_use]
    pub fn host(&self) -> &str {
        let origin = self.origin();
        origin.split_once("://").map_or(origin, |(_, host)| host)
    }

    /// Whether browsers reach us by https, so that cookies can be `Secure`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.issuer.starts_with("https://")
    }

    /// The folder a new migration file goes to.
    #[must_use]
    pub fn migrations_or_default(&self) -> PathBuf {
        self.migrations.clone().unwrap_or_else(|| PathBuf::from("migrations"))
    }
}

#[cfg(test)]
mod tests;
