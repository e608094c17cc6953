//! What a service is configured with, ready to paste, for the frameworks that are asked for most.

use crate::endpoints::path;
use crate::protocol::response::ClientAuthMethod;
use std::fmt::Write as _;

/// The framework of a service.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Stack {
    /// Environment variables, a line each
    Env,
    /// ASP.NET Core: appsettings.json and `AddOpenIdConnect`
    Aspnetcore,
    /// FastAPI or Starlette with Authlib
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
}

impl Registration<'_> {
    pub(super) fn discovery_url(&self) -> String {
        format!("{}{}", self.issuer, path::OPENID_CONFIGURATION)
    }

    /// The settings as text.
    pub(super) fn settings(&self, stack: Stack) -> String {
        match stack {
            Stack::Env => self.env(),
            Stack::Aspnetcore => self.aspnetcore(),
            Stack::Fastapi => self.fastapi(),
            Stack::Spring => self.spring(),
            Stack::Oauth2Proxy => self.oauth2_proxy(),
            Stack::All => {
                let parts = [
                    ("Environment variables", self.env()),
                    ("ASP.NET Core", self.aspnetcore()),
                    ("FastAPI or Starlette with Authlib", self.fastapi()),
                    ("Spring Boot", self.spring()),
                    ("oauth2-proxy", self.oauth2_proxy()),
                ];
                let parts = parts.iter().map(|(name, text)| format!("## {name}\n\n{text}"));
                parts.collect::<Vec<_>>().join("\n")
            }
        }
    }

    /// The secret, or where it is to be put; nothing for a public client.
    fn secret(&self) -> Option<&str> {
        (!self.is_public).then(|| self.client_secret.unwrap_or("PUT THE SECRET HERE"))
    }

    fn redirect_uri(&self, example: &str) -> String {
        self.redirect_uris
            .first()
            .cloned()
            .unwrap_or_else(|| format!("https://{}.example.com{example}", self.client_id))
    }

    fn env(&self) -> String {
        let mut text = format!("OIDC_DISCOVERY_URL={}\nOIDC_CLIENT_ID={}\n", self.discovery_url(), self.client_id);
        // Scripts read these lines, so a secret that is not known has none.
        if let Some(secret) = self.client_secret {
            let _ = writeln!(text, "OIDC_CLIENT_SECRET={secret}");
        }
        text
    }

    fn aspnetcore(&self) -> String {
        let mut settings = vec![("Authority", self.issuer), ("ClientId", self.client_id)];
        settings.extend(self.secret().map(|secret| ("ClientSecret", secret)));
        let lines: Vec<String> = settings.iter().map(|(name, value)| format!("    \"{name}\": {value:?}")).collect();
        let callback = path_of(&self.redirect_uri("/signin-oidc"));
        let mut text = format!("// appsettings.json\n{{\n  \"Oidc\": {{\n{}\n  }}\n}}\n", lines.join(",\n"));
        let _ = write!(
            text,
            "\n// Program.cs, with the package Microsoft.AspNetCore.Authentication.OpenIdConnect\n\
             builder.Services\n    \
             .AddAuthentication(options =>\n    {{\n        \
             options.DefaultScheme = CookieAuthenticationDefaults.AuthenticationScheme;\n        \
             options.DefaultChallengeScheme = OpenIdConnectDefaults.AuthenticationScheme;\n    }})\n    \
             .AddCookie()\n    \
             .AddOpenIdConnect(options =>\n    {{\n        \
             builder.Configuration.GetSection(\"Oidc\").Bind(options);\n        \
             options.ResponseType = OpenIdConnectResponseType.Code;\n        \
             options.UsePkce = true;\n        \
             options.CallbackPath = {callback:?};\n"
        );
        // A handler at the root would take the home page away.
        let signed_out = self.post_logout_redirect_uris.iter().map(|uri| path_of(uri)).find(|path| path != "/");
        if let Some(path) = signed_out {
            let _ = writeln!(text, "        options.SignedOutCallbackPath = {path:?};");
        }
        if self.issuer.starts_with("http://") {
            text.push_str(
                "        options.RequireHttpsMetadata = false; // the issuer is http: for development only\n",
            );
        }
        text.push_str("        options.Scope.Clear();\n");
        for scope in self.scope.split(' ') {
            let _ = writeln!(text, "        options.Scope.Add({scope:?});");
        }
        text.push_str(
            "        options.GetClaimsFromUserInfoEndpoint = true;\n        options.MapInboundClaims = false;\n        \
             options.TokenValidationParameters.NameClaimType = \"name\";\n        options.SaveTokens = true;\n    });\n",
        );
        text
    }

    fn fastapi(&self) -> String {
        let secret = if self.is_public { "" } else { "    client_secret=os.environ[\"OIDC_CLIENT_SECRET\"],\n" };
        let mut text = format!("# .env\n{}", self.env());
        if let (None, Some(placeholder)) = (self.client_secret, self.secret()) {
            let _ = writeln!(text, "OIDC_CLIENT_SECRET=\"{placeholder}\"");
        }
        let method = if self.is_public { ", \"token_endpoint_auth_method\": \"none\"" } else { "" };
        let _ = write!(
            text,
            "\n# main.py, with authlib, httpx and itsdangerous\n\
             import os\n\n\
             from authlib.integrations.starlette_client import OAuth\n\n\
             oauth = OAuth()\n\
             oauth.register(\n    \"hallpass\",\n    \
             server_metadata_url=os.environ[\"OIDC_DISCOVERY_URL\"],\n    \
             client_id=os.environ[\"OIDC_CLIENT_ID\"],\n{secret}    \
             client_kwargs={{\"scope\": {:?}, \"code_challenge_method\": \"S256\"{method}}},\n)\n\
             # The redirect URI that it passes to authorize_redirect: {}\n",
            self.scope,
            self.redirect_uri("/auth/callback"),
        );
        text
    }

    fn spring(&self) -> String {
        let secret = self.secret().map(|secret| format!("            client-secret: {secret:?}\n")).unwrap_or_default();
        let method = match self.auth_method {
            ClientAuthMethod::ClientSecretBasic => "client_secret_basic",
            ClientAuthMethod::ClientSecretPost => "client_secret_post",
            ClientAuthMethod::None => "none",
        };
        let redirect_uri = self.redirect_uri("/login/oauth2/code/hallpass");
        // What is not where the framework listens by itself has to be told to it.
        let elsewhere = if path_of(&redirect_uri) == "/login/oauth2/code/hallpass" {
            String::new()
        } else {
            format!(
                "# It must listen there: oauth2Login(o -> o.redirectionEndpoint(r -> r.baseUri({:?})))\n",
                path_of(&redirect_uri)
            )
        };
        format!(
            "# application.yml, with spring-boot-starter-oauth2-client\n\
             # Spring Security 7 and newer send PKCE by themselves. With 6, set an authorization request resolver with\n\
             # OAuth2AuthorizationRequestCustomizers.withPkce(), or register the client with --pkce optional.\n\
             {elsewhere}spring:\n  security:\n    oauth2:\n      client:\n        registration:\n          hallpass:\n            \
             client-id: {:?}\n{secret}            client-authentication-method: {method}\n            \
             authorization-grant-type: authorization_code\n            redirect-uri: {:?}\n            \
             scope: {}\n        provider:\n          hallpass:\n            issuer-uri: {:?}\n",
            self.client_id,
            redirect_uri,
            self.scope.replace(' ', ","),
            self.issuer,
        )
    }

    fn oauth2_proxy(&self) -> String {
        let secret = self.secret().map(|secret| format!("client_secret = {secret:?}\n")).unwrap_or_default();
        let redirect_uri = self.redirect_uri("/oauth2/callback");
        let prefix = path_of(&redirect_uri);
        let elsewhere = match prefix.strip_suffix("/callback") {
            Some("/oauth2") => String::new(),
            Some(prefix) => format!("proxy_prefix = {prefix:?}\n"),
            None => "# It listens at /oauth2/callback: register that address\n".to_owned(),
        };
        format!(
            "# oauth2-proxy.cfg\nprovider = \"oidc\"\noidc_issuer_url = {:?}\nclient_id = {:?}\n{secret}\
             redirect_url = {:?}\n{elsewhere}scope = {:?}\ncode_challenge_method = \"S256\"\n\
             # Its own, from: openssl rand -base64 32 | tr -- '+/' '-_'\ncookie_secret = \"PUT 32 RANDOM BYTES HERE\"\n\
             # Whoever Hallpass lets in; people need a verified e-mail address (users.email_verified_at).\n\
             email_domains = [\"*\"]\n",
            self.issuer, self.client_id, redirect_uri, self.scope,
        )
    }
}

/// The path of an address.
fn path_of(uri: &str) -> String {
    url::Url::parse(uri).map_or_else(|_| "/".to_owned(), |url| url.path().to_owned())
}
