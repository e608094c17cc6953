//! A registered client: its policy, and which addresses are its own.
//!
//! Field names are the registered metadata names (RFC 7591, OIDC Registration 2); the row they come from is
//! read in `store/clients.rs`.

use crate::protocol::address;
use crate::protocol::authorization::REMEMBERED_FOR;
use crate::protocol::claim_map::{ClaimMap, OwnScope, Role};
use crate::protocol::claim_names::GROUPS;
use crate::protocol::columns::RowFault;
use crate::protocol::error::Refusal;
use crate::protocol::facts::Facts;
use crate::protocol::reason::Reason;
use crate::protocol::remedy::Remedy;
use crate::protocol::response::{
    AccessPolicy, AccessTokenFormat, ApplicationType, ClientAuthMethod, ConsentPolicy, GrantType, PkcePolicy,
    RequiredAcr, ResponseType, RotationPolicy, SigningAlgorithm, SubjectType,
};
use crate::protocol::scope::Scope;
use crate::protocol::time::NumericDate;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// A hashed client secret; several may be valid at once, so that a change needs no outage.
#[derive(Clone)]
pub struct HashedSecret {
    /// argon2id in PHC form.
    pub secret_hash: String,
    /// `client_secret_expires_at`; `None` (0 in the row): never.
    pub expires_at: Option<NumericDate>,
}

/// How long a family of refresh tokens lives at most where the client's row says nothing, in seconds: half a year.
pub const REFRESH_FAMILY_LIFETIME: i64 = 180 * 86_400;

/// What `clients.stale_after` can be, in seconds: no page is answered in no time, and no sign-in is remembered for longer.
pub const STALE_AFTER: RangeInclusive<i64> = 30..=REMEMBERED_FOR;

/// How long things issued to a client live, in seconds; `None`: as the settings say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lifetimes {
    /// `clients.code_lifetime`.
    pub code: Option<i64>,
    /// `clients.access_token_lifetime`.
    pub access_token: Option<i64>,
    /// `clients.id_token_lifetime`.
    pub id_token: Option<i64>,
    /// `clients.refresh_token_idle_lifetime`.
    pub refresh_token_idle: Option<i64>,
    /// `clients.refresh_token_lifetime`: a family's absolute end.
    pub refresh_token: Option<i64>,
}

/// A client that may use this provider.
#[derive(Clone)]
pub struct Client {
    /// `client_id`.
    pub client_id: String,
    /// `client_name`: what people read on the pages.
    pub client_name: String,
    /// `application_type`.
    pub application_type: ApplicationType,
    /// `token_endpoint_auth_method`.
    pub token_endpoint_auth_method: ClientAuthMethod,
    /// `grant_types`.
    pub grant_types: Vec<GrantType>,
    /// `response_types`.
    pub response_types: Vec<ResponseType>,
    /// `scope`: the most the client can be given.
    pub scope: Scope,
    /// `id_token_signed_response_alg`.
    pub id_token_signed_response_alg: SigningAlgorithm,
    /// `pkce`.
    pub pkce: PkcePolicy,
    /// `consent`.
    pub consent: ConsentPolicy,
    /// `access_token_format`.
    pub access_token_format: AccessTokenFormat,
    /// `claims_in_id_token`: whether the claims of the scopes are in the `id_token` too.
    pub claims_in_id_token: bool,
    /// `subject_type`.
    pub subject_type: SubjectType,
    /// `sector_identifier`: the host whose pairwise subjects this client shares.
    pub sector_identifier: Option<String>,
    /// `default_max_age`, seconds.
    pub default_max_age: Option<i64>,
    /// `require_acr`: the least `acr` of every sign-in here, whatever the request asks for.
    pub require_acr: Option<RequiredAcr>,
    /// The lifetimes that differ from the settings.
    pub lifetimes: Lifetimes,
    /// `client_uri`: its home page.
    pub client_uri: Option<String>,
    /// `policy_uri`.
    pub policy_uri: Option<String>,
    /// `tos_uri`.
    pub tos_uri: Option<String>,
    /// `backchannel_logout_uri`: where our message goes when a session ends.
    pub backchannel_logout_uri: Option<String>,
    /// `frontchannel_logout_uri`: what the browser loads when a session ends.
    pub frontchannel_logout_uri: Option<String>,
    /// `initiate_login_uri`: where a sign-in can be started over.
    pub initiate_login_uri: Option<String>,
    /// `stale_after`: how old a request may be, in seconds, when the user signs in, before it is started over there.
    pub stale_after: i64,
    /// `client_redirect_uris`.
    pub redirect_uris: Vec<String>,
    /// `client_post_logout_redirect_uris`.
    pub post_logout_redirect_uris: Vec<String>,
    /// `refresh_token_rotation`.
    pub refresh_token_rotation: RotationPolicy,
    /// `client_audiences`: the APIs its access tokens are for.
    pub audiences: Vec<String>,
    /// `resource`: the API that this client itself is.
    pub resource: Option<String>,
    /// `access`.
    pub access: AccessPolicy,
    /// `client_groups`, which count where `access` says so.
    pub groups: Vec<String>,
    /// `client_roles`.
    pub roles: Vec<Role>,
    /// `client_claims`.
    pub claim_maps: Vec<ClaimMap>,
    /// The rows of `scopes` that `scope` names.
    pub own_scopes: Vec<OwnScope>,
    /// `client_secrets`.
    pub secrets: Vec<HashedSecret>,
    /// `tokens_valid_after`: what was issued before is dead.
    pub tokens_valid_after: Option<NumericDate>,
    /// `disabled_at`.
    pub disabled_at: Option<NumericDate>,
}

impl Client {
    /// A client as the defaults of its row make it.
    #[must_use]
    pub fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            client_name: String::new(),
            application_type: ApplicationType::Web,
            token_endpoint_auth_method: ClientAuthMethod::ClientSecretBasic,
            grant_types: vec![GrantType::AuthorizationCode],
            response_types: vec![ResponseType::Code],
            scope: Scope::from("openid profile email".to_owned()),
            id_token_signed_response_alg: SigningAlgorithm::Rs256,
            pkce: PkcePolicy::Required,
            consent: ConsentPolicy::Ask,
            access_token_format: AccessTokenFormat::Opaque,
            claims_in_id_token: true,
            subject_type: SubjectType::Public,
            sector_identifier: None,
            default_max_age: None,
            require_acr: None,
            lifetimes: Lifetimes::default(),
            client_uri: None,
            policy_uri: None,
            tos_uri: None,
            backchannel_logout_uri: None,
            frontchannel_logout_uri: None,
            initiate_login_uri: None,
            stale_after: 600,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            refresh_token_rotation: RotationPolicy::Always,
            audiences: Vec::new(),
            resource: None,
            access: AccessPolicy::Everybody,
            groups: Vec::new(),
            roles: Vec::new(),
            claim_maps: Vec::new(),
            own_scopes: Vec::new(),
            secrets: Vec::new(),
            tokens_valid_after: None,
            disabled_at: None,
        }
    }

    /// Who stands in for a client where a user signs in at our own start page: it has no id, so that no row can be it, and is
    /// given nothing.
    #[must_use]
    pub fn at_home() -> Self {
        Self { consent: ConsentPolicy::Skip, scope: Scope::default(), ..Self::new("") }
    }

    /// Whether the client cannot keep a secret, so that only its address proves anything.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == ClientAuthMethod::None
    }

    /// Whether each sector knows a user by a subject of its own.
    #[must_use]
    pub fn is_pairwise(&self) -> bool {
        self.subject_type == SubjectType::Pairwise
    }

    /// Whether `refresh_token` is among the registered grant types.
    #[must_use]
    pub fn may_refresh(&self) -> bool {
        self.grant_types.contains(&GrantType::RefreshToken)
    }

    /// What of `asked` an authorization request may be given.
    #[must_use]
    pub fn granted_of(&self, asked: &Scope) -> Scope {
        let granted = asked.within(&self.scope);
        // OIDC Core 11: offline_access is ignored where no refresh token can follow.
        if self.may_refresh() { granted } else { granted.without("offline_access") }
    }

    /// The groups whose members may enter, of which there may be none; `None`: every user who can sign in.
    #[must_use]
    pub fn only_for(&self) -> Option<&[String]> {
        match self.access {
            AccessPolicy::Everybody => None,
            AccessPolicy::Groups => Some(&self.groups),
        }
    }

    /// Whether a user may enter, as their memberships are now.
    #[must_use]
    pub fn admits(&self, facts: &Facts, now: NumericDate) -> bool {
        self.only_for().is_none_or(|groups| groups.iter().any(|group| facts.is_in(group, now)))
    }

    /// Whether anything that this client is told or allowed depends on what is known of a user beside their row.
    #[must_use]
    pub fn depends_on_facts(&self) -> bool {
        self.only_for().is_some()
            || self.scope.has(GROUPS)
            || self.own_scopes.iter().any(|own| !own.claims.is_empty())
            || self.claim_maps.iter().any(|map| !map.is_constant())
    }

    /// Whether each of its refresh tokens is good once: the row's word, and always for public clients.
    #[must_use]
    pub fn rotates(&self) -> bool {
        self.is_public() || self.refresh_token_rotation == RotationPolicy::Always
    }

    /// What is issued for `resource` ([RFC 8707 section 2](https://www.rfc-editor.org/rfc/rfc8707#section-2)): those that are
    /// asked for, or all of the client's.
    ///
    /// # Errors
    /// `invalid_target`: not an absolute URI without a fragment, or not one of the client's.
    pub fn targets<'a>(&self, asked: impl Iterator<Item = &'a str>) -> Result<Vec<String>, Refusal> {
        let mut targets: Vec<String> = Vec::new();
        for resource in asked {
            let is_sound = url::Url::parse(resource).is_ok() && !resource.contains('#');
            if !is_sound || !self.audiences.iter().any(|audience| audience == resource) {
                return Err(Refusal::new(Reason::ResourceNotAllowed).expecting(resource, &self.audiences).with_remedy(
                    Remedy::WidenAudience {
                        client_id: self.client_id.clone(),
                        resource: is_sound.then(|| resource.to_owned()),
                    },
                ));
            }
            if !targets.iter().any(|target| target == resource) {
                targets.push(resource.to_owned());
            }
        }
        Ok(targets)
    }

    /// Whether an authorization request must bring a `code_challenge`: the row's word, and always for
    /// public clients (RFC 9700 section 2.1.1) and for those that have an address by plain http, where others can read
    /// the code.
    #[must_use]
    pub fn must_use_pkce(&self) -> bool {
        self.is_public()
            || self.pkce == PkcePolicy::Required
            || self.redirect_uris.iter().any(|uri| address::is_plain_http(uri))
    }

    /// Whether `redirect_uri` is one of the registered, compared byte by byte. For a native client on loopback the port is
    /// free ([RFC 8252 section 7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3), RFC 9700 section 4.1.3).
    #[must_use]
    pub fn owns_redirect_uri(&self, redirect_uri: &str) -> bool {
        self.is_one_of(&self.redirect_uris, redirect_uri)
    }

    /// Whether `post_logout_redirect_uri` is one of the registered, compared as `redirect_uri` is. RP-Initiated Logout says
    /// *exactly*; an app that listens on the port of the day could not be returned to by that.
    #[must_use]
    pub fn owns_post_logout_redirect_uri(&self, post_logout_redirect_uri: &str) -> bool {
        self.is_one_of(&self.post_logout_redirect_uris, post_logout_redirect_uri)
    }

    fn is_one_of(&self, registered: &[String], sent: &str) -> bool {
        let is_native = self.application_type == ApplicationType::Native;
        registered.iter().any(|registered| {
            registered == sent
                || is_native
                    && without_loopback_port(registered).is_some_and(|known| without_loopback_port(sent) == Some(known))
        })
    }

    /// The service's home page, where `client_uri` is a web address.
    #[must_use]
    pub fn home_page(&self) -> Option<&str> {
        self.client_uri.as_deref().and_then(web_address)
    }

    /// Where the service starts a sign-in at this issuer by itself
    /// ([OIDC Core 4](https://openid.net/specs/openid-connect-core-1_0.html#ThirdPartyInitiatedLogin)): `initiate_login_uri` with `iss`.
    #[must_use]
    pub fn initiation(&self, issuer: &str) -> Option<String> {
        let uri = self.initiate_login_uri.as_deref().and_then(web_address)?;
        Some(with_query(uri, &[("iss", issuer)]))
    }

    /// Where a person starts a sign-in anew: by the service itself, or else at its home page.
    #[must_use]
    pub fn start_page(&self, issuer: &str) -> Option<String> {
        self.initiation(issuer).or_else(|| self.home_page().map(str::to_owned))
    }

    /// Whether a person must be asked even though the answer could be remembered: a native client that
    /// cannot prove who it is ([RFC 8252 section 8.6](https://www.rfc-editor.org/rfc/rfc8252#section-8.6)).
    #[must_use]
    pub fn always_asks(&self) -> bool {
        self.application_type == ApplicationType::Native && self.is_public()
    }

    /// The name people read: the registered one, or the id where there is none.
    #[must_use]
    pub fn display_name(&self) -> &str {
        if self.client_name.is_empty() { &self.client_id } else { &self.client_name }
    }

    /// Whose pairwise subjects this client shares ([OIDC Core 8.1](https://openid.net/specs/openid-connect-core-1_0.html#PairwiseAlg)):
    /// the row's `sector_identifier`, or the host of its redirect URIs, or its id where these have none.
    #[must_use]
    pub fn sector(&self) -> String {
        self.sector_identifier.clone().unwrap_or_else(|| self.sector_to_write())
    }

    /// The `sector_identifier` that keeps the subjects of a pairwise client as they are; `None`: its row has one already, or
    /// its subjects are not pairwise.
    #[must_use]
    pub fn missing_sector(&self) -> Option<String> {
        let is_missing = self.subject_type == SubjectType::Pairwise && self.sector_identifier.is_none();
        is_missing.then(|| self.sector_to_write())
    }

    fn sector_to_write(&self) -> String {
        let uris = self.redirect_uris.iter().map(String::as_str);
        hosts_of(uris).into_iter().next().unwrap_or_else(|| self.client_id.clone())
    }

    /// Why the sector of a pairwise client cannot be told, if so.
    #[must_use]
    pub fn sector_fault(&self) -> Option<RowFault> {
        let uris = self.redirect_uris.iter().map(String::as_str);
        (self.subject_type == SubjectType::Pairwise)
            .then(|| sector_fault(self.sector_identifier.as_deref(), uris))
            .flatten()
    }
}

/// The hosts of addresses in alphabetical order, each once. What has none, such as an app's own scheme, is passed over.
#[must_use]
pub fn hosts_of<'a>(uris: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    uris.filter_map(|uri| url::Url::parse(uri).ok()?.host_str().map(str::to_owned)).collect()
}

/// Why a pairwise client with that `sector_identifier` and those redirect URIs has no sector, if so: several hosts need one
/// that is registered ([OIDC Core 8.1](https://openid.net/specs/openid-connect-core-1_0.html#PairwiseAlg)).
#[must_use]
pub fn sector_fault<'a>(
    sector_identifier: Option<&str>,
    redirect_uris: impl Iterator<Item = &'a str>,
) -> Option<RowFault> {
    /// How many hosts are named.
    const NAMED: usize = 5;
    if let Some(sector) = sector_identifier {
        let is_sound = !sector.is_empty() && sector.bytes().all(|b| b.is_ascii_graphic());
        return (!is_sound || sector.contains("//")).then(|| RowFault {
            why: format!("sector_identifier {sector:?} is no host"),
            fix: "write the host alone, such as reports.example.com".to_owned(),
        });
    }
    let hosts = hosts_of(redirect_uris);
    let first = hosts.first().filter(|_| hosts.len() > 1)?;
    let named: Vec<&str> = hosts.iter().take(NAMED).map(String::as_str).collect();
    let more = if hosts.len() > NAMED { " and more" } else { "" };
    Some(RowFault {
        why: format!(
            "subject_type is pairwise, the redirect URIs have several hosts ({}{more}), and sector_identifier does not say which \
             one the subjects belong to (OpenID Connect Core 8.1)",
            named.join(", ")
        ),
        fix: format!("write the host that every sub is to belong to from now on, such as sector_identifier '{first}'"),
    })
}

/// Scheme and host, and everything behind the port, of an `http` address on loopback: an IP literal or `localhost`.
pub(super) fn without_loopback_port(uri: &str) -> Option<(&str, &str)> {
    for origin in ["http://127.0.0.1", "http://[::1]", "http://localhost"] {
        let Some(rest) = uri.strip_prefix(origin) else { continue };
        let behind = match rest.strip_prefix(':') {
            Some(port_and_more) => {
                let digits = port_and_more.bytes().take_while(u8::is_ascii_digit).count();
                let (port, behind) = port_and_more.split_at(digits);
                if port.parse::<u16>().is_err() {
                    return None;
                }
                behind
            }
            None => rest,
        };
        // Anything but a path, a query or the end would make it another authority ("127.0.0.1.evil", "127.0.0.1@evil").
        if behind.is_empty() || behind.starts_with('/') || behind.starts_with('?') {
            return Some((origin, behind));
        }
    }
    None
}

/// Why a text cannot be registered as a redirect URI; `None` when it can.
///
/// [RFC 6749 section 3.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2), RFC 9700 section 2.6, RFC 8252 section 7.1.
#[must_use]
pub fn redirect_uri_fault(uri: &str, application_type: ApplicationType) -> Option<&'static str> {
    if !uri.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        return Some("it has a space or a character outside ASCII");
    }
    if uri.contains('#') {
        return Some("it has a fragment (#), which RFC 6749 section 3.1.2 forbids");
    }
    if uri.contains('*') {
        return Some("it has a wildcard; addresses are compared exactly, register each one");
    }
    let Ok(url) = url::Url::parse(uri) else {
        return Some("it is not an absolute URI");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("it carries a user name or a password");
    }
    match url.scheme() {
        "https" => None,
        "http" if is_loopback_host(&url) => None,
        "http" => Some("it is plain http to another machine, where a code can be read on the way; use https"),
        "javascript" | "data" | "file" | "blob" | "vbscript" | "about" => {
            Some("its scheme is not one that answers can be sent to")
        }
        scheme if application_type == ApplicationType::Native => {
            if scheme.contains('.') {
                None
            } else {
                Some("a private scheme must be a reversed domain name such as com.example.app (RFC 8252 section 7.1)")
            }
        }
        _ => Some("only native clients may use a scheme of their own"),
    }
}

/// Whether an address names this machine itself: a loopback IP literal or `localhost`.
#[must_use]
pub fn is_loopback_host(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// The address, if it is a web address, which a page may link to: a link by another scheme would start a program, or be one.
#[must_use]
pub fn web_address(uri: &str) -> Option<&str> {
    let url = url::Url::parse(uri).ok()?;
    (matches!(url.scheme(), "https" | "http") && url.has_host()).then_some(uri)
}

/// An address with further parameters in its query; what is there stays as it is, byte for byte.
#[must_use]
pub fn with_query(uri: &str, parameters: &[(&str, &str)]) -> String {
    let (uri, fragment) = uri.find('#').map_or((uri, ""), |at| uri.split_at(at));
    let separator = if uri.contains('?') { '&' } else { '?' };
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{uri}{separator}{query}{fragment}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The client `reports` with these addresses.
    pub(crate) fn client(redirect_uris: &[&str]) -> Client {
        Client { redirect_uris: redirect_uris.iter().map(|&uri| uri.to_owned()).collect(), ..Client::new("reports") }
    }

    #[test]
    fn a_redirect_uri_is_compared_byte_by_byte() {
        let client = client(&["https://a.example/cb?x=1"]);
        assert!(client.owns_redirect_uri("https://a.example/cb?x=1"));
        for other in [
            "https://a.example/cb",
            "https://a.example/cb?x=1&y=2",
            "https://A.example/cb?x=1",
            "https://a.example:443/cb?x=1",
            "https://a.example/cb/?x=1",
            "https://a.example/./cb?x=1",
            "https://a.example/cb?x=1#",
            "https://user@a.example/cb?x=1",
        ] {
            assert!(!client.owns_redirect_uri(other), "{other}");
        }
    }

    #[test]
    fn the_port_is_free_only_for_native_clients_on_loopback_at_sign_in_and_at_sign_out() {
        let registered =
            ["http://127.0.0.1/cb", "http://[::1]:1/cb", "http://localhost:1/cb", "https://a.example:1/cb"];
        let mut client = client(&registered);
        client.post_logout_redirect_uris = client.redirect_uris.clone();
        let owns = |client: &Client, uri: &str| {
            let both = (client.owns_redirect_uri(uri), client.owns_post_logout_redirect_uri(uri));
            assert_eq!(both.0, both.1, "{uri}");
            both.0
        };
        let free = [
            "http://127.0.0.1:5000/cb",
            "http://127.0.0.1:65535/cb",
            "http://[::1]:5000/cb",
            "http://[::1]/cb",
            "http://localhost:5000/cb",
            "http://localhost/cb",
        ];
        for uri in free {
            assert!(!owns(&client, uri), "a web client: {uri}");
        }
        assert!(registered.iter().all(|uri| owns(&client, uri)));
        client.application_type = ApplicationType::Native;
        assert!(registered.iter().chain(&free).all(|uri| owns(&client, uri)));
        for other in [
            "http://127.0.0.1:5000/other",
            "http://127.0.0.1:5000/cb/",
            "http://127.0.0.1:5000/cb?x=1",
            "http://127.0.0.1:5000/CB",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:50@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.2:5000/cb",
            "https://127.0.0.1:5000/cb",
            "http://localhost:50@evil.example/cb",
            "http://localhost.evil.example/cb",
            "http://localhost:5000.evil.example/cb",
            "http://localhosts:5000/cb",
            "http://app.localhost:5000/cb",
            "http://LOCALHOST:5000/cb",
            "http://localhost.:5000/cb",
            "https://localhost:5000/cb",
            "http://user@localhost:5000/cb",
            "https://a.example:5000/cb",
        ] {
            assert!(!owns(&client, other), "{other}");
        }
        // One name of loopback is not another: who listens at the one need not listen at the other.
        client.redirect_uris = vec!["http://localhost/cb".into()];
        for other in ["http://127.0.0.1:5000/cb", "http://[::1]:5000/cb"] {
            assert!(!client.owns_redirect_uri(other), "{other}");
        }
    }

    #[test]
    fn only_a_web_address_is_a_home_page() {
        let home_page = |uri: &str| {
            let client = Client { client_uri: Some(uri.to_owned()), ..Client::new("a") };
            client.home_page().map(str::to_owned)
        };
        for uri in ["https://a.example/", "http://intranet/wiki", "HTTPS://a.example"] {
            assert_eq!(home_page(uri).as_deref(), Some(uri));
        }
        for uri in
            ["javascript:alert(1)", "com.example.app:/", "data:text/html,x", "/home", "https://", "mailto:a@b.example"]
        {
            assert_eq!(home_page(uri), None, "{uri}");
        }
        assert_eq!(Client::new("a").home_page(), None);
    }

    #[test]
    fn a_sign_in_starts_anew_at_its_own_address_or_at_the_home_page() {
        let start_page = |own: Option<&str>, home: Option<&str>| {
            let [initiate_login_uri, client_uri] = [own, home].map(|uri| uri.map(str::to_owned));
            let client = Client { client_uri, initiate_login_uri, ..Client::new("a") };
            client.start_page("https://id.example")
        };
        let (own, home) = (Some("https://a.example/login"), Some("https://a.example/"));
        let initiated = Some("https://a.example/login?iss=https%3A%2F%2Fid.example");
        assert_eq!(start_page(own, home).as_deref(), initiated);
        let initiated = Some("https://a.example/login?p=1&iss=https%3A%2F%2Fid.example#now");
        assert_eq!(start_page(Some("https://a.example/login?p=1#now"), home).as_deref(), initiated);
        assert_eq!(start_page(None, home).as_deref(), home);
        assert_eq!(start_page(Some("com.example.app:/login"), home).as_deref(), home);
        assert_eq!(start_page(Some("javascript:alert(1)"), None), None);
    }

    #[test]
    fn a_sector_is_the_rows_or_the_one_host_and_never_one_of_several() {
        let pairwise = |uris: &[&str], sector: Option<&str>| Client {
            subject_type: SubjectType::Pairwise,
            sector_identifier: sector.map(str::to_owned),
            ..client(uris)
        };
        for (uris, sector, expected) in [
            (&["https://a.example/cb", "https://a.example:8443/2"][..], None, "a.example"),
            (&["https://a.example/cb", "com.example.app:/cb"], None, "a.example"),
            (&["com.example.app:/cb"], None, "reports"),
            (&[], None, "reports"),
            (&["https://a.example/cb", "https://b.example/cb"], Some("b.example"), "b.example"),
        ] {
            let client = pairwise(uris, sector);
            assert_eq!((client.sector_fault(), client.sector().as_str()), (None, expected), "{uris:?}");
            assert_eq!(client.missing_sector().as_deref(), Some(expected).filter(|_| sector.is_none()), "{uris:?}");
        }
        let two = &["https://b.example/cb", "https://a.example/cb"];
        let fault = pairwise(two, None).sector_fault().unwrap();
        assert!(fault.why.contains("(a.example, b.example)") && fault.fix.contains("'a.example'"), "{fault:?}");
        for bad in ["", " ", "a b", "https://a.example/cb"] {
            assert!(pairwise(two, Some(bad)).sector_fault().is_some(), "{bad:?}");
        }
        let public = Client { subject_type: SubjectType::Public, ..pairwise(two, None) };
        assert_eq!((public.sector_fault(), public.missing_sector()), (None, None));
    }

    #[test]
    fn a_resource_must_be_one_of_the_clients() {
        let mut client = client(&["https://a.example/cb"]);
        client.audiences = vec!["https://api.example/".into(), "https://other.example/".into()];
        let targets = |asked: &[&str]| client.targets(asked.iter().copied()).map_err(|refusal| refusal.reason);
        assert_eq!(targets(&["https://api.example/", "https://api.example/"]).unwrap(), ["https://api.example/"]);
        assert_eq!(targets(&[]).unwrap(), Vec::<String>::new());
        for bad in ["https://api.example", "https://evil.example/", "/", "https://api.example/#x", "api"] {
            assert_eq!(targets(&[bad]), Err(Reason::ResourceNotAllowed), "{bad}");
        }
    }

    #[test]
    fn addresses_that_cannot_be_registered_say_why() {
        let web = ApplicationType::Web;
        assert_eq!(redirect_uri_fault("https://a.example/cb", web), None);
        assert_eq!(redirect_uri_fault("http://localhost:3000/cb", web), None);
        assert_eq!(redirect_uri_fault("com.example.app:/cb", ApplicationType::Native), None);
        for bad in [
            "http://a.example/cb",
            "https://a.example/cb#x",
            "https://*.example/cb",
            "/cb",
            "javascript:alert(1)",
            "https://u:p@a.example/",
            "com.example.app:/cb",
            "https://a.example/c b",
        ] {
            assert!(redirect_uri_fault(bad, web).is_some(), "{bad}");
        }
    }
}
