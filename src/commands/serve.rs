//! `hallpass serve`: the provider, until SIGTERM or SIGINT.

use crate::ambient::Clock;
use crate::commands::{Outcome, VERSION};
use crate::config::{Config, DatabaseUrl, EphemeralUrl, Remember, Tls, Wording};
use crate::endpoints::{self, path};
use crate::failure::{Failure, Warning};
use crate::protocol::audit::{Event, EventKind, Impersonal};
use crate::provider::Provider;
use crate::second_factor::resealing;
use crate::server::Places;
use crate::texts::Remark;
use crate::{logging, logout, mailing, server, sign_ins, startup};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use secrecy::ExposeSecret as _;
use std::io::IsTerminal as _;
use std::pin::pin;
use std::sync::Arc;
use tokio::task::JoinSet;

pub(super) async fn run(config: Config) -> Outcome {
    logging::start("info");
    let descriptors = server::raise_descriptors();
    let public = server::bind(config.listen, "HALLPASS_LISTEN").await?;
    mailing::layout::check(&config)?;
    let management = server::bind(config.management_listen, "HALLPASS_MANAGEMENT_LISTEN").await?;
    // Listened for from here on: also while a database is waited for, and without a moment in which it would be lost.
    let mut signal = pin!(server::signal());
    let provider = tokio::select! {
        opened = startup::open(config, Clock::System) => opened?,
        () = &mut signal => {
            tracing::info!("stopped before it served");
            return Ok(());
        }
    };
    let lock = provider.db.lock_for_serving()?;
    let facts = provider.ephemeral.facts().await;
    let warnings: Vec<Warning> =
        warnings(&provider.config).into_iter().chain(facts.into_iter().flat_map(|facts| facts.warnings)).collect();
    announce(&provider, &warnings);
    let started = Event::new(EventKind::NodeStarted, provider.now())
        .with("issuer", Impersonal::configured(&provider.config.issuer));
    provider.audit.record(started.with("keys", Impersonal::configured_list(&provider.keys.current().kids())));

    let (stopper, stop) = server::stop_sign();
    keep_running(&provider);
    let places = Places::public(descriptors, &provider.config.trusted_proxies);
    let mut listeners = JoinSet::new();
    listeners.spawn(server::serve(public, endpoints::public(provider.clone()), places, stop.clone()));
    listeners.spawn(server::serve(management, endpoints::management(provider.clone()), Places::few(), stop));
    // A node that does not listen must not look alive to what would start it again.
    let has_fallen = tokio::select! {
        () = &mut signal => false,
        _ = listeners.join_next() => true,
    };
    tracing::info!("stopping: requests in flight finish first");
    stopper.stop();
    while listeners.join_next().await.is_some() {}
    if !provider.outgoing.settled().await {
        tracing::warn!("links were asked for whose mails could not be queued in time");
    }
    provider.background.stop().await;
    provider.audit.flush().await;
    provider.db.close().await;
    drop(lock);
    tracing::info!("stopped");
    if has_fallen {
        return Err(
            Failure::new("a listener ended by itself").with_fix("start it again, and report what the log says before")
        );
    }
    Ok(())
}

/// Starts what runs behind the requests.
fn keep_running(provider: &Arc<Provider>) {
    let keep = |name, task: fn(Arc<Provider>) -> BoxFuture<'static, ()>| {
        let provider = provider.clone();
        provider.clone().background.keep(name, move || task(provider.clone()));
    };
    keep("watch of the keys", |provider| startup::watch_keys(provider).boxed());
    keep("sealing of factors anew", |provider| resealing::keep_resealing(provider).boxed());
    keep("watch of the names", |provider| startup::watch_names(provider).boxed());
    keep("watch of the throttle", |provider| startup::watch_throttle(provider).boxed());
    keep("watch of the password forms", |provider| startup::watch_forms(provider).boxed());
    keep("watch of the migrations", |provider| startup::watch_migrations(provider).boxed());
    keep("end of sign-ins", |provider| sign_ins::keep_settling(provider).boxed());
    keep("delivery of logout messages", |provider| logout::keep_delivering(provider).boxed());
    if provider.outgoing.mailer.is_some() {
        keep("delivery of mails", |provider| mailing::keep_sending(provider).boxed());
    }
    keep("removal of what has ended", |provider| startup::sweep_expired(provider).boxed());
}

/// Says what it runs on, where to go next, and what is not fit for production.
fn announce(provider: &Provider, warnings: &[Warning]) {
    let config = &provider.config;
    let algorithms: Vec<&str> = provider.keys.current().algorithms(provider.now()).iter().map(|a| a.as_str()).collect();
    let database = match &config.database_url {
        DatabaseUrl::Sqlite(path) => format!("SQLite, {}", path.display()),
        DatabaseUrl::Postgres(url) => format!("PostgreSQL at {}", place(url.expose_secret())),
    };
    let ephemeral = match &config.redis_url {
        EphemeralUrl::Memory => "in this process".to_owned(),
        EphemeralUrl::Redis(url) => {
            format!("Redis at {}", url.expose_secret().split(',').map(place).collect::<Vec<_>>().join(", "))
        }
    };
    let discovery = provider.url(path::OPENID_CONFIGURATION);
    if std::io::stderr().is_terminal() {
        eprintln!("\n  Hallpass {VERSION}");
        eprintln!("  Issuer       {}", config.issuer);
        eprintln!("  Discovery    {discovery}");
        eprintln!("  Listening    {} (health: http://{}/health/ready)", config.listen, config.management_listen);
        eprintln!("  Clients etc. {database}");
        eprintln!("  Sign-ins     {ephemeral}");
        if let Some(mailer) = &provider.outgoing.mailer {
            eprintln!("  Mails        by {}", mailer.place());
        }
        eprintln!("  Keys         {} in {}", algorithms.join(", "), config.keys.display());
        eprintln!("\n  Next: hallpass user add NAME --email ADDRESS, and hallpass client new ID --redirect-uri URI");
        for warning in warnings {
            eprintln!("  Not for production: {}", warning.told());
        }
        eprintln!();
    } else {
        tracing::info!(
            version = VERSION,
            issuer = config.issuer,
            discovery,
            listen = %config.listen,
            management = %config.management_listen,
            database,
            sign_ins = ephemeral,
            algorithms = algorithms.join(" "),
            "serving"
        );
        for Warning { what, fix } in warnings {
            tracing::warn!(warning = what, fix, "not for production");
        }
    }
}

/// Host, port and path of a URL, without user and password.
pub(super) fn place(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('?').next().unwrap_or_default();
    rest.rsplit_once('@').map_or(rest, |(_, host)| host).to_owned()
}

/// How many remarks about the operator's own texts are told one by one.
const MOST_REMARKS: usize = 20;

/// What in the operator's own texts is not used, or missing.
fn of_texts(wording: &Wording) -> impl Iterator<Item = Warning> {
    let fix = |remark: &Remark| match remark {
        Remark::UnknownText { .. } | Remark::UnknownVariable { .. } | Remark::ChosenByName { .. } => {
            "`hallpass texts show en` prints all that there are"
        }
        Remark::Lacking { .. } => "`hallpass texts missing LANGUAGE` prints them, in English",
        Remark::NotOffered { .. } => "name the language in HALLPASS_LANGUAGES, or take the file away",
        Remark::NotRead { .. } => "give it another name, or take it away",
    };
    let more = wording.remarks.len().saturating_sub(MOST_REMARKS);
    let more = (more > 0).then(|| {
        Warning::new(
            format!("{more} more things in HALLPASS_TEXTS are not used, or missing"),
            "see to those above first",
        )
    });
    let told =
        wording.remarks.iter().take(MOST_REMARKS).map(move |remark| Warning::new(remark.to_string(), fix(remark)));
    told.chain(more)
}

/// What of the settings is not fit for production; `doctor` says it too. Of Redis, its own facts say it.
pub(super) fn warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if !config.is_https() {
        warnings.push(Warning::new(
            "the issuer is http, which only this machine can use",
            "set HALLPASS_ISSUER=https://… and put a TLS proxy in front",
        ));
    }
    if config.is_https() && config.trusted_proxies.is_empty() {
        // Only a proxy ends TLS here.
        warnings.push(Warning::new(
            "all users come from the proxy's address and share its limits: one attacker who guesses passwords stops all",
            "set HALLPASS_TRUSTED_PROXIES to the proxy's network",
        ));
    }
    if config.remember != Remember::Never && config.session_idle_lifetime < config.session_lifetime {
        let (lifetime, idle) = (config.session_lifetime, config.session_idle_lifetime);
        warnings.push(Warning::new(
            format!(
                "browsers keep a sign-in for up to {lifetime} seconds (HALLPASS_REMEMBER), but it ends when it is unused for {idle}: \
                 users who were told that they stay signed in have to sign in again"
            ),
            "set HALLPASS_SESSION_IDLE_LIFETIME to HALLPASS_SESSION_LIFETIME, or HALLPASS_REMEMBER=never",
        ));
    }
    let in_the_open = config.smtp_url.as_ref().filter(|server| server.tls == Tls::None && !server.is_here());
    if let Some(server) = in_the_open {
        warnings.push(Warning::new(
            format!("mails with links travel unencrypted to {}: who reads them on the way sets passwords", server.host),
            "write smtps://… or smtp://…?tls=required in HALLPASS_SMTP_URL",
        ));
    }
    warnings.extend(of_texts(&config.texts));
    if matches!(config.redis_url, EphemeralUrl::Memory) {
        warnings.push(Warning::new(
            "sign-ins live in this process and end with it",
            "set HALLPASS_REDIS_URL for restarts without sign-outs, and for several nodes",
        ));
    }
    match &config.database_url {
        DatabaseUrl::Sqlite(_) => {
            warnings.push(Warning::new(
                "one SQLite file serves one node, which is fine for a small home",
                "set HALLPASS_DATABASE_URL=postgres://… for more",
            ));
        }
        DatabaseUrl::Postgres(url) => {
            let url = url.expose_secret();
            let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
            let is_here = host.is_empty() || host == "localhost" || host.starts_with("127.") || host == "[::1]";
            if !is_here && !url.contains("sslmode=verify-full") {
                warnings.push(Warning::new(
                    "the database is on another machine and its certificate is not checked",
                    "add ?sslmode=verify-full to HALLPASS_DATABASE_URL",
                ));
            }
        }
    }
    warnings
}
