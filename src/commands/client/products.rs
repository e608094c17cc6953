//! The products whose habits are known: `products.toml`, what a row needs for each (`client new --for`), and
//! `hallpass client products`, which shows the table.

use super::new::New;
use super::settings::{Language, Stack};
use crate::commands::acceptance::Acceptance;
use crate::commands::{Outcome, terminal};
use crate::failure::{Failure, Warning};
use crate::protocol::response::{
    ApplicationType, ClaimShape, ClaimSource, ClientAuthMethod, GrantType, PkcePolicy, Place, YesNo,
};
use crate::store::clients::ClaimRow;
use clap::builder::{PossibleValue, PossibleValuesParser};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The lint's code for a client that has no part in sign-outs, or half of one.
const NO_LOGOUT_URI: &str = "no-logout-uri";

/// What optional PKCE means for a product that sends no nonce.
const UNBOUND: &str =
    "it sends neither PKCE nor nonce: nothing binds a code to the browser that asked for it (RFC 9700 section 2.1.1)";

/// Each product by the name that `--for` takes.
static TABLE: LazyLock<Result<BTreeMap<String, Product>, toml::de::Error>> =
    LazyLock::new(|| toml::from_str(include_str!("products.toml")));

pub(super) const HELP: &str = "Examples:
  hallpass client products
  hallpass client products grafana
  hallpass client products --json | jq -r '.products[].product'

Then: hallpass client new grafana --for grafana --url https://grafana.example.com";

#[derive(clap::Args)]
pub(in crate::commands) struct Products {
    /// What this one does, and where that is written
    #[arg(value_name = "PRODUCT", value_parser = names(), hide_possible_values = true)]
    product: Option<String>,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// What is known of a product. Each part names its source, one of `sources`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Product {
    pub(super) name: String,
    /// Other names that `--for` takes.
    #[serde(default)]
    also: Vec<String>,
    /// Another one than `web`.
    application_type: Option<ApplicationType>,
    callback: Callback,
    sign_out: Option<SignOut>,
    back_channel: Option<BackChannel>,
    starts: Option<Starts>,
    pkce: Pkce,
    secret: Option<Authentication>,
    scope: Scopes,
    claims: Option<Claims>,
    groups: Option<Groups>,
    refresh: Option<Refresh>,
    algorithms: Option<Algorithms>,
    sends: Option<Sends>,
    #[serde(default)]
    notes: Vec<Note>,
    /// Pages and files, each with its address.
    sources: BTreeMap<String, String>,
    /// The framework whose settings it has.
    pub(super) stack: Option<Stack>,
    /// Where it has no `stack`: its settings.
    #[serde(default)]
    pub(super) files: Vec<File>,
}

/// Where answers are sent.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Callback {
    /// What follows the base address, or a whole address where the product has the same one everywhere.
    paths: Vec<String>,
    /// Whether the operator chooses the path, and this one is a proposal.
    #[serde(default)]
    is_own: bool,
    source: String,
}

/// How it signs users out at the provider.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SignOut {
    /// Where the browser comes back to.
    paths: Vec<String>,
    how: String,
    source: String,
}

/// Where it is told that a user signed out elsewhere.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct BackChannel {
    /// What follows the base address.
    path: String,
    /// Whether `path` follows the callback instead, wherever the operator puts that.
    #[serde(default)]
    on_callback: bool,
    source: String,
}

/// Where it starts a sign-in by itself: an address that a GET is enough for, whatever else is in its query.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Starts {
    /// What follows the base address.
    path: String,
    source: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Pkce {
    does: Does,
    /// What decides about it.
    setting: Option<String>,
    source: String,
}

/// When a product sends PKCE with S256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Does {
    Always,
    /// Where discovery says that the provider can do it.
    Discovered,
    /// When it is told to, which the settings here do.
    Setting,
    Never,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Authentication {
    sent: Sent,
    source: String,
}

/// How a client authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Sent {
    Header,
    Body,
    /// It is public.
    None,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Scopes {
    /// Without `offline_access`.
    asks: String,
    source: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    from: From,
    source: String,
}

/// Where a product reads who the user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum From {
    IdToken,
    Userinfo,
    Both,
}

/// It takes rights from a claim that is made of the user's groups.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Groups {
    /// As the settings here name it.
    claim: String,
    /// Where it is read; places of `client_claims`.
    places: Vec<Place>,
    how: String,
    source: String,
}

impl Groups {
    fn row(&self) -> ClaimRow {
        ClaimRow {
            claim: self.claim.clone(),
            source: ClaimSource::Groups.as_str().to_owned(),
            value: None,
            shape: ClaimShape::List.as_str().to_owned(),
            scope: None,
            places: self.places.iter().map(|place| place.as_str()).collect::<Vec<_>>().join(" "),
            starts_with: String::new(),
            prefix: String::new(),
        }
    }
}

/// It needs refresh tokens.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    why: String,
    source: String,
}

/// It takes these signatures only, unless the setting says otherwise.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Algorithms {
    only: Vec<String>,
    setting: String,
    source: String,
}

/// What else is in its authorization request.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Sends {
    nonce: bool,
    #[serde(default)]
    more: BTreeMap<String, String>,
    source: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Note {
    says: String,
    source: String,
}

/// Settings, or a part of them.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Where they belong.
    pub(super) name: String,
    pub(super) language: Language,
    /// With `@name@` where a value is to be.
    pub(super) text: String,
    /// Whether it is there for the secret alone, so that a public client has none of it.
    #[serde(default)]
    pub(super) is_secret: bool,
}

/// The values of `--for`, with a proposal where a name is misspelt.
pub(super) fn names() -> PossibleValuesParser {
    let products = TABLE.as_ref().ok().into_iter().flatten();
    PossibleValuesParser::new(
        products.map(|(id, product)| PossibleValue::new(id.clone()).aliases(product.also.clone())),
    )
}

fn table() -> Result<&'static BTreeMap<String, Product>, Failure> {
    TABLE.as_ref().map_err(|error| Failure::at("the table of products cannot be read", error.clone()))
}

/// The product of one of its names.
pub(super) fn find(name: &str) -> Result<&'static Product, Failure> {
    let mut products = table()?.iter();
    let found = products.find(|(id, product)| *id == name || product.also.iter().any(|other| other == name));
    found.map(|(_, product)| product).ok_or_else(|| {
        Failure::new(format!("no product {name} is known")).with_fix("`hallpass client products` lists those that are")
    })
}

/// The base address as it was given, without the slash at its end.
pub(super) fn base_of(url: &str) -> Result<String, Failure> {
    let parsed = url::Url::parse(url).ok();
    let is_base = parsed.is_some_and(|parsed| {
        matches!(parsed.scheme(), "http" | "https") && parsed.query().is_none() && parsed.fragment().is_none()
    });
    if is_base {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    let what = format!("--url {}: it is no address by https or http without a query", terminal::one_line(url));
    Err(Failure::new(what).with_fix("give the address that browsers see, such as https://grafana.example.com"))
}

impl Product {
    /// Whether nothing can be registered without knowing where it is.
    pub(super) fn needs_url(&self, new: &New) -> bool {
        let is_relative = |path: &String| !path.contains("://");
        new.url.is_none() && new.redirect_uri.is_empty() && self.callback.paths.iter().any(is_relative)
    }

    /// The base address that a redirect URI tells.
    pub(super) fn base_behind(&self, redirect_uri: &str) -> Option<String> {
        // Of two that fit, the longer one leaves less to the base.
        let fitting = self.callback.paths.iter().filter_map(|path| redirect_uri.strip_suffix(path.as_str()));
        let fitting = fitting.min_by_key(|base| base.len()).filter(|base| base.contains("://"));
        fitting.map(str::to_owned).or_else(|| self.folder_of(redirect_uri))
    }

    /// What a callback that the operator chose is below, which is the best guess at where the service is.
    fn folder_of(&self, redirect_uri: &str) -> Option<String> {
        let url = url::Url::parse(redirect_uri).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let (folder, _) = url.path().rsplit_once('/').filter(|_| self.callback.is_own)?;
        Some(format!("{}{folder}", url.origin().ascii_serialization()))
    }

    /// What is odd about a redirect URI that was given, with what to do about it.
    fn warning_about(&self, redirect_uri: &str, url: Option<&str>, base: Option<&str>) -> Option<Warning> {
        let name = &self.name;
        let given = terminal::one_line(redirect_uri);
        let is_listed =
            |path: &String| redirect_uri == *path || base.is_some_and(|base| redirect_uri == format!("{base}{path}"));
        if self.callback.paths.iter().any(is_listed) {
            return None;
        }
        if !self.callback.is_own {
            let paths = self.callback.paths.iter().map(|path| if path.is_empty() { "its address" } else { path });
            let paths = paths.collect::<Vec<_>>().join(", ");
            let what = format!("{name} does not listen at the --redirect-uri {given}");
            let fix = format!("give --url alone, unless {name} is told to: it listens at {paths}");
            return Some(Warning::new(what, fix));
        }
        let base = base?;
        let is_below = |base: &str| redirect_uri.strip_prefix(base).is_some_and(|rest| rest.starts_with(['/', '?']));
        if !is_below(base) && redirect_uri != base {
            let what = format!("the --redirect-uri {given} is not below {}", terminal::one_line(base));
            return Some(Warning::new(what, format!("give the --url of {name} and a --redirect-uri below it")));
        }
        // Without a path there is nothing that could be guessed wrong.
        if url.is_none() && base.matches('/').count() > 2 {
            let what =
                format!("{name} is taken to be at {}, which is above its --redirect-uri", terminal::one_line(base));
            return Some(Warning::new(what, "give --url, too, where it is elsewhere"));
        }
        None
    }

    /// Whether it sends nothing by which a code belongs to the browser that asked for it, where PKCE is not required.
    fn binds_nothing(&self) -> bool {
        self.sends.as_ref().is_some_and(|sends| !sends.nonce)
    }

    /// Whether it can do without a secret; a warning where that is not known.
    fn check_public(&self) -> Outcome {
        let name = &self.name;
        if self.pkce.does == Does::Never {
            let what =
                format!("--public: {name} sends no PKCE, which a public client must use (RFC 9700 section 2.1.1)");
            return Err(Failure::new(what).with_fix("leave --public out"));
        }
        if self.secret.as_ref().is_none_or(|secret| secret.sent != Sent::None) {
            let what = format!("{name} is not known to work without a secret");
            eprintln!("{}", Warning::new(what, "leave --public out, unless its documentation says otherwise").told());
        }
        Ok(())
    }

    /// Says for the operator what was not said: all that the row of this product needs.
    pub(super) fn fill(&self, new: &mut New) -> Outcome {
        let base = match (&new.url, new.redirect_uri.first()) {
            (Some(url), _) => Some(base_of(url)?),
            (None, Some(uri)) => self.base_behind(uri),
            (None, None) => None,
        };
        self.fill_addresses(new, base.as_deref());
        new.name.get_or_insert_with(|| self.name.clone());
        new.application_type = new.application_type.or(self.application_type);
        if new.public || new.auth_method == Some(ClientAuthMethod::None) {
            self.check_public()?;
        }
        let has_secret = new.secret.is_given() || new.auth_method.is_some();
        match self.secret.as_ref().map(|secret| secret.sent) {
            _ if new.public || has_secret => {}
            Some(Sent::None) => new.public = true,
            Some(Sent::Body) => new.auth_method = Some(ClientAuthMethod::ClientSecretPost),
            Some(Sent::Header) | None => {}
        }
        if new.grant.is_empty() && self.refresh.is_some() {
            new.grant = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
        }
        if new.scope.is_none() {
            let refreshes = new.grant.contains(&GrantType::RefreshToken);
            let more = if refreshes { " offline_access" } else { "" };
            new.scope = Some(format!("{}{more}", self.scope.asks));
        }
        if new.pkce.is_none() && self.pkce.does == Does::Never {
            new.pkce = Some(PkcePolicy::Optional);
        }
        if new.pkce == Some(PkcePolicy::Optional) && self.binds_nothing() {
            new.without_pkce = Some(UNBOUND);
            let what = format!(
                "without PKCE nothing binds a code to the browser that asked for it: {} sends no nonce either (RFC 9700 section 2.1.1)",
                self.name
            );
            let fix = "say --pkce required where your version sends PKCE; otherwise a stolen code signs its thief in";
            eprintln!("{}", Warning::new(what, fix).told());
        }
        new.claims.extend(self.groups.iter().map(Groups::row));
        if self.claims.as_ref().is_some_and(|claims| claims.from == From::Userinfo) {
            new.claims_in_id_token.get_or_insert(YesNo::No);
        }
        Ok(())
    }

    fn fill_addresses(&self, new: &mut New, base: Option<&str>) {
        let whole = |path: &String| match base {
            _ if path.contains("://") => Some(path.clone()),
            Some(base) => Some(format!("{base}{path}")),
            None => None,
        };
        if new.redirect_uri.is_empty() {
            new.redirect_uri = self.callback.paths.iter().filter_map(whole).collect();
        } else {
            let warnings = new.redirect_uri.iter().filter_map(|uri| self.warning_about(uri, new.url.as_deref(), base));
            for warning in warnings {
                eprintln!("{}", warning.told());
            }
        }
        if let Some(sign_out) = self.sign_out.as_ref().filter(|_| new.post_logout_redirect_uri.is_empty()) {
            new.post_logout_redirect_uri = sign_out.paths.iter().filter_map(whole).collect();
        }
        if new.backchannel_logout_uri.is_none() && new.frontchannel_logout_uri.is_none() {
            new.backchannel_logout_uri = self.back_channel.as_ref().and_then(|channel| {
                if channel.on_callback {
                    new.redirect_uri.first().map(|uri| after_callback(uri, &channel.path))
                } else {
                    whole(&channel.path)
                }
            });
        }
        if new.initiate_login_uri.is_none() {
            // A callback of the operator's own may have another provider's name in it, and so may this.
            let is_ours = self.callback.paths.iter().filter_map(whole).any(|uri| new.redirect_uri.contains(&uri));
            let starts = self.starts.as_ref().filter(|_| is_ours);
            new.initiate_login_uri = starts.and_then(|starts| whole(&starts.path));
        }
        if new.client_uri.is_none() {
            new.client_uri = base.map(str::to_owned);
        }
        let lacking = match (&self.sign_out, &self.back_channel) {
            (None, None) => "sign users out here, or to hear of sign-outs elsewhere",
            (None, Some(_)) => "sign users out here",
            (Some(_), None) => "hear of sign-outs elsewhere",
            (Some(_), Some(_)) => return,
        };
        let reason = format!("{} is not known to {lacking}", self.name);
        new.without_sign_out = Some(Acceptance { code: NO_LOGOUT_URI.to_owned(), reason });
    }

    /// Each habit in words, with the address of its source.
    fn habits(&self) -> Vec<(&'static str, String, &str)> {
        let mut habits = vec![("callback", self.callback.paths.join(", "), self.callback.source.as_str())];
        if let Some(SignOut { paths, how, source }) = &self.sign_out {
            let paths =
                paths.iter().map(|path| if path.is_empty() { "its address".to_owned() } else { format!("`{path}`") });
            habits.push(("sign-out", format!("{how}; then to {}", paths.collect::<Vec<_>>().join(", ")), source));
        }
        if let Some(BackChannel { path, on_callback, source }) = &self.back_channel {
            let place = if *on_callback { "its callback, with " } else { "" };
            habits.push(("back channel", format!("{place}`{path}`"), source));
        }
        if let Some(Starts { path, source }) = &self.starts {
            habits.push(("starts a sign-in", format!("at `{path}`"), source));
        }
        let setting = self.pkce.setting.as_ref().map(|setting| format!(" (`{setting}`)")).unwrap_or_default();
        let pkce = match self.pkce.does {
            Does::Always => "always",
            Does::Discovered => "where discovery says that the provider can do it",
            Does::Setting => "where it is told to, as the settings that are printed do",
            Does::Never if self.binds_nothing() => {
                "never: its row has pkce = 'optional', and since it sends no nonce either, nothing binds a code to the browser \
                 that asked for it (RFC 9700 section 2.1.1)"
            }
            Does::Never => "never: its row has pkce = 'optional'",
        };
        habits.push(("PKCE", format!("{pkce}{setting}"), &self.pkce.source));
        if let Some(Authentication { sent, source }) = &self.secret {
            let sent = match sent {
                Sent::Header => "in the header",
                Sent::Body => "in the body",
                Sent::None => "none: it is a public client",
            };
            habits.push(("secret", sent.to_owned(), source));
        }
        habits.push(("scope", self.scope.asks.clone(), &self.scope.source));
        if let Some(Claims { from, source }) = &self.claims {
            let from = match from {
                From::IdToken => "from the id_token",
                From::Userinfo => "from userinfo: its row has claims_in_id_token = 'no'",
                From::Both => "from the id_token and from userinfo",
            };
            habits.push(("claims", from.to_owned(), source));
        }
        if let Some(Groups { claim, places, how, source }) = &self.groups {
            let places = places.iter().map(|place| place.as_str()).collect::<Vec<_>>().join(" and ");
            habits.push(("groups", format!("the claim `{claim}` in {places}: {how}"), source));
        }
        if let Some(Refresh { why, source }) = &self.refresh {
            habits.push(("refresh", why.clone(), source));
        }
        if let Some(Algorithms { only, setting, source }) = &self.algorithms {
            habits.push(("algorithm", format!("{}, unless `{setting}` says otherwise", only.join(", ")), source));
        }
        if let Some(Sends { nonce, more, source }) = &self.sends {
            let nonce = if *nonce { "nonce" } else { "no nonce" };
            let more = more.iter().map(|(name, value)| format!("{name}={value}"));
            let all: Vec<String> = std::iter::once(nonce.to_owned()).chain(more).collect();
            habits.push(("sends", all.join(", "), source));
        }
        habits.extend(self.notes.iter().map(|note| ("note", note.says.clone(), note.source.as_str())));
        let address = |source: &str| self.sources.get(source).map_or("", String::as_str);
        habits.into_iter().map(|(habit, says, source)| (habit, says, address(source))).collect()
    }
}

/// A callback with the parameter that makes it another endpoint.
fn after_callback(redirect_uri: &str, query: &str) -> String {
    match query.strip_prefix('?') {
        Some(parameter) if redirect_uri.contains('?') => format!("{redirect_uri}&{parameter}"),
        _ => format!("{redirect_uri}{query}"),
    }
}

pub(super) fn run(products: &Products) -> Outcome {
    let chosen = products.product.as_deref().map(find).transpose()?;
    if products.json {
        let all = table()?.iter().filter(|(_, product)| chosen.is_none_or(|chosen| chosen.name == product.name));
        let documents = all.map(|(id, product)| {
            let habits = product.habits().into_iter();
            let habits = habits.map(|(habit, says, source)| json!({"habit": habit, "says": says, "source": source}));
            let mut document = serde_json::to_value(product).map_err(terminal::not_json)?;
            document["product"] = id.as_str().into();
            document["habits"] = habits.collect();
            Ok(document)
        });
        let documents = documents.collect::<Result<Vec<_>, Failure>>()?;
        return terminal::print_json(&json!({ "products": documents }));
    }
    if let Some(product) = chosen {
        println!("{}\n", product.name);
        for (habit, says, source) in product.habits() {
            println!("{habit:<12}  {says}\n{:<12}  {source}", "");
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = table()?
        .iter()
        .map(|(id, product)| {
            let callback = product.callback.paths.first();
            vec![
                id.clone(),
                product.name.clone(),
                callback.filter(|path| !path.is_empty()).map_or("/", |path| path).to_owned(),
            ]
        })
        .collect();
    print!("{}", terminal::table(&["PRODUCT", "NAME", "CALLBACK"], &rows));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_habit_has_a_source_and_every_source_a_habit() {
        let table = toml::from_str::<BTreeMap<String, Product>>(include_str!("products.toml")).unwrap();
        assert!(table.len() >= 30, "{}", table.len());
        let mut names = BTreeSet::new();
        for (id, product) in &table {
            for name in std::iter::once(id).chain(&product.also) {
                assert!(names.insert(name), "{name} is there twice");
            }
            let used: BTreeSet<&str> = product.habits().into_iter().map(|(.., source)| source).collect();
            let known: BTreeSet<&str> = product.sources.values().map(String::as_str).collect();
            assert_eq!(used, known, "{id}");
            assert!(known.iter().all(|source| source.starts_with("https://")), "{id}");
            assert_ne!(product.stack.is_some(), !product.files.is_empty(), "{id} has settings, once");
        }
    }

    #[test]
    fn a_redirect_uri_tells_the_base_address() {
        let base = |product: &str, uri: &str| find(product).unwrap().base_behind(uri);
        let address = Some("https://x.example/a".to_owned());
        assert_eq!(base("grafana", "https://x.example/a/login/generic_oauth"), address);
        assert_eq!(base("nextcloud", "https://x.example/a/index.php/apps/user_oidc/code"), address);
        assert_eq!(base("portainer", "https://x.example/a/"), address);
        assert_eq!(base("fastapi", "https://x.example/cb"), Some("https://x.example".to_owned()));
        assert_eq!(base("fastapi", "https://x.example/a/cb"), address);
        assert_eq!(base("fastapi", "https://x.example/a/auth/callback"), address);
        assert_eq!(base("mod-auth-openidc", "https://x.example/a/cb?b=c"), address);
        assert_eq!(base("grafana", "https://x.example/cb"), None);
        assert_eq!(base("kubernetes", "http://localhost:8000"), None);
    }
}
