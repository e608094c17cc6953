//! `hallpass demo`: a whole single sign-on in one command, gone at Ctrl-C.
//!
//! The provider runs on embedded stores in a temporary folder, as `localhost`; two sample services run on
//! `127.0.0.1`, so that no cookie of the one reaches the other. With `--against` only the services run, and
//! the provider is any that knows them.

mod service;

use crate::ambient::{Clock, random};
use crate::commands::Outcome;
use crate::commands::terminal::not_hashed;
use crate::config::RawConfig;
use crate::endpoints;
use crate::endpoints::edge;
use crate::failure::Failure;
use crate::passwords;
use crate::protocol::secret::ClientSecret;
use crate::server::Places;
use crate::store::users::edit::Details;
use crate::store::users::{self, NewUser};
use crate::{logging, server, startup};
use service::{OtherService, Registration, Service};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[derive(clap::Args)]
#[command(after_help = "Example:\n  hallpass demo\n\nAgainst a provider of yours, register the two services first:\n\
    \n  hallpass client new monolith --name Monolith --consent skip --redirect-uri http://127.0.0.1:9001/callback \\\n      --post-logout-redirect-uri http://127.0.0.1:9001/signed-out --backchannel-logout-uri http://127.0.0.1:9001/backchannel-logout\
    \n  hallpass client new reports --name Reports --consent skip --redirect-uri http://127.0.0.1:9002/callback \\\n      --post-logout-redirect-uri http://127.0.0.1:9002/signed-out --backchannel-logout-uri http://127.0.0.1:9002/backchannel-logout\
    \n  hallpass migrate\
    \n\nand put the two secrets into a file, as monolith=… and reports=…")]
pub(super) struct Arguments {
    /// Run only the two services, against the provider with this issuer
    #[arg(long, value_name = "ISSUER", requires = "secrets")]
    against: Option<String>,
    /// File with the services' secrets, as lines monolith=… and reports=…
    #[arg(long, value_name = "FILE", requires = "against")]
    secrets: Option<PathBuf>,
}

/// The two services: name, `client_id`, and the port that is tried first.
const SERVICES: [(&str, &str, u16); 2] = [("Monolith", "monolith", 9001), ("Reports", "reports", 9002)];
const PROVIDER_PORT: u16 = 8080;
const USERNAME: &str = "alice";

pub(super) async fn run(arguments: Arguments) -> Outcome {
    logging::start("warn");
    let mut listeners = Vec::new();
    for (_, _, port) in SERVICES {
        // Against another provider the addresses are registered there, so they cannot be others.
        listeners.push(listen(port, arguments.against.is_none()).await?);
    }
    let (stopper, stop) = server::stop_sign();
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();

    let secrets: Vec<ClientSecret>;
    let issuer: String;
    let mut folder: Option<TempDir> = None;
    let mut credentials = None;
    if let (Some(against), Some(file)) = (arguments.against, arguments.secrets) {
        issuer = against;
        secrets = read_secrets(&file)?;
    } else {
        let made: Vec<ClientSecret> = SERVICES.iter().map(|_| ClientSecret::from_random(&random::<32>())).collect();
        let temporary = TempDir::with_prefix("hallpass-demo-").map_err(of_folder)?;
        let provider = provider(&temporary, &listeners, &made, &stop, &mut tasks).await?;
        issuer = provider.0;
        credentials = Some(provider.1);
        secrets = made;
        folder = Some(temporary);
    }

    let addresses: Vec<String> = listeners.iter().map(|(_, address)| format!("http://{address}")).collect();
    for (index, (listener, _)) in listeners.into_iter().enumerate() {
        let (name, client_id, _) = SERVICES[index];
        let other = (index + 1) % SERVICES.len();
        let service = Service::new(Registration {
            name,
            client_id: client_id.to_owned(),
            client_secret: secrets[index].clone(),
            issuer: issuer.clone(),
            address: addresses[index].clone(),
            other: OtherService { url: addresses[other].clone(), name: SERVICES[other].0 },
        })?;
        tasks.push(tokio::spawn(server::serve(listener, service::router(Arc::new(service)), places(), stop.clone())));
    }

    println!(
        "\n  Hallpass demo: sign in at the first service, then open the second; sign out at either, and both are told.\n"
    );
    for (index, (name, ..)) in SERVICES.iter().enumerate() {
        println!("  {name:<10} {}", addresses[index]);
    }
    println!("  {:<10} {issuer}\n", "Provider");
    if let Some(password) = credentials {
        println!("  User name  {USERNAME}\n  Password   {password}\n");
    }
    if let Some(folder) = &folder {
        let database = folder.path().join("hallpass.db");
        println!("  Why was it refused?  hallpass explain --latest --database-url sqlite:{}\n", database.display());
    }
    println!("  Ctrl-C ends it all and leaves nothing behind.\n");
    server::signal().await;
    stopper.stop();
    for task in tasks {
        let _ = task.await;
    }
    drop(folder);
    Ok(())
}

fn cannot_listen(error: std::io::Error) -> Failure {
    Failure::new("cannot listen on localhost").with_source(error)
}

/// The folder of the demo is of no use.
fn of_folder(error: std::io::Error) -> Failure {
    Failure::new("the folder of the demo cannot be written").with_source(error)
}

async fn listen(port: u16, may_move: bool) -> Result<(TcpListener, SocketAddr), Failure> {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = match TcpListener::bind(wanted).await {
        Err(error) if !may_move => {
            return Err(Failure::at(format!("cannot listen on {wanted}"), error).with_fix("end what uses it"));
        }
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(cannot_listen)?,
        Ok(listener) => listener,
    };
    let address = listener.local_addr().map_err(cannot_listen)?;
    Ok((listener, address))
}

/// Both loopback addresses of one port: some browsers try `[::1]` first, and another server may listen there.
async fn listen_as_localhost() -> Result<(u16, Vec<TcpListener>), Failure> {
    let mut last = None;
    for port in [PROVIDER_PORT, 0, 0, 0] {
        let four = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => listener,
            Err(error) => {
                last = Some(error);
                continue;
            }
        };
        let port = four.local_addr().map_err(cannot_listen)?.port();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(six) => return Ok((port, vec![four, six])),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => last = Some(error),
            // A machine without IPv6 cannot send a browser there.
            Err(_) => return Ok((port, vec![four])),
        }
    }
    Err(last.map_or_else(|| Failure::new("cannot listen on localhost"), cannot_listen))
}

/// Starts the provider on embedded stores; gives its issuer and the password of the demo user.
async fn provider(
    folder: &TempDir,
    services: &[(TcpListener, SocketAddr)],
    secrets: &[ClientSecret],
    stop: &server::Stop,
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<(String, String), Failure> {
    let (port, listeners) = listen_as_localhost().await?;
    let issuer = format!("http://localhost:{port}");
    let migrations = folder.path().join("migrations");
    std::fs::create_dir(&migrations).map_err(of_folder)?;
    for (index, (name, client_id, _)) in SERVICES.iter().enumerate() {
        let hash = passwords::hash(secrets[index].expose()).map_err(not_hashed)?;
        let sql = format!(
            "INSERT INTO clients (client_id, client_name, consent, client_uri, backchannel_logout_uri) VALUES \
             ('{client_id}', '{name}', 'skip', 'http://{0}/', 'http://{0}/backchannel-logout');\n\
             INSERT INTO client_secrets (client_id, secret_hash) VALUES ('{client_id}', '{hash}');\n\
             INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('{client_id}', 'http://{0}/callback');\n\
             INSERT INTO client_post_logout_redirect_uris VALUES ('{client_id}', 'http://{0}/signed-out');\n",
            services[index].1
        );
        let file = migrations.join(format!("2026010100000{index}_add_client_{client_id}.sql"));
        std::fs::write(file, sql).map_err(of_folder)?;
    }
    let value = |name: &str| {
        Some(match name {
            "issuer" => issuer.clone(),
            "database_url" => format!("sqlite:{}", folder.path().join("hallpass.db").display()),
            "keys" => folder.path().join("keys").display().to_string(),
            "migrations" => migrations.display().to_string(),
            _ => return None,
        })
    };
    let config =
        RawConfig::gather(|setting| value(setting.name), std::iter::empty(), None).and_then(|raw| raw.check())?;
    let provider = startup::open(config, Clock::System).await?;

    let password = edge::reference().to_lowercase();
    let user = NewUser {
        sub: "demo-alice",
        username: USERNAME,
        may_share_address: false,
        email_verified: true,
        email: "alice@example.com",
        details: Details { columns: vec![("name", Some("Alice Example"))], ..Details::default() },
        password_hash: &passwords::hash(&password).map_err(not_hashed)?,
        now: provider.now(),
    };
    users::add(&provider.db, &user).await?;
    for listener in listeners {
        tasks.push(tokio::spawn(server::serve(listener, endpoints::public(provider.clone()), places(), stop.clone())));
    }
    Ok((issuer, password))
}

fn read_secrets(file: &std::path::Path) -> Result<Vec<ClientSecret>, Failure> {
    let text =
        zeroize::Zeroizing::new(std::fs::read_to_string(file).map_err(|error| Failure::at(file.display(), error))?);
    SERVICES
        .iter()
        .map(|(_, client_id, _)| {
            text.lines()
                .find_map(|line| line.trim().strip_prefix(client_id)?.strip_prefix('='))
                .map(|secret| ClientSecret::received(secret.trim()))
                .ok_or_else(|| Failure::new(format!("{}: there is no line {client_id}=…", file.display())))
        })
        .collect()
}

/// All who try it come from this machine.
fn places() -> Arc<Places> {
    Places::public(server::raise_descriptors(), &[])
}
