//! `hallpass client new`: writes the migration that registers a service, and prints its secret once.

use crate::commands::{Outcome, read_secret};
use crate::config::Config;
use crate::endpoints::path;
use crate::passwords;
use crate::protocol::client::redirect_uri_fault;
use crate::protocol::response::{
    AccessTokenFormat, ApplicationType, ClientAuthMethod, ConsentPolicy, GrantType, PkcePolicy,
};
use crate::protocol::scope::Scope;
use crate::protocol::secret::ClientSecret;
use crate::provider::{Clock, random};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand)]
pub(super) enum ClientCommand {
    /// Write the migration file of a new client and print its secret once
    #[command(
        after_help = "Example:\n  hallpass client new reports --name Reports \\\n      --redirect-uri https://reports.example.com/signin-oidc --consent skip\n  hallpass migrate"
    )]
    New(New),
}

#[derive(clap::Args)]
pub(super) struct New {
    /// `client_id`: letters, digits and - . _ ~
    id: String,
    /// What people read on the pages
    #[arg(long)]
    name: Option<String>,
    /// Where answers are sent, compared exactly; may be repeated
    #[arg(long, required_unless_present_any = ["resource", "grant"], value_name = "URI")]
    redirect_uri: Vec<String>,
    /// Where the browser may go after a sign-out; may be repeated
    #[arg(long, value_name = "URI")]
    post_logout_redirect_uri: Vec<String>,
    /// Where it is told by us that somebody signed out (Back-Channel Logout)
    #[arg(long, value_name = "URI")]
    backchannel_logout_uri: Option<String>,
    /// What the browser loads there when somebody signs out (Front-Channel Logout)
    #[arg(long, value_name = "URI")]
    frontchannel_logout_uri: Option<String>,
    /// A client that cannot keep a secret, such as one in a browser
    #[arg(long, conflicts_with_all = ["secret_stdin", "secret_hash", "auth_method"])]
    public: bool,
    /// web, or native for one on the person's own machine
    #[arg(long, default_value = "web", value_parser = word(ApplicationType::parse, "web, native"))]
    application_type: ApplicationType,
    /// How it authenticates: `client_secret_basic` or `client_secret_post`
    #[arg(long, value_name = "METHOD", value_parser = word(ClientAuthMethod::parse, "client_secret_basic, client_secret_post, none"))]
    auth_method: Option<ClientAuthMethod>,
    /// The most it can be given
    #[arg(long, default_value = "openid profile email")]
    scope: String,
    /// Grant type; may be repeated
    #[arg(long, value_name = "GRANT", default_value = "authorization_code", value_parser = word(GrantType::parse, "authorization_code, refresh_token, client_credentials"))]
    grant: Vec<GrantType>,
    /// opaque, or jwt for APIs that check access tokens by themselves
    #[arg(long, value_name = "FORMAT", default_value = "opaque", value_parser = word(AccessTokenFormat::parse, "opaque, jwt"))]
    access_token_format: AccessTokenFormat,
    /// An API that its access tokens are for (aud); may be repeated
    #[arg(long, value_name = "URI")]
    audience: Vec<String>,
    /// The API that this client itself is, so that it may introspect tokens for it
    #[arg(long, value_name = "URI")]
    resource: Option<String>,
    /// required, or optional for a library that cannot do PKCE
    #[arg(long, default_value = "required", value_parser = word(PkcePolicy::parse, "required, optional"))]
    pkce: PkcePolicy,
    /// ask, or skip for one of the organization's own services
    #[arg(long, default_value = "ask", value_parser = word(ConsentPolicy::parse, "ask, skip"))]
    consent: ConsentPolicy,
    /// Read the secret from standard input instead of making one
    #[arg(long, conflicts_with = "secret_hash")]
    secret_stdin: bool,
    /// Take this argon2id hash instead of making a secret
    #[arg(long, value_name = "PHC")]
    secret_hash: Option<String>,
    /// The file to write, or - for standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn word<T: Clone + Send + Sync + 'static>(
    parse: fn(&str) -> Option<T>,
    choices: &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| parse(text).ok_or_else(|| format!("use one of: {choices}"))
}

/// Where the secret comes from.
enum Secret {
    /// There is none.
    Public,
    /// Made or read here, so it can be shown.
    Known(ClientSecret, String),
    /// Only the hash is known.
    Hash(String),
}

pub(super) fn run(config: &Config, command: ClientCommand) -> Outcome {
    let ClientCommand::New(new) = command;
    let is_public = new.public || new.auth_method == Some(ClientAuthMethod::None);
    check(&new, is_public)?;
    let secret = secret(&new, is_public)?;
    let sql = sql(&new, &secret);

    let place = match &new.output {
        Some(file) if file.as_os_str() == "-" => {
            print!("{sql}");
            "standard output".to_owned()
        }
        Some(file) => write(file, &sql)?,
        None => {
            let folder = config.migrations_or_default();
            std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            write(&dated(&folder, &new.id)?, &sql)?
        }
    };
    eprintln!("Wrote {place}. Review it, commit it, and apply it with `hallpass migrate`; no restart is needed.");
    let mut settings =
        format!("OIDC_DISCOVERY_URL={}{}\nOIDC_CLIENT_ID={}\n", config.issuer, path::OPENID_CONFIGURATION, new.id);
    if let Secret::Known(secret, _) = &secret {
        let _ = writeln!(settings, "OIDC_CLIENT_SECRET={}", secret.expose());
        eprintln!("The secret is shown this once; it is not in the file.");
    }
    // With the SQL on standard output, a pipe into psql must not get the secret too.
    if new.output.as_ref().is_some_and(|file| file.as_os_str() == "-") {
        eprint!("{settings}");
    } else {
        print!("{settings}");
    }
    Ok(())
}

fn check(new: &New, is_public: bool) -> Outcome {
    let id_fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if new.id.is_empty() || new.id.len() > 255 || !new.id.bytes().all(id_fits) {
        return Err("the client_id may have letters, digits and - . _ ~, at most 255 of them".into());
    }
    for uri in &new.redirect_uri {
        if let Some(why) = redirect_uri_fault(uri, new.application_type) {
            return Err(format!("--redirect-uri {uri}: {why}"));
        }
    }
    for uri in &new.post_logout_redirect_uri {
        if let Some(why) = redirect_uri_fault(uri, new.application_type) {
            return Err(format!("--post-logout-redirect-uri {uri}: {why}"));
        }
    }
    for uri in new.backchannel_logout_uri.iter().chain(&new.frontchannel_logout_uri) {
        if let Some(why) = redirect_uri_fault(uri, ApplicationType::Web) {
            return Err(format!("{uri}: {why}"));
        }
    }
    for uri in new.audience.iter().chain(&new.resource) {
        if url::Url::parse(uri).is_err() || uri.contains('#') {
            return Err(format!("{uri}: an API is named by an absolute URI without a fragment (RFC 8707 section 2)"));
        }
    }
    let machine = new.grant.contains(&GrantType::ClientCredentials);
    if new.redirect_uri.is_empty()
        && new.grant.contains(&GrantType::AuthorizationCode)
        && !machine
        && new.resource.is_none()
    {
        return Err("--redirect-uri is missing: people could not come back from signing in".into());
    }
    if is_public && machine {
        return Err("--grant client_credentials: a public client cannot act for itself (RFC 6749 section 4.4)".into());
    }
    Scope::parse(&new.scope).map_err(|why| format!("--scope: {why}"))?;
    if is_public && new.pkce == PkcePolicy::Optional {
        return Err("--pkce optional: a public client must use PKCE (RFC 9700 section 2.1.1)".into());
    }
    Ok(())
}

fn secret(new: &New, is_public: bool) -> Result<Secret, String> {
    if is_public {
        return Ok(Secret::Public);
    }
    if let Some(hash) = &new.secret_hash {
        return match passwords::hash_fault(hash) {
            None => Ok(Secret::Hash(hash.clone())),
            Some(why) => Err(format!("--secret-hash: {why}\n  Mend: `hallpass hash-secret` prints a good one")),
        };
    }
    let secret = if new.secret_stdin {
        let text = read_secret("Secret", false)?;
        if text.len() < 32 {
            return Err("the secret must have at least 32 characters; without --secret-stdin a good one is made".into());
        }
        ClientSecret::received(text.as_str())
    } else {
        ClientSecret::from_random(&random::<32>())
    };
    let hash = passwords::hash(secret.expose()).map_err(|error| error.to_string())?;
    Ok(if new.secret_stdin { Secret::Hash(hash) } else { Secret::Known(secret, hash) })
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn sql(new: &New, secret: &Secret) -> String {
    let mut sql = String::new();
    let name = new.name.as_deref().unwrap_or(&new.id);
    let one_line = |text: &str| text.replace(['\r', '\n'], " ");
    let method = match secret {
        Secret::Public => ClientAuthMethod::None,
        _ => new.auth_method.unwrap_or(ClientAuthMethod::ClientSecretBasic),
    };
    let grants = new.grant.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(" ");
    let _ = writeln!(sql, "-- Registers the client {} ({}).\n--", new.id, one_line(name));
    let _ = writeln!(
        sql,
        "-- consent {}: {}.",
        new.consent,
        match new.consent {
            ConsentPolicy::Ask => "people are asked once what it may know",
            ConsentPolicy::Skip => "one of our own services, nobody is asked",
        }
    );
    let _ = writeln!(
        sql,
        "-- pkce {}: {}.\n",
        new.pkce,
        match new.pkce {
            PkcePolicy::Required => "every sign-in must prove with S256 that it was not intercepted",
            PkcePolicy::Optional => "its library cannot do PKCE; it must use nonce and check it",
        }
    );
    let columns = [
        ("client_id", quoted(&new.id)),
        ("client_name", quoted(&one_line(name))),
        ("application_type", quoted(new.application_type.as_str())),
        ("token_endpoint_auth_method", quoted(method.as_str())),
        ("grant_types", quoted(&grants)),
        ("scope", quoted(&Scope::from(new.scope.clone()).to_string())),
        ("access_token_format", quoted(new.access_token_format.as_str())),
        ("pkce", quoted(new.pkce.as_str())),
        ("consent", quoted(new.consent.as_str())),
        ("client_id_issued_at", Clock::System.now().to_string()),
    ];
    let optional = [
        ("resource", &new.resource),
        ("backchannel_logout_uri", &new.backchannel_logout_uri),
        ("frontchannel_logout_uri", &new.frontchannel_logout_uri),
    ];
    let optional = optional.into_iter().filter_map(|(name, uri)| Some((name, quoted(uri.as_ref()?))));
    let columns: Vec<(&str, String)> = columns.into_iter().chain(optional).collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = columns.iter().map(|(_, value)| value.as_str()).collect();
    let _ = writeln!(
        sql,
        "INSERT INTO clients (\n    {}\n) VALUES (\n    {}\n);\n",
        names.join(",\n    "),
        values.join(",\n    ")
    );
    if let Secret::Known(_, hash) | Secret::Hash(hash) = secret {
        let _ = writeln!(sql, "-- argon2id; the secret itself is nowhere in this file.");
        let _ = writeln!(
            sql,
            "INSERT INTO client_secrets (client_id, secret_hash, created_at)\nVALUES ({}, {}, {});\n",
            quoted(&new.id),
            quoted(hash),
            Clock::System.now()
        );
    }
    let _ = writeln!(sql, "-- Compared letter by letter.");
    for uri in &new.redirect_uri {
        let _ = writeln!(
            sql,
            "INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ({}, {});",
            quoted(&new.id),
            quoted(uri)
        );
    }
    for uri in &new.audience {
        let _ = writeln!(
            sql,
            "INSERT INTO client_audiences (client_id, audience) VALUES ({}, {});",
            quoted(&new.id),
            quoted(uri)
        );
    }
    for uri in &new.post_logout_redirect_uri {
        let _ = writeln!(
            sql,
            "INSERT INTO client_post_logout_redirect_uris (client_id, post_logout_redirect_uri) VALUES ({}, {});",
            quoted(&new.id),
            quoted(uri)
        );
    }
    sql
}

/// A file name with today's date, in a second that no other file of the folder has.
fn dated(folder: &Path, id: &str) -> Result<PathBuf, String> {
    let taken: Vec<String> = std::fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let words: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let mut instant = Clock::System.now();
    loop {
        let number: String = crate::keys::instant_text(instant).chars().filter(char::is_ascii_digit).collect();
        if !taken.iter().any(|name| name.starts_with(&number)) {
            return Ok(folder.join(format!("{number}_add_client_{words}.sql")));
        }
        instant = instant.plus(1);
    }
}

fn write(file: &Path, sql: &str) -> Result<String, String> {
    let fault = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut handle = std::fs::OpenOptions::new().write(true).create_new(true).open(file).map_err(fault)?;
    handle.write_all(sql.as_bytes()).map_err(fault)?;
    Ok(file.display().to_string())
}
