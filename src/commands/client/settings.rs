//! What a service is configured with, ready to paste, for the frameworks that are asked for most: it works as it is
//! printed. The texts are in `templates/settings/`; `quote` writes values as literals of each language.

mod product;
mod quote;

pub(super) use product::Language;

use crate::ambient::random;
use crate::endpoints::path;
use crate::failure::Failure;
use crate::protocol::response::ClientAuthMethod;
use askama::Template;
use base64::{Engine as _, engine::general_purpose::URL_SAFE};

/// The framework of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stack {
    /// Environment variables, a line each
    Env,
    /// ASP.NET Core: appsettings.json, and Program.cs with `AddOpenIdConnect`
    Aspnetcore,
    /// FastAPI or Starlette with Authlib: .env and main.py
    Fastapi,
    /// Spring Boot: application.yml
    Spring,
    /// oauth2-proxy.cfg, for a service that knows nothing of OpenID Connect
    #[value(name = "oauth2-proxy")]
    Oauth2Proxy,
    /// All of them
    All,
}

impl Stack {
    /// As `--settings` has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Aspnetcore => "aspnetcore",
            Self::Fastapi => "fastapi",
            Self::Spring => "spring",
            Self::Oauth2Proxy => "oauth2-proxy",
            Self::All => "all",
        }
    }
}

/// What a service has to know of its registration.
pub(super) struct Registration<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// `None`: it has none, or it cannot be shown.
    pub(super) client_secret: Option<&'a str>,
    pub(super) is_public: bool,
    pub(super) scope: &'a str,
    pub(super) redirect_uris: &'a [String],
    pub(super) post_logout_redirect_uris: &'a [String],
    pub(super) auth_method: ClientAuthMethod,
    /// Where it is, where its redirect URIs do not tell.
    pub(super) client_uri: Option<&'a str>,
}

impl Registration<'_> {
    pub(super) fn discovery_url(&self) -> String {
        format!("{}{}", self.issuer, path::OPENID_CONFIGURATION)
    }

    /// The settings as text.
    pub(super) fn settings(&self, stack: Stack) -> Result<String, Failure> {
        match stack {
            Stack::Env => self.env(),
            Stack::Aspnetcore => self.aspnetcore(),
            Stack::Fastapi => self.fastapi(),
            Stack::Spring => self.spring(),
            Stack::Oauth2Proxy => self.oauth2_proxy(),
            Stack::All => rendered(&All {
                env: self.env()?,
                aspnetcore: self.aspnetcore()?,
                fastapi: self.fastapi()?,
                spring: self.spring()?,
                oauth2_proxy: self.oauth2_proxy()?,
            }),
        }
    }

    /// The secret, or where it is to be put; nothing for a public client.
    fn secret(&self) -> Option<&str> {
        (!self.is_public).then(|| self.client_secret.unwrap_or("PUT THE SECRET HERE"))
    }

    fn redirect_uri(&self, example: &str) -> String {
        self.redirect_uris.first().cloned().unwrap_or_else(|| {
            let host: String =
                self.client_id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            format!("https://{host}.example.com{example}")
        })
    }

    fn env(&self) -> Result<String, Failure> {
        rendered(&Env {
            discovery_url: quote::shell(&self.discovery_url()),
            client_id: quote::shell(self.client_id),
            // Scripts read these lines, so a secret that is not known has none.
            client_secret: self.client_secret.map(quote::shell),
        })
    }

    fn aspnetcore(&self) -> Result<String, Failure> {
        let redirect_uri = self.redirect_uri("/signin-oidc");
        let callback_path = path_of(&redirect_uri);
        // A handler at the root would take the home page away.
        let signed_out = self.post_logout_redirect_uris.iter().map(|uri| path_of(uri)).find(|path| path != "/");
        rendered(&AspNetCore {
            authority: quote::double(self.issuer),
            client_id: quote::double(self.client_id),
            client_secret: self.secret().map(quote::double),
            home_path: quote::double(other_than(&callback_path, ["/", "/home"])),
            callback_path: quote::double(&callback_path),
            signed_out_callback_path: signed_out.map(|path| quote::double(&path)),
            is_issuer_http: self.issuer.starts_with("http://"),
            is_callback_http: redirect_uri.starts_with("http://"),
            scopes: self.scope.split(' ').map(quote::double).collect(),
        })
    }

    fn fastapi(&self) -> Result<String, Failure> {
        let redirect_uri = self.redirect_uri("/auth/callback");
        let callback_path = path_of(&redirect_uri);
        let auth_method = if self.is_public {
            Some("none")
        } else {
            // Authlib does not encode what it sends in the header (RFC 6749 section 2.3.1).
            crate::commands::acceptance::id_fault(self.client_id).map(|_| "client_secret_post")
        };
        rendered(&FastApi {
            discovery_url: quote::dotenv(&self.discovery_url()),
            client_id: quote::dotenv(self.client_id),
            client_secret: self.secret().map(quote::dotenv),
            session_secret: URL_SAFE.encode(random::<32>()),
            scope: quote::double(self.scope),
            auth_method: auth_method.map(quote::double),
            https_only: if redirect_uri.starts_with("http://") { "False" } else { "True" },
            home_path: quote::double(other_than(&callback_path, ["/", "/home"])),
            login_path: quote::double(other_than(&callback_path, ["/login", "/sign-in"])),
            callback_path: quote::double(&callback_path),
            redirect_uri: quote::double(&redirect_uri),
        })
    }

    fn spring(&self) -> Result<String, Failure> {
        let redirect_uri = self.redirect_uri("/login/oauth2/code/hallpass");
        let path = path_of(&redirect_uri);
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:/ ".contains(&b);
        let scope = if self.scope.bytes().all(is_plain) && self.scope.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            self.scope.replace(' ', ",")
        } else {
            // A list, since a scope may hold a comma.
            format!("[{}]", self.scope.split(' ').map(quote::spring).collect::<Vec<_>>().join(", "))
        };
        rendered(&Spring {
            client_id: quote::spring(self.client_id),
            client_secret: self.secret().map(quote::spring),
            auth_method: self.auth_method.as_str(),
            redirect_uri: quote::spring(&redirect_uri),
            // What is not where the framework listens by itself has to be told to it.
            elsewhere: (path != "/login/oauth2/code/hallpass").then(|| quote::double(&path)),
            scope,
            issuer: quote::spring(self.issuer),
        })
    }

    fn oauth2_proxy(&self) -> Result<String, Failure> {
        let redirect_uri = self.redirect_uri("/oauth2/callback");
        let path = path_of(&redirect_uri);
        let prefix = path.strip_suffix("/callback").filter(|prefix| !prefix.is_empty());
        rendered(&Oauth2Proxy {
            issuer: quote::double(self.issuer),
            client_id: quote::double(self.client_id),
            client_secret: self.secret().map(quote::double),
            proxy_prefix: prefix.filter(|prefix| *prefix != "/oauth2").map(quote::double),
            is_elsewhere: prefix.is_none(),
            is_plain_http: redirect_uri.starts_with("http://"),
            redirect_uri: quote::double(&redirect_uri),
            scope: quote::double(self.scope),
            // 32 bytes, which it decodes.
            cookie_secret: quote::double(&URL_SAFE.encode(random::<32>())),
        })
    }
}

/// The path of an address, decoded, as a framework compares it.
fn path_of(uri: &str) -> String {
    let path = url::Url::parse(uri).map_or_else(|_| "/".to_owned(), |url| url.path().to_owned());
    let decoded = percent_encoding::percent_decode_str(&path).decode_utf8().map(String::from);
    // An encoded slash would be another path.
    decoded.ok().filter(|decoded| decoded.matches('/').count() == path.matches('/').count()).unwrap_or(path)
}

/// The first of two paths, unless the other use has it.
fn other_than(taken: &str, [first, second]: [&'static str; 2]) -> &'static str {
    if taken == first { second } else { first }
}

fn rendered(template: &impl Template) -> Result<String, Failure> {
    // A template ends without the line break of its file.
    let text = template.render().map_err(|error| Failure::at("the settings cannot be written", error))?;
    Ok(format!("{}\n", text.trim_end_matches('\n')))
}

/// As in all of these, values are literals of the language that they are in.
#[derive(Template)]
#[template(path = "settings/env.txt")]
struct Env {
    discovery_url: String,
    client_id: String,
    client_secret: Option<String>,
}

#[derive(Template)]
#[template(path = "settings/aspnetcore.txt")]
struct AspNetCore {
    authority: String,
    client_id: String,
    client_secret: Option<String>,
    callback_path: String,
    signed_out_callback_path: Option<String>,
    home_path: String,
    is_issuer_http: bool,
    is_callback_http: bool,
    scopes: Vec<String>,
}

#[derive(Template)]
#[template(path = "settings/fastapi.txt")]
struct FastApi {
    discovery_url: String,
    client_id: String,
    client_secret: Option<String>,
    session_secret: String,
    scope: String,
    auth_method: Option<String>,
    https_only: &'static str,
    home_path: String,
    login_path: String,
    callback_path: String,
    redirect_uri: String,
}

#[derive(Template)]
#[template(path = "settings/spring.txt")]
struct Spring {
    client_id: String,
    client_secret: Option<String>,
    auth_method: &'static str,
    redirect_uri: String,
    elsewhere: Option<String>,
    scope: String,
    issuer: String,
}

#[derive(Template)]
#[template(path = "settings/oauth2-proxy.txt")]
struct Oauth2Proxy {
    issuer: String,
    client_id: String,
    client_secret: Option<String>,
    redirect_uri: String,
    proxy_prefix: Option<String>,
    is_elsewhere: bool,
    is_plain_http: bool,
    scope: String,
    cookie_secret: String,
}

/// The finished texts of the others.
#[derive(Template)]
#[template(path = "settings/all.txt")]
struct All {
    env: String,
    aspnetcore: String,
    fastapi: String,
    spring: String,
    oauth2_proxy: String,
}
