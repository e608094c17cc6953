//! `hallpass client new`: asks for what is missing, writes the migration, prints the secret once.

use super::draft::{Draft, scopes_left_out};
use super::products::{self, Product};
use super::settings::{Registration, Stack};
use super::written::{Secret, SecretArguments, is_standard_output, write_migration};
use super::{lint, questions};
use crate::commands::acceptance::Acceptance;
use crate::commands::{Outcome, scope, terminal};
use crate::config::Config;
use crate::failure::{Failure, Warning};
use crate::protocol::claim_map::OwnScope;
use crate::protocol::response::{
    AccessPolicy, AccessTokenFormat, ApplicationType, ClientAuthMethod, ConsentPolicy, GrantType, PkcePolicy,
    RequiredAcr, Word, YesNo,
};
use crate::protocol::secret::ClientSecret;
use crate::store::clients::ClaimRow;
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::path::PathBuf;

pub(super) const HELP: &str = "On a terminal it asks for what is missing; in a script what is missing is wrong usage.

Examples:
  A product whose habits are known (`hallpass client products`), with its settings:
    hallpass client new grafana --for grafana --url https://grafana.example.com
  One of your own services, with settings for its framework:
    hallpass client new reports --name Reports --consent skip \\
        --redirect-uri https://reports.example.com/signin-oidc --settings aspnetcore
  An application in the browser or on a phone, which cannot keep a secret:
    hallpass client new app --public --redirect-uri https://app.example.com/callback
  One that only members of a group may enter:
    hallpass client new ledger --redirect-uri https://ledger.example.com/cb --group finance
  A machine without users, which calls an API:
    hallpass client new nightly --grant client_credentials --audience https://api.example.com
  A secret that is kept elsewhere (GitOps); only its hash is written:
    hallpass client new reports --redirect-uri https://reports.example.com/cb \\
        --secret-stdin < secret.txt
  What is refused at first and may be accepted, with the reason, which is in the file for the lint and the reviewer:
    hallpass client new printer --redirect-uri http://printer.lan/callback \\
        --accept 'plain-http: the printer cannot do TLS'
  Straight into a database, without a file:
    hallpass client new reports --redirect-uri https://reports.example.com/cb \\
        --output - | psql hallpass

Then: hallpass client lint && hallpass migrate";

#[derive(clap::Args)]
pub(in crate::commands) struct New {
    /// `client_id`: letters, digits and - . _ ~; others, such as a colon, with --accept
    pub(super) id: String,
    /// The product that it is: what its row needs, and its settings; `hallpass client products` lists them
    #[arg(long = "for", value_name = "PRODUCT", value_parser = products::names(), hide_possible_values = true)]
    product: Option<String>,
    /// Where browsers find the product; its addresses follow from it
    #[arg(long, value_name = "URL", requires = "product")]
    pub(super) url: Option<String>,
    /// What users read on the pages [default: the product, or the ID]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Where answers are sent, compared exactly; may be repeated
    #[arg(long, value_name = "URI")]
    pub(super) redirect_uri: Vec<String>,
    /// Where the browser may go after a sign-out; may be repeated
    #[arg(long, value_name = "URI")]
    pub(super) post_logout_redirect_uri: Vec<String>,
    /// Where it is told by us that a user signed out (Back-Channel Logout)
    #[arg(long, value_name = "URI")]
    pub(super) backchannel_logout_uri: Option<String>,
    /// What the browser loads there when a user signs out (Front-Channel Logout); works on the issuer's own site only
    #[arg(long, value_name = "URI")]
    pub(super) frontchannel_logout_uri: Option<String>,
    /// Where it starts a sign-in by itself: who sat long at the login page is led there, and not back to what it has forgotten
    #[arg(long, value_name = "URI")]
    pub(super) initiate_login_uri: Option<String>,
    /// Its home page
    #[arg(long, value_name = "URI")]
    pub(super) client_uri: Option<String>,
    /// What it does with users' data, linked where they are asked for consent
    #[arg(long, value_name = "URI")]
    pub(super) policy_uri: Option<String>,
    /// Its terms of service, linked where users are asked for consent
    #[arg(long, value_name = "URI")]
    pub(super) tos_uri: Option<String>,
    /// A client that cannot keep a secret, such as one in a browser
    #[arg(long, conflicts_with_all = ["secret_stdin", "secret_hash", "auth_method"])]
    pub(super) public: bool,
    /// web, or native for one on the user's own machine [default: web]
    #[arg(long, value_name = "TYPE", value_parser = word::<ApplicationType>())]
    pub(super) application_type: Option<ApplicationType>,
    /// How it authenticates: `client_secret_basic` or `client_secret_post` [default: `client_secret_basic`]
    #[arg(long, value_name = "METHOD", value_parser = word::<ClientAuthMethod>())]
    pub(super) auth_method: Option<ClientAuthMethod>,
    /// The most it can be given [default: openid profile email, and `offline_access` with the grant `refresh_token`; none for
    /// a machine]
    #[arg(long)]
    pub(super) scope: Option<String>,
    /// Grant type: `authorization_code`, `refresh_token`, `client_credentials`; may be repeated [default:
    /// `authorization_code`]
    #[arg(long, value_name = "GRANT", value_parser = word::<GrantType>())]
    pub(super) grant: Vec<GrantType>,
    /// opaque, or jwt for APIs that check access tokens by themselves
    #[arg(long, value_name = "FORMAT", default_value = "opaque", value_parser = word::<AccessTokenFormat>())]
    pub(super) access_token_format: AccessTokenFormat,
    /// yes: name and e-mail are in the `id_token` too; no: only userinfo tells them [default: yes]
    #[arg(long, value_name = "WORD", num_args = 0..=1, default_missing_value = "yes", value_parser = word::<YesNo>())]
    pub(super) claims_in_id_token: Option<YesNo>,
    /// An API that its access tokens are for (aud); may be repeated
    #[arg(long, value_name = "URI")]
    pub(super) audience: Vec<String>,
    /// The API that this client itself is, so that it may introspect tokens for it
    #[arg(long, value_name = "URI")]
    pub(super) resource: Option<String>,
    /// required, or optional for a library that cannot do PKCE [default: required]
    #[arg(long, value_name = "POLICY", value_parser = word::<PkcePolicy>())]
    pub(super) pkce: Option<PkcePolicy>,
    /// ask, or skip for one of the organization's own services [default: ask]
    #[arg(long, value_name = "POLICY", value_parser = word::<ConsentPolicy>())]
    pub(super) consent: Option<ConsentPolicy>,
    /// everybody, or groups: only members of a --group may enter [default: everybody, or groups with --group]
    #[arg(long, value_name = "WORD", value_parser = word::<AccessPolicy>())]
    pub(super) access: Option<AccessPolicy>,
    /// A group whose members may enter, which must be there when the file is applied; may be repeated
    #[arg(long, value_name = "GROUP")]
    pub(super) group: Vec<String>,
    /// The least acr of every sign-in there: 2 for a second factor [default: none is demanded]
    #[arg(long, value_name = "ACR", value_parser = word::<RequiredAcr>())]
    pub(super) require_acr: Option<RequiredAcr>,
    /// What users read of a scope of your own that it may ask for; may be repeated
    #[arg(long, value_name = "SCOPE=TEXT")]
    scope_description: Vec<String>,
    /// Accept what is refused at first (plain-http, private-scheme, client-id, audience), with the reason; may be repeated
    #[arg(long, value_name = "CODE: REASON", value_parser = Acceptance::flag)]
    pub(super) accept: Vec<Acceptance>,
    /// Why it has no part in sign-outs, or half of one, as the table of products says.
    #[arg(skip)]
    pub(super) without_sign_out: Option<Acceptance>,
    /// What it is told beyond its scopes, as the table of products says.
    #[arg(skip)]
    pub(super) claims: Vec<ClaimRow>,
    /// The scopes of `scope_description`.
    #[arg(skip)]
    pub(super) own_scopes: Vec<OwnScope>,
    /// What optional PKCE means for it, as the table of products says.
    #[arg(skip)]
    pub(super) without_pkce: Option<&'static str>,
    #[command(flatten)]
    pub(super) secret: SecretArguments,
    /// The file to write, or - for standard output [default: a dated one in the migrations folder]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The settings to print for the service [default: env]
    #[arg(long, value_name = "STACK", conflicts_with = "json")]
    pub(super) settings: Option<Stack>,
    /// Print one JSON object instead
    #[arg(long)]
    pub(super) json: bool,
    /// Ask nothing, also on a terminal
    #[arg(long)]
    no_questions: bool,
}

pub(super) fn word<W: Word + Send + Sync>() -> impl Fn(&str) -> Result<W, String> + Clone + Send + Sync + 'static {
    |text| W::of_word(text).ok_or_else(|| format!("use one of: {}", W::WORDS.join(", ")))
}

const PATH: &[&str] = &["client", "new"];

/// Says what the row of a product needs, asking for what only the operator knows.
fn of_product(new: &mut New, product: &Product, may_ask: bool) -> Outcome {
    if may_ask {
        questions::ask_of_product(new, product)?;
    }
    if product.needs_url(new) {
        let message = format!(
            "the following required arguments were not provided:\n  --url <URL>\n\n\
             The addresses of {} follow from it: give the one that browsers see",
            product.name
        );
        terminal::wrong_usage(PATH, &message);
    }
    product.fill(new)
}

pub(super) fn run(config: &Config, new: New) -> Outcome {
    written(config, new)?.map_or(Ok(()), |document| terminal::print_json(&document))
}

/// Writes the migration; gives what `--json` prints, where it is asked for, and prints the settings where not.
pub(super) fn written(config: &Config, mut new: New) -> Result<Option<Value>, Failure> {
    let to_standard_output = is_standard_output(new.output.as_deref());
    if new.json && to_standard_output {
        terminal::wrong_usage(PATH, "--json and --output -: standard output cannot hold both");
    }
    // Only what can be known without a database; and an operator who names another place knows what goes there.
    if new.output.is_none() && lint::registers(config, &new.id) == Some(true) {
        let what = format!("a file of {} registers {} already", config.migrations_or_default().display(), new.id);
        let fix = format!("choose another ID; `hallpass client rotate-secret {}` gives it another secret", new.id);
        return Err(Failure::new(what).with_fix(fix));
    }
    let may_ask = terminal::is_there() && !new.no_questions && !new.secret.secret_stdin;
    let product = match &new.product {
        Some(name) => Some(products::find(name)?),
        None => match products::find(&new.id) {
            Ok(product) if may_ask && questions::is_meant(&new, product)? => Some(product),
            _ => None,
        },
    };
    match product {
        Some(product) => of_product(&mut new, product, may_ask)?,
        None if may_ask => questions::ask(&mut new)?,
        None => {}
    }
    if new.redirect_uri.is_empty() && new.resource.is_none() && new.grant.is_empty() {
        terminal::wrong_usage(
            PATH,
            "the following required arguments were not provided:\n  --redirect-uri <URI>\n\n\
             People could not come back from signing in. A machine has --grant client_credentials instead, an API --resource <URI>",
        );
    }
    for pair in std::mem::take(&mut new.scope_description) {
        let Some((scope, description)) = pair.split_once('=') else {
            return Err(Failure::new(format!(
                "--scope-description {}: write it as SCOPE=TEXT",
                terminal::one_line(&pair)
            )));
        };
        new.own_scopes.push(scope::own_scope(scope.to_owned(), description, Vec::new())?);
    }
    let (output, stack) = (new.output.take(), new.settings.unwrap_or(Stack::Env));
    let (json, is_plain) = (new.json, new.settings.is_none());
    let secret = std::mem::take(&mut new.secret);
    let left_out = scopes_left_out(&new);
    let draft = Draft::of(new)?;
    if !left_out.is_empty() {
        eprintln!("Left out of its scope: {left_out}. A machine acts for itself, and these are about users.");
    }
    for warning in draft.warnings_of_access() {
        eprintln!("{}", warning.told());
    }
    if let Some(warning) = draft.doubt_about_sign_outs(&config.issuer) {
        let what = format!("--frontchannel-logout-uri {warning}");
        eprintln!("{}", Warning::new(what, "give it a --backchannel-logout-uri, which needs no cookie").told());
    }
    let secret = if draft.is_public() { Secret::Public } else { secret.secret()? };
    let file = write_migration(config, output.as_deref(), &format!("add_client_{}", draft.id), &draft.sql(&secret))?;
    if to_standard_output {
        eprintln!("Wrote standard output. Apply it to the database; no restart is needed.");
    }
    for note in &draft.notes {
        eprintln!("hallpass: {note}");
    }
    if secret.shown().is_some() {
        eprintln!("The secret is shown this once; it is not in the file.");
    }
    let registration = Registration {
        issuer: &config.issuer,
        client_id: &draft.id,
        client_secret: secret.shown().map(ClientSecret::expose),
        is_public: draft.is_public(),
        scope: &draft.scope,
        redirect_uris: &draft.redirect_uris,
        post_logout_redirect_uris: &draft.post_logout_redirect_uris,
        auth_method: draft.auth_method,
        client_uri: draft.client_uri.as_deref(),
    };
    if json {
        return Ok(Some(json!({
            "issuer": config.issuer,
            "discovery_url": registration.discovery_url(),
            "client_id": draft.id,
            "client_secret": registration.client_secret,
            "file": file.map(|file| file.display().to_string()),
        })));
    }
    let settings = match product.filter(|_| is_plain) {
        Some(product) => registration.product(product)?,
        None => registration.settings(stack)?,
    };
    if is_plain && product.is_none() && std::io::stdout().is_terminal() {
        eprintln!(
            "As a framework takes them: `hallpass client show {} --settings all`, once it is applied.\n",
            draft.id
        );
    }
    // With the SQL on standard output, a pipe into psql must not get the secret too.
    if to_standard_output {
        eprint!("{settings}");
    } else {
        print!("{settings}");
    }
    Ok(None)
}
