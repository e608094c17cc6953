//! A client about to be registered: what was asked for, checked, and written as SQL that is pleasant to review.

use super::new::New;
use super::{Secret, id_fault, quoted};
use crate::commands::terminal::{instant, one_line};
use crate::protocol::client::redirect_uri_fault;
use crate::protocol::response::{
    AccessTokenFormat, ApplicationType, ClientAuthMethod, ConsentPolicy, GrantType, PkcePolicy,
};
use crate::protocol::scope::Scope;
use crate::protocol::site::FrontChannel;
use crate::provider::Clock;
use std::fmt::Write as _;

/// Everything decided.
pub(super) struct Draft {
    pub(super) id: String,
    name: String,
    pub(super) redirect_uris: Vec<String>,
    pub(super) post_logout_redirect_uris: Vec<String>,
    backchannel_logout_uri: Option<String>,
    frontchannel_logout_uri: Option<String>,
    application_type: ApplicationType,
    pub(super) auth_method: ClientAuthMethod,
    pub(super) scope: String,
    grants: Vec<GrantType>,
    access_token_format: AccessTokenFormat,
    audiences: Vec<String>,
    resource: Option<String>,
    pkce: PkcePolicy,
    consent: ConsentPolicy,
}

impl Draft {
    /// Takes the defaults for what was not said, and checks the whole.
    pub(super) fn of(new: New) -> Result<Self, String> {
        let auth_method = match new.auth_method {
            _ if new.public => ClientAuthMethod::None,
            method => method.unwrap_or(ClientAuthMethod::ClientSecretBasic),
        };
        let scope = scope(new.scope.as_deref(), &new.grant)?.to_string();
        let draft = Self {
            name: one_line(new.name.as_deref().unwrap_or(&new.id)),
            id: new.id,
            redirect_uris: new.redirect_uri,
            post_logout_redirect_uris: new.post_logout_redirect_uri,
            backchannel_logout_uri: new.backchannel_logout_uri,
            frontchannel_logout_uri: new.frontchannel_logout_uri,
            application_type: new.application_type.unwrap_or(ApplicationType::Web),
            auth_method,
            scope,
            grants: if new.grant.is_empty() { vec![GrantType::AuthorizationCode] } else { new.grant },
            access_token_format: new.access_token_format,
            audiences: new.audience,
            resource: new.resource,
            pkce: new.pkce.unwrap_or(PkcePolicy::Required),
            consent: new.consent.unwrap_or(ConsentPolicy::Ask),
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
        FrontChannel::doubt(uri, issuer)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(why) = id_fault(&self.id) {
            return Err(why.into());
        }
        for uri in &self.redirect_uris {
            if let Some(why) = redirect_uri_fault(uri, self.application_type) {
                return Err(format!("--redirect-uri {uri}: {why}"));
            }
        }
        for uri in &self.post_logout_redirect_uris {
            if let Some(why) = redirect_uri_fault(uri, self.application_type) {
                return Err(format!("--post-logout-redirect-uri {uri}: {why}"));
            }
        }
        let logout = [
            ("--backchannel-logout-uri", &self.backchannel_logout_uri),
            ("--frontchannel-logout-uri", &self.frontchannel_logout_uri),
        ];
        for (flag, uri) in logout.into_iter().filter_map(|(flag, uri)| Some((flag, uri.as_ref()?))) {
            if let Some(why) = redirect_uri_fault(uri, ApplicationType::Web) {
                return Err(format!("{flag} {uri}: {why}"));
            }
        }
        for uri in self.audiences.iter().chain(&self.resource) {
            if let Some(why) = resource_fault(uri) {
                return Err(format!("{uri}: {why}"));
            }
        }
        let machine = self.grants.contains(&GrantType::ClientCredentials);
        let signs_people_in = self.grants.contains(&GrantType::AuthorizationCode);
        if self.redirect_uris.is_empty() && signs_people_in && !machine && self.resource.is_none() {
            return Err("--redirect-uri is missing: people could not come back from signing in".into());
        }
        if self.is_public() && machine {
            return Err(
                "--grant client_credentials: a public client cannot act for itself (RFC 6749 section 4.4)".into()
            );
        }
        if self.is_public() && self.pkce == PkcePolicy::Optional {
            return Err("--pkce optional: a public client must use PKCE (RFC 9700 section 2.1.1)".into());
        }
        Ok(())
    }

    /// The migration. Each value has its column and what the choice means beside it, so that nobody counts commas.
    pub(super) fn sql(&self, secret: &Secret) -> String {
        let now = Clock::System.now();
        let id = quoted(&self.id);
        let mut sql = format!("-- Registers the client {} ({}).\n\n", self.id, self.name);
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
                "Where answers are sent; compared letter by letter.",
            ),
            (
                &self.post_logout_redirect_uris,
                "client_post_logout_redirect_uris",
                "post_logout_redirect_uri",
                "Where the browser may go after a sign-out; compared letter by letter.",
            ),
            (&self.audiences, "client_audiences", "audience", "The APIs that its access tokens are for (aud)."),
        ];
        for (uris, table, column, meaning) in tables.into_iter().filter(|(uris, ..)| !uris.is_empty()) {
            let _ = writeln!(sql, "\n-- {meaning}");
            for uri in uris {
                let _ = writeln!(sql, "INSERT INTO {table} (client_id, {column}) VALUES ({id}, {});", quoted(uri));
            }
        }
        sql
    }

    /// Name, value and meaning of every column that is written.
    fn columns(&self, now: &str) -> Vec<(&'static str, String, String)> {
        let grants = self.grants.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(" ");
        let application_type = match self.application_type {
            ApplicationType::Web => "it runs on a server or in a browser",
            ApplicationType::Native => "it runs on the person's own machine; the port of a loopback address is free",
        };
        let auth_method = match self.auth_method {
            ClientAuthMethod::ClientSecretBasic => "it proves itself by its secret, in the header",
            ClientAuthMethod::ClientSecretPost => "it proves itself by its secret, in the body",
            ClientAuthMethod::None => "public: it cannot keep a secret, and PKCE stands in",
        };
        let access_token_format = match self.access_token_format {
            AccessTokenFormat::Opaque => "a random text; an API asks /introspect what it is worth",
            AccessTokenFormat::Jwt => "a signed token that an API checks by itself (RFC 9068); it lives until it ends",
        };
        let pkce = match self.pkce {
            PkcePolicy::Required => "every sign-in must prove with S256 that it was not intercepted",
            PkcePolicy::Optional => "its library cannot do PKCE; it must use nonce and check it",
        };
        let consent = match self.consent {
            ConsentPolicy::Ask => "people are asked once what it may know",
            ConsentPolicy::Skip => "one of our own services, nobody is asked",
        };
        let mut columns = vec![
            ("client_id", quoted(&self.id), "what it calls itself; never changes".to_owned()),
            ("client_name", quoted(&self.name), "what people read on the pages".to_owned()),
            ("application_type", quoted(self.application_type.as_str()), application_type.to_owned()),
            ("token_endpoint_auth_method", quoted(self.auth_method.as_str()), auth_method.to_owned()),
            ("grant_types", quoted(&grants), self.meaning_of_grants()),
            ("scope", quoted(&self.scope), self.meaning_of_scope().to_owned()),
            ("access_token_format", quoted(self.access_token_format.as_str()), access_token_format.to_owned()),
            ("pkce", quoted(self.pkce.as_str()), pkce.to_owned()),
            ("consent", quoted(self.consent.as_str()), consent.to_owned()),
            ("client_id_issued_at", now.to_owned(), instant(Clock::System.now())),
        ];
        let optional = [
            ("resource", &self.resource, "the API that it is itself: it may introspect tokens for it"),
            ("backchannel_logout_uri", &self.backchannel_logout_uri, "we tell it here that somebody signed out"),
            (
                "frontchannel_logout_uri",
                &self.frontchannel_logout_uri,
                "the browser loads this when somebody signs out",
            ),
        ];
        for (name, uri, meaning) in optional {
            if let Some(uri) = uri {
                columns.push((name, quoted(uri), meaning.to_owned()));
            }
        }
        columns
    }

    fn meaning_of_scope(&self) -> &'static str {
        if self.scope.is_empty() { "none: its tokens are about nobody" } else { "the most that it can be given" }
    }

    fn meaning_of_grants(&self) -> String {
        let meanings = self.grants.iter().map(|grant| match grant {
            GrantType::AuthorizationCode => "people sign in",
            GrantType::RefreshToken => "it stays signed in, where it asks for offline_access",
            GrantType::ClientCredentials => "it acts for itself, without people",
        });
        meanings.collect::<Vec<_>>().join("; ")
    }
}

/// Whether a client with these grants acts for itself only, so that no person ever signs in to it.
fn is_machine(grants: &[GrantType]) -> bool {
    grants.contains(&GrantType::ClientCredentials) && !grants.contains(&GrantType::AuthorizationCode)
}

/// The most a client can be given: what was asked for, or what its grants can use; for a machine no scope about people,
/// which no token of its own could have.
fn scope(asked: Option<&str>, grants: &[GrantType]) -> Result<Scope, String> {
    // Without offline_access no refresh token follows (OIDC Core 11).
    let refreshes = grants.contains(&GrantType::RefreshToken);
    let default = if refreshes { "openid profile email offline_access" } else { "openid profile email" };
    let scope = Scope::parse(asked.unwrap_or(default)).map_err(|why| format!("--scope: {why}"))?;
    Ok(if is_machine(grants) { scope.for_machines() } else { scope })
}

/// The scopes about people that were asked for a machine, which are left out; empty where there are none.
pub(super) fn scopes_left_out(new: &New) -> Scope {
    let asked = Scope::parse(new.scope.as_deref().unwrap_or_default()).unwrap_or_default();
    if is_machine(&new.grant) { asked.for_people() } else { Scope::default() }
}

/// Why a text cannot name an API ([RFC 8707 section 2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
pub(super) fn resource_fault(uri: &str) -> Option<&'static str> {
    // The parser passes over line breaks and blanks, which compare as they stand.
    let is_sound = uri.bytes().all(|b| (0x21..0x7f).contains(&b)) && url::Url::parse(uri).is_ok() && !uri.contains('#');
    (!is_sound).then_some("an API is named by an absolute URI without a fragment (RFC 8707 section 2)")
}
