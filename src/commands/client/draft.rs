//! A client about to be registered: what was asked for, checked, and written as SQL that is pleasant to review.

use super::new::New;
use super::told::{claim_statement, meaning};
use super::written::Secret;
use crate::ambient::Clock;
use crate::commands::acceptance::{Acceptance, PLAIN_HTTP, ValueFault, address_fault, audience_fault, client_id_fault};
use crate::commands::group;
use crate::commands::judge::ALWAYS_ASKS;
use crate::commands::terminal::{instant, one_line};
use crate::failure::{Failure, Warning};
use crate::protocol::claim_map::OwnScope;
use crate::protocol::response::{
    AccessPolicy, AccessTokenFormat, ApplicationType, ClientAuthMethod, ConsentPolicy, GrantType, PkcePolicy,
    RequiredAcr, YesNo,
};
use crate::protocol::scope::{SCOPES_SUPPORTED, Scope};
use crate::protocol::site::FrontChannel;
use crate::store::clients::ClaimRow;
use crate::web::remedies::quoted;
use std::fmt::Write as _;

/// Everything decided.
pub(super) struct Draft {
    pub(super) id: String,
    name: String,
    pub(super) redirect_uris: Vec<String>,
    pub(super) post_logout_redirect_uris: Vec<String>,
    backchannel_logout_uri: Option<String>,
    frontchannel_logout_uri: Option<String>,
    initiate_login_uri: Option<String>,
    pub(super) client_uri: Option<String>,
    policy_uri: Option<String>,
    tos_uri: Option<String>,
    application_type: ApplicationType,
    pub(super) auth_method: ClientAuthMethod,
    pub(super) scope: String,
    grants: Vec<GrantType>,
    access_token_format: AccessTokenFormat,
    audiences: Vec<String>,
    resource: Option<String>,
    pkce: PkcePolicy,
    consent: ConsentPolicy,
    claims_in_id_token: YesNo,
    access: AccessPolicy,
    groups: Vec<String>,
    require_acr: Option<RequiredAcr>,
    claims: Vec<ClaimRow>,
    own_scopes: Vec<OwnScope>,
    accepted: Vec<Acceptance>,
    /// Why it has no part in sign-outs, or half of one, where that is known.
    without_sign_out: Option<Acceptance>,
    /// What optional PKCE means for it, where that is known.
    without_pkce: Option<&'static str>,
    /// What was decided otherwise than it was asked for, and why.
    pub(super) notes: Vec<&'static str>,
}

/// A value that the migration will have.
struct Item<'a> {
    /// As the command line says it.
    flag: &'static str,
    value: &'a str,
    /// The table whose row has it.
    table: &'static str,
    fault: Option<ValueFault>,
}

impl Draft {
    /// Takes the defaults for what was not said, and checks the whole.
    pub(super) fn of(new: New) -> Result<Self, Failure> {
        let auth_method = match new.auth_method {
            _ if new.public => ClientAuthMethod::None,
            method => method.unwrap_or(ClientAuthMethod::ClientSecretBasic),
        };
        let scope = scope(new.scope.as_deref(), &new.grant)?.to_string();
        let application_type = new.application_type.unwrap_or(ApplicationType::Web);
        let always_asks = application_type == ApplicationType::Native && auth_method == ClientAuthMethod::None;
        let mut notes = Vec::new();
        let consent = match new.consent {
            Some(ConsentPolicy::Skip) if always_asks => {
                notes.push("--consent skip would be ignored, and the file says ask");
                notes.push(ALWAYS_ASKS);
                ConsentPolicy::Ask
            }
            said => said.unwrap_or(ConsentPolicy::Ask),
        };
        let draft = Self {
            name: one_line(new.name.as_deref().unwrap_or(&new.id)),
            id: new.id,
            redirect_uris: new.redirect_uri,
            post_logout_redirect_uris: new.post_logout_redirect_uri,
            backchannel_logout_uri: new.backchannel_logout_uri,
            frontchannel_logout_uri: new.frontchannel_logout_uri,
            initiate_login_uri: new.initiate_login_uri,
            client_uri: new.client_uri,
            policy_uri: new.policy_uri,
            tos_uri: new.tos_uri,
            application_type,
            auth_method,
            scope,
            grants: if new.grant.is_empty() { vec![GrantType::AuthorizationCode] } else { new.grant },
            access_token_format: new.access_token_format,
            audiences: new.audience,
            resource: new.resource,
            pkce: new.pkce.unwrap_or(PkcePolicy::Required),
            consent,
            claims_in_id_token: new.claims_in_id_token.unwrap_or(YesNo::Yes),
            access: new.access.unwrap_or(if new.group.is_empty() {
                AccessPolicy::Everybody
            } else {
                AccessPolicy::Groups
            }),
            groups: new.group,
            require_acr: new.require_acr,
            claims: new.claims,
            own_scopes: new.own_scopes,
            accepted: new.accept,
            without_sign_out: new.without_sign_out,
            without_pkce: new.without_pkce,
            notes,
        };
        draft.check()?;
        Ok(draft)
    }

    pub(super) fn is_public(&self) -> bool {
        self.auth_method == ClientAuthMethod::None
    }

    /// What is to be said where nothing but a frame on another site tells it of a sign-out.
    pub(super) fn doubt_about_sign_outs(&self, issuer: &str) -> Option<String> {
        let uri = self.frontchannel_logout_uri.as_deref().filter(|_| self.backchannel_logout_uri.is_none())?;
        FrontChannel::warning(uri, issuer)
    }

    /// Every value that a rule judges.
    fn items(&self) -> Vec<Item<'_>> {
        let own = self.application_type;
        // Nothing but what the browser is sent back to may be an application on the user's own machine.
        let web = ApplicationType::Web;
        let lists = [
            ("--redirect-uri", "client_redirect_uris", self.redirect_uris.as_slice(), own),
            ("--post-logout-redirect-uri", "client_post_logout_redirect_uris", &self.post_logout_redirect_uris, own),
            ("--backchannel-logout-uri", "clients", self.backchannel_logout_uri.as_slice(), web),
            ("--frontchannel-logout-uri", "clients", self.frontchannel_logout_uri.as_slice(), web),
            ("--initiate-login-uri", "clients", self.initiate_login_uri.as_slice(), web),
            ("--client-uri", "clients", self.client_uri.as_slice(), web),
            ("--policy-uri", "clients", self.policy_uri.as_slice(), web),
            ("--tos-uri", "clients", self.tos_uri.as_slice(), web),
        ];
        let addresses = lists.into_iter().flat_map(|(flag, table, uris, kind)| {
            uris.iter().map(move |value| Item { flag, value, table, fault: address_fault(value, kind) })
        });
        let audiences = self.audiences.iter().map(|value| ("--audience", "client_audiences", value));
        let apis = audiences.chain(self.resource.iter().map(|value| ("--resource", "clients", value)));
        let apis = apis.map(|(flag, table, value)| Item { flag, value, table, fault: audience_fault(value) });
        let id = Item { flag: "client_id", value: &self.id, table: "clients", fault: client_id_fault(&self.id) };
        std::iter::once(id).chain(addresses).chain(apis).collect()
    }

    /// What has to be done beside the file: groups are made by command, and what a scope is must be said to users.
    pub(super) fn warnings_of_access(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.access == AccessPolicy::Groups && self.groups.is_empty() {
            let what = "--access groups: no group is let in, so that no user can enter";
            let fix =
                format!("say --group GROUP, or let one in later: hallpass client edit {} --add-group GROUP", self.id);
            warnings.push(Warning::new(what, fix));
        }
        if !self.grants.iter().any(|grant| grant.is_of_users()) {
            return warnings;
        }
        let scope = Scope::parse(&self.scope).unwrap_or_default();
        let is_described = |token: &str| self.own_scopes.iter().any(|own| own.scope == token);
        let own = scope.tokens().filter(|token| !SCOPES_SUPPORTED.contains(token) && !is_described(token));
        warnings.extend(own.map(|token| {
            let what = format!(
                "nothing here says to users what the scope {token} is, and the lint asks for a row of scopes that does"
            );
            Warning::new(what, format!("--scope-description '{token}=WHAT USERS READ', unless another file has it"))
        }));
        warnings
    }

    fn check_access(&self) -> Result<(), Failure> {
        if self.access == AccessPolicy::Everybody && !self.groups.is_empty() {
            let what = "--access everybody with --group: all users could enter all the same";
            return Err(Failure::new(what).with_fix("leave one of the two out"));
        }
        if let Some(group) = self.groups.iter().find_map(|group| group::name_fault(group)) {
            return Err(group.about("--group"));
        }
        let scope = Scope::parse(&self.scope).unwrap_or_default();
        match self.own_scopes.iter().find(|own| !scope.has(&own.scope)) {
            Some(own) => Err(Failure::new(format!("--scope-description {}: it may not ask for that scope", own.scope))
                .with_fix(format!("give it by --scope \"{} {}\"", self.scope, own.scope))),
            None => Ok(()),
        }
    }

    fn check(&self) -> Result<(), Failure> {
        self.check_access()?;
        let items = self.items();
        for Item { flag, value, fault, .. } in &items {
            if let Some(fault) = fault.as_ref().filter(|fault| !fault.is_accepted_by(&self.accepted)) {
                return Err(fault.failure().about(format!("{flag} {}", one_line(value))));
            }
        }
        let needs =
            |code: &str| items.iter().any(|item| item.fault.as_ref().is_some_and(|fault| fault.code == Some(code)));
        for Acceptance { code, .. } in &self.accepted {
            if !needs(code) {
                return Err(Failure::new(format!("--accept {code}: nothing that is registered here needs it"))
                    .with_fix("leave it out"));
            }
        }
        if needs(PLAIN_HTTP) && self.pkce == PkcePolicy::Optional {
            return Err(Failure::new(
                "--pkce optional: with an address by plain http a code can be read on the way, and PKCE is what protects it",
            ));
        }
        let machine = self.grants.iter().find(|grant| grant.is_of_machines());
        let needs_redirect_uri = self.grants.iter().any(|grant| grant.needs_redirect_uri());
        if self.redirect_uris.is_empty() && needs_redirect_uri && machine.is_none() && self.resource.is_none() {
            return Err(Failure::new("--redirect-uri is missing: users could not come back from signing in"));
        }
        if let Some(machine) = machine.filter(|_| self.is_public()) {
            return Err(Failure::new(format!(
                "--grant {machine}: a public client cannot act for itself (RFC 6749 section 4.4)"
            )));
        }
        if self.is_public() && self.pkce == PkcePolicy::Optional {
            return Err(Failure::new("--pkce optional: a public client must use PKCE (RFC 9700 section 2.1.1)"));
        }
        Ok(())
    }

    /// The migration. Each value has its column and what the choice means beside it, so that no reader counts commas.
    pub(super) fn sql(&self, secret: &Secret) -> String {
        let now = Clock::System.now();
        let id = quoted(&self.id);
        let mut sql = format!("-- Registers the client {} ({}).\n\n", self.id, self.name);
        sql.push_str(&self.acceptances("clients", None));
        let is_told = self.backchannel_logout_uri.is_some() || self.frontchannel_logout_uri.is_some();
        let signs_out = is_told && !self.post_logout_redirect_uris.is_empty();
        if let Some(acceptance) = self.without_sign_out.as_ref().filter(|_| !signs_out) {
            sql.push_str(&acceptance.comment());
        }
        let columns = self.columns(&now.to_string());
        let names: Vec<&str> = columns.iter().map(|(name, ..)| *name).collect();
        let _ = writeln!(sql, "INSERT INTO clients (\n    {}\n) VALUES (", names.join(",\n    "));
        let width = columns.iter().map(|(_, value, _)| value.chars().count() + 1).max().unwrap_or_default().min(40);
        for (index, (name, value, meaning)) in columns.iter().enumerate() {
            let comma = if index + 1 < columns.len() { "," } else { "" };
            let value = format!("{value}{comma}");
            let _ = writeln!(sql, "    {value:<width$} -- {name}: {meaning}");
        }
        sql.push_str(");\n");
        if let Some(hash) = secret.hash() {
            let _ = writeln!(
                sql,
                "\n-- argon2id; the secret itself is nowhere in this file. Made {}, ends never:\n\
                 -- `hallpass client rotate-secret {}` writes the file that replaces it.\n\
                 INSERT INTO client_secrets (client_id, secret_hash, created_at)\nVALUES ({id}, {}, {now});",
                instant(now),
                self.id,
                quoted(hash),
            );
        }
        let tables = [
            (
                &self.redirect_uris,
                "client_redirect_uris",
                "redirect_uri",
                "Where answers are sent; compared byte for byte.",
            ),
            (
                &self.post_logout_redirect_uris,
                "client_post_logout_redirect_uris",
                "post_logout_redirect_uri",
                "Where the browser may go after a sign-out; compared byte for byte.",
            ),
            (&self.audiences, "client_audiences", "audience", "The APIs that its access tokens are for (aud)."),
        ];
        for (uris, table, column, meaning) in tables.into_iter().filter(|(uris, ..)| !uris.is_empty()) {
            let _ = writeln!(sql, "\n-- {meaning}");
            for uri in uris {
                sql.push_str(&self.acceptances(table, Some(uri)));
                let _ = writeln!(sql, "INSERT INTO {table} (client_id, {column}) VALUES ({id}, {});", quoted(uri));
            }
        }
        self.write_access(&id, &mut sql);
        sql
    }

    /// Who may enter, what is told of them, and what users read of it.
    fn write_access(&self, id: &str, sql: &mut String) {
        if !self.groups.is_empty() {
            let _ = writeln!(
                sql,
                "\n-- Whose members may enter. Where a group is not there, this file fails: `hallpass group new` makes it."
            );
        }
        for group in &self.groups {
            let group = quoted(group);
            let _ = writeln!(sql, "INSERT INTO client_groups (client_id, group_name) VALUES ({id}, {group});");
        }
        for row in &self.claims {
            let _ = writeln!(
                sql,
                "\n-- It is told the claim {}: {}.\n{}",
                row.claim,
                meaning(row),
                claim_statement(id, row)
            );
        }
        if !self.own_scopes.is_empty() {
            let _ = writeln!(sql, "\n-- What users read of scopes of our own, unless that is said already.");
        }
        for OwnScope { scope, description, .. } in &self.own_scopes {
            let (scope, description) = (quoted(scope), quoted(description));
            let _ = writeln!(
                sql,
                "INSERT INTO scopes (scope, description) VALUES ({scope}, {description}) ON CONFLICT DO NOTHING;"
            );
        }
    }

    /// The comments that belong before the statement of a table, or of one of its rows.
    fn acceptances(&self, table: &str, value: Option<&str>) -> String {
        let items = self.items();
        let is_here = |item: &&Item<'_>| item.table == table && value.is_none_or(|value| item.value == value);
        let codes: Vec<&str> =
            items.iter().filter(is_here).filter_map(|item| item.fault.as_ref().and_then(|fault| fault.code)).collect();
        let accepted = self.accepted.iter().filter(|acceptance| codes.contains(&acceptance.code.as_str()));
        accepted.map(Acceptance::comment).collect()
    }

    /// Name, value and meaning of every column that is written.
    fn columns(&self, now: &str) -> Vec<(&'static str, String, String)> {
        let grants = self.grants.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(" ");
        let application_type = match self.application_type {
            ApplicationType::Web => "it runs on a server or in a browser",
            ApplicationType::Native => "it runs on the user's own machine; the port of a loopback address is free",
        };
        let auth_method = match self.auth_method {
            ClientAuthMethod::ClientSecretBasic => "it proves itself by its secret, in the header",
            ClientAuthMethod::ClientSecretPost => "it proves itself by its secret, in the body",
            ClientAuthMethod::None => "public: it cannot keep a secret, PKCE takes its place",
        };
        let access_token_format = match self.access_token_format {
            AccessTokenFormat::Opaque => "a random text; an API asks /introspect what it is worth",
            AccessTokenFormat::Jwt => "a signed token that an API checks by itself (RFC 9068); it lives until it ends",
        };
        let pkce = match self.pkce {
            PkcePolicy::Required => "every sign-in must prove with S256 that it was not intercepted",
            PkcePolicy::Optional => {
                self.without_pkce.unwrap_or("its library cannot do PKCE; it must use nonce and check it")
            }
        };
        let consent = match self.consent {
            ConsentPolicy::Ask => "users are asked once what it may know",
            ConsentPolicy::Skip => "one of our own services, users are not asked",
        };
        let meaning_of_claims = match self.claims_in_id_token {
            YesNo::Yes => "name and e-mail are in the id_token, where most libraries look for them",
            YesNo::No => "name and e-mail are for those who ask userinfo (OpenID Connect Core 5.4)",
        };
        let mut columns = vec![
            ("client_id", quoted(&self.id), "what it calls itself; never changes".to_owned()),
            ("client_name", quoted(&self.name), "what users read on the pages".to_owned()),
            ("application_type", quoted(self.application_type.as_str()), application_type.to_owned()),
            ("token_endpoint_auth_method", quoted(self.auth_method.as_str()), auth_method.to_owned()),
            ("grant_types", quoted(&grants), self.meaning_of_grants()),
            ("scope", quoted(&self.scope), self.meaning_of_scope().to_owned()),
            ("access_token_format", quoted(self.access_token_format.as_str()), access_token_format.to_owned()),
            ("pkce", quoted(self.pkce.as_str()), pkce.to_owned()),
            ("consent", quoted(self.consent.as_str()), consent.to_owned()),
            ("claims_in_id_token", quoted(self.claims_in_id_token.as_str()), meaning_of_claims.to_owned()),
            ("client_id_issued_at", now.to_owned(), instant(Clock::System.now())),
        ];
        if self.access == AccessPolicy::Groups {
            let meaning = "only members of the groups below may enter";
            columns.push(("access", quoted(self.access.as_str()), meaning.to_owned()));
        }
        if let Some(acr) = self.require_acr {
            let meaning = "every sign-in there is of a password and a second factor";
            columns.push(("require_acr", quoted(acr.as_str()), meaning.to_owned()));
        }
        let optional = [
            ("resource", &self.resource, "the API that it is itself: it may introspect tokens for it"),
            ("backchannel_logout_uri", &self.backchannel_logout_uri, "we tell it here that a user signed out"),
            ("frontchannel_logout_uri", &self.frontchannel_logout_uri, "the browser loads this when a user signs out"),
            (
                "initiate_login_uri",
                &self.initiate_login_uri,
                "it starts a sign-in here; who sat at the login page too long is led here",
            ),
            ("client_uri", &self.client_uri, "its home page"),
            ("policy_uri", &self.policy_uri, "what it does with users' data; linked where they are asked"),
            ("tos_uri", &self.tos_uri, "its terms; linked where users are asked"),
        ];
        for (name, uri, meaning) in optional {
            if let Some(uri) = uri {
                columns.push((name, quoted(uri), meaning.to_owned()));
            }
        }
        columns
    }

    fn meaning_of_scope(&self) -> &'static str {
        if self.scope.is_empty() { "none: its tokens are about no user" } else { "the most that it can be given" }
    }

    fn meaning_of_grants(&self) -> String {
        self.grants.iter().map(|grant| grant.meaning()).collect::<Vec<_>>().join("; ")
    }
}

/// Whether a client with these grants acts for itself only, so that no user ever signs in to it.
fn is_machine(grants: &[GrantType]) -> bool {
    grants.iter().any(|grant| grant.is_of_machines()) && !grants.iter().any(|grant| grant.is_of_users())
}

/// The most a client can be given: what was asked for, or what its grants can use; for a machine no scope about users,
/// which no token of its own could have.
fn scope(asked: Option<&str>, grants: &[GrantType]) -> Result<Scope, Failure> {
    // Without offline_access no refresh token follows (OIDC Core 11).
    let refreshes = grants.contains(&GrantType::RefreshToken);
    let default = if refreshes { "openid profile email offline_access" } else { "openid profile email" };
    let scope = Scope::parse(asked.unwrap_or(default)).map_err(|why| Failure::new(format!("--scope: {why}")))?;
    Ok(if is_machine(grants) { scope.for_machines() } else { scope })
}

/// The scopes about users that were asked for a machine, which are left out; empty where there are none.
pub(super) fn scopes_left_out(new: &New) -> Scope {
    let asked = Scope::parse(new.scope.as_deref().unwrap_or_default()).unwrap_or_default();
    if is_machine(&new.grant) { asked.for_users() } else { Scope::default() }
}
