//! The settings of a product as its table has them, with each value as a literal of the file's language.

use super::{Registration, quote};
use crate::ambient::random;
use crate::commands::client::products::{File, Product};
use crate::commands::terminal::one_line;
use crate::endpoints::path;
use crate::failure::Failure;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

/// The language of a settings file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::commands::client) enum Language {
    Apache,
    Dovecot,
    Env,
    /// What is typed into a page.
    Form,
    Ini,
    Javascript,
    Json,
    /// JSON between single quotes, in a line of environment variables.
    JsonInEnv,
    Php,
    Properties,
    Python,
    Ruby,
    Shell,
    Toml,
    Yaml,
}

impl Language {
    /// How a line begins that says where the file belongs.
    const fn comment(self) -> &'static str {
        match self {
            Self::Ini => "; ",
            Self::Javascript | Self::Php => "// ",
            _ => "# ",
        }
    }

    fn literal(self, text: &str) -> String {
        match self {
            Self::Apache => quote::apache(text),
            Self::Env | Self::Shell => quote::shell(text),
            Self::Ini => quote::ini(text),
            Self::Javascript | Self::Json | Self::Python | Self::Toml | Self::Yaml => quote::double(text),
            Self::JsonInEnv => quote::double(text).replace('\'', "\\u0027"),
            Self::Php | Self::Ruby => quote::single(text),
            Self::Properties => quote::properties(text),
            Self::Dovecot | Self::Form => one_line(text),
        }
    }

    fn list(self, texts: &[&str]) -> String {
        match self {
            Self::Apache | Self::Dovecot | Self::Env | Self::Form | Self::Ini | Self::Properties | Self::Shell => {
                self.literal(&texts.join(","))
            }
            _ => format!("[{}]", texts.iter().map(|text| self.literal(text)).collect::<Vec<_>>().join(", ")),
        }
    }
}

impl Registration<'_> {
    /// The settings of a product: each file after a line that says where it belongs.
    pub(in crate::commands::client) fn product(&self, product: &Product) -> Result<String, Failure> {
        if let Some(stack) = product.stack {
            return self.settings(stack);
        }
        let told = self.redirect_uris.iter().find_map(|uri| product.base_behind(uri));
        let base = told.or_else(|| self.client_uri.map(|uri| uri.trim_end_matches('/').to_owned())).unwrap_or_default();
        let has_secret = self.secret().is_some();
        let files = product.files.iter().filter(|file| has_secret || !file.is_secret);
        let texts = files.map(|File { name, language, text, .. }| {
            let lines = text.lines().filter_map(|line| of_secret(line, has_secret));
            let lines: String = lines.map(|line| self.filled(&line, *language, &base) + "\n").collect();
            format!("{}{name}\n{lines}", language.comment())
        });
        Ok(texts.collect::<Vec<_>>().join("\n"))
    }

    /// A line with the values in their places.
    fn filled(&self, line: &str, language: Language, base: &str) -> String {
        let (mut filled, mut rest) = (String::new(), line);
        while let Some((before, after)) = rest.split_once('@') {
            filled.push_str(before);
            let (name, behind) = after.split_once('@').unwrap_or((after, ""));
            let Some(value) = self.value(name, language, base) else {
                filled.push('@');
                rest = after;
                continue;
            };
            filled.push_str(&value);
            rest = behind;
        }
        filled + rest
    }

    /// What a name stands for; `None`: it is no such name.
    fn value(&self, name: &str, language: Language, base: &str) -> Option<String> {
        let scopes = || self.scope.split(' ').filter(|scope| !scope.is_empty());
        let extra = || scopes().filter(|scope| *scope != "openid").collect::<Vec<_>>();
        match name {
            "scopes" => return Some(language.list(&scopes().collect::<Vec<_>>())),
            "extra_scopes" => return Some(language.list(&extra())),
            _ => {}
        }
        let (name, is_literal) = name.strip_prefix('=').map_or((name, true), |name| (name, false));
        let at = |path: &str| format!("{}{path}", self.issuer);
        let text = match name {
            "issuer" => self.issuer.to_owned(),
            "discovery_url" => self.discovery_url(),
            "authorization_endpoint" => at(path::AUTHORIZE),
            "token_endpoint" => at(path::TOKEN),
            "userinfo_endpoint" => at(path::USERINFO),
            "end_session_endpoint" => at(path::LOGOUT),
            "jwks_uri" => at(path::JWKS),
            "client_id" => self.client_id.to_owned(),
            "client_secret" => self.secret()?.to_owned(),
            "scope" => self.scope.to_owned(),
            "extra_scope" => extra().join(" "),
            "redirect_uri" => self.redirect_uris.first()?.clone(),
            "callback_path" => super::path_of(self.redirect_uris.first()?),
            "url" => base.to_owned(),
            "sign_out_url" => self.sign_out_url(),
            "random" => URL_SAFE_NO_PAD.encode(random::<32>()),
            _ => return None,
        };
        Some(if is_literal { language.literal(&text) } else { text })
    }

    /// Where a service without a token sends the browser to sign the user out.
    fn sign_out_url(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("client_id", self.client_id);
        if let Some(uri) = self.post_logout_redirect_uris.first() {
            query.append_pair("post_logout_redirect_uri", uri);
        }
        format!("{}{}?{}", self.issuer, path::LOGOUT, query.finish())
    }
}

/// A line with the parts between `@[` and `@]`, or without them where there is no secret; `None`: nothing is left of it, or it
/// is the secret's own.
fn of_secret(line: &str, has_secret: bool) -> Option<String> {
    if has_secret {
        return Some(line.replace("@[", "").replace("@]", ""));
    }
    let (mut kept, mut rest) = (String::new(), line);
    while let Some((before, part)) = rest.split_once("@[") {
        kept.push_str(before);
        rest = part.split_once("@]").map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    let is_left = !kept.contains("@client_secret@") && (kept == line || !kept.trim().is_empty());
    is_left.then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_line_is_left_out_without_a_secret() {
        let line = "a@[ --secret @client_secret@@] b";
        assert_eq!(of_secret(line, true).as_deref(), Some("a --secret @client_secret@ b"));
        assert_eq!(of_secret(line, false).as_deref(), Some("a b"));
        assert_eq!(of_secret("secret = @client_secret@", false), None);
        assert_eq!(of_secret("  @[secret: $name@]", false), None);
        assert_eq!(of_secret("", false).as_deref(), Some(""));
    }
}
