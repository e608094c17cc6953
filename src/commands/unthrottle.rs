//! `hallpass unthrottle`: frees a user, a network or a client whose failures are counted, at every node, whichever store counts.

use crate::ambient::Clock;
use crate::commands::terminal::Report;
use crate::commands::{Outcome, terminal, user};
use crate::config::Config;
use crate::failure::Failure;
use crate::logging;
use crate::protocol::node_secrets::NodeSecrets;
use crate::store::clients;
use crate::store::unthrottled::{self, Freed};
use crate::web::network::Network;
use ipnet::IpNet;
use serde_json::json;
use std::net::IpAddr;

pub(super) const HELP: &str =
    "Failures from before are forgotten: every node knows within ten seconds, also where sign-ins live in its \
process. What comes after it is counted as ever. `hallpass doctor` says who was refused within the last day.

Examples:
  hallpass unthrottle user alice
  hallpass unthrottle network 203.0.113.7
  hallpass unthrottle client reports";

#[derive(clap::Subcommand)]
pub(super) enum UnthrottleCommand {
    /// Forget failed sign-ins of a user, from wherever they came
    #[command(after_help = "Example:\n  hallpass unthrottle user alice")]
    User {
        /// User name or e-mail address
        username: String,
        #[command(flatten)]
        report: Report,
    },
    /// Forget failures from a network, of all users and clients
    #[command(after_help = "All of its /24 of IPv4 or its /48 of IPv6 is freed, since that is counted together.\n\n\
        Examples:\n  hallpass unthrottle network 203.0.113.7\n  hallpass unthrottle network 2001:db8:1::/48")]
    Network {
        /// An address of it, or the network itself
        #[arg(value_parser = network)]
        address: IpAddr,
        #[command(flatten)]
        report: Report,
    },
    /// Forget failed authentications of a client, from wherever they came
    #[command(after_help = "Example:\n  hallpass unthrottle client reports")]
    Client {
        /// The client's `client_id`
        id: String,
        #[command(flatten)]
        report: Report,
    },
}

fn network(text: &str) -> Result<IpAddr, String> {
    if let Ok(wide) = text.parse::<IpNet>()
        && wide.prefix_len() < if wide.addr().is_ipv4() { 24 } else { 48 }
    {
        return Err(
            "is wider than what is counted together, a /24 of IPv4 or a /48 of IPv6: free each of them".to_owned()
        );
    }
    let parsed = text.parse::<IpNet>().map(|network| network.network()).or_else(|_| text.parse::<IpAddr>());
    parsed.map_err(|_| "is no address such as 203.0.113.7 and no network such as 203.0.113.0/24".to_owned())
}

pub(super) async fn run(config: Config, command: UnthrottleCommand) -> Outcome {
    logging::start("warn");
    let db = terminal::open_database(&config).await?;
    let now = Clock::System.now();
    let (freed, document, report) = match command {
        UnthrottleCommand::User { username, report } => {
            let user = user::find(&db, &username).await?;
            let root = db.known_value("root_secret").await?;
            let root = root.ok_or_else(|| {
                Failure::new("no node has served on this database yet, so nothing is counted")
                    .with_fix("`hallpass serve`")
            })?;
            let account = NodeSecrets::new(&root, "").account(Some(&user.sub), "");
            unthrottled::free(&db, &Freed::Account(&account, &user.sub), now).await?;
            (user::named(&user), user::document_of(&user, json!({})), report)
        }
        UnthrottleCommand::Network { address, report } => {
            let wide = Network::of_address(address).wide();
            unthrottled::free(&db, &Freed::Network(wide), now).await?;
            let freed = format!("{wide}/{}", if wide.is_ipv4() { 24 } else { 48 });
            let document = json!({ "network": freed });
            (freed, document, report)
        }
        UnthrottleCommand::Client { id, report } => {
            if clients::name_and_end(&db, &id).await?.is_none() {
                let what = format!("there is no client {:?}", terminal::one_line(&id));
                return Err(Failure::new(what).with_fix("`hallpass client list` names them"));
            }
            unthrottled::free(&db, &Freed::Client(&id), now).await?;
            let document = json!({ "client_id": id });
            (id, document, report)
        }
    };
    db.close().await;
    report.print(&document, None)?;
    eprintln!("freed {freed}: within ten seconds no node counts failures from before");
    Ok(())
}
