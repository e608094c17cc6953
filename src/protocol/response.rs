//! The closed lists of the specifications. What is not supported has no variant and is refused when it is read;
//! discovery publishes each list's `SUPPORTED`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A closed list of words, as a column of a row names one of them.
pub trait Word: Copy + 'static {
    /// The registered words, in the order they are published.
    const WORDS: &'static [&'static str];

    /// Reads a registered word, compared exactly.
    fn of_word(word: &str) -> Option<Self>;
}

macro_rules! words {
    (
        $(#[$documentation:meta])*
        $name:ident { $($(#[$variant_documentation:meta])* $variant:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_documentation])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every value that is served, in the order it is published.
            pub const SUPPORTED: &[Self] = &[$(Self::$variant),+];

            /// The registered word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// Reads the registered word, compared exactly.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::SUPPORTED.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl Word for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];

            fn of_word(word: &str) -> Option<Self> {
                Self::parse(word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// [RFC 6749 section 3.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.1).
    ResponseType {
        /// The authorization code flow.
        Code = "code",
    }
}
words! {
    /// How the answer travels: [OAuth 2.0 Multiple Response Types 2.1](https://openid.net/specs/oauth-v2-multiple-response-types-1_0.html),
    /// [Form Post Response Mode](https://openid.net/specs/oauth-v2-form-post-response-mode-1_0.html).
    ResponseMode {
        /// In the query of the `redirect_uri`; the default for `code`.
        Query = "query",
        /// As a form that the browser posts.
        FormPost = "form_post",
    }
}
words! {
    /// [RFC 6749 section 1.3](https://www.rfc-editor.org/rfc/rfc6749#section-1.3).
    GrantType {
        /// [RFC 6749 section 4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3).
        AuthorizationCode = "authorization_code",
        /// [RFC 6749 section 6](https://www.rfc-editor.org/rfc/rfc6749#section-6).
        RefreshToken = "refresh_token",
        /// [RFC 6749 section 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4).
        ClientCredentials = "client_credentials",
    }
}
words! {
    /// [OIDC Core 3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest), `prompt`.
    Prompt {
        /// No page may be shown.
        None = "none",
        /// Sign in again.
        Login = "login",
        /// Ask again.
        Consent = "consent",
        /// Choose an account.
        SelectAccount = "select_account",
        /// Make an account ([Initiating User Registration 1.0](https://openid.net/specs/openid-connect-prompt-create-1_0.html)).
        Create = "create",
    }
}
words! {
    /// [OIDC Core 3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest), `display`: our
    /// pages fit every one of them.
    Display {
        /// A full page.
        Page = "page",
        /// A small window.
        Popup = "popup",
        /// A touch screen.
        Touch = "touch",
        /// A feature phone.
        Wap = "wap",
    }
}
words! {
    /// How a client proves who it is: [OIDC Core 9](https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication).
    ClientAuthMethod {
        /// The secret in the `Authorization` header; the default.
        ClientSecretBasic = "client_secret_basic",
        /// The secret in the body.
        ClientSecretPost = "client_secret_post",
        /// A public client: PKCE takes its place.
        None = "none",
    }
}
words! {
    /// The algorithms that an `id_token` can be signed with, [RFC 7518 section 3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1), RFC 8037.
    SigningAlgorithm {
        /// RSASSA-PKCS1-v1_5 with SHA-256; the default, and what every client must understand.
        Rs256 = "RS256",
        /// RSASSA-PSS with SHA-256.
        Ps256 = "PS256",
        /// ECDSA with P-256 and SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
    }
}
words! {
    /// `clients.access`: who may enter a service.
    AccessPolicy {
        /// Every user who can sign in; the default.
        Everybody = "everybody",
        /// Members of the groups in `client_groups`.
        Groups = "groups",
    }
}
words! {
    /// `clients.require_acr`: the least `acr` of every sign-in at a client.
    RequiredAcr {
        /// Two factors.
        Two = "2",
    }
}
words! {
    /// `client_claims.source`: what a claim of a client's is made of.
    ClaimSource {
        /// The names of the user's groups.
        Groups = "groups",
        /// The user's roles at that client.
        Roles = "roles",
        /// A claim of the user's.
        Claim = "claim",
        /// Always the same value.
        Constant = "constant",
    }
}
words! {
    /// `client_claims.shape`.
    ClaimShape {
        /// A list, also of one; the default.
        List = "list",
        /// One text, the first.
        Text = "text",
        /// As the value is.
        AsIs = "as_is",
    }
}
words! {
    /// `client_claims.places`: where a client is told something.
    Place {
        /// The `id_token`.
        IdToken = "id_token",
        /// The answer of userinfo.
        Userinfo = "userinfo",
        /// A JWT access token.
        AccessToken = "access_token",
        /// The answer of introspection.
        Introspection = "introspection",
    }
}
words! {
    /// [OIDC Registration 2](https://openid.net/specs/openid-connect-registration-1_0.html#ClientMetadata), `application_type`.
    ApplicationType {
        /// Runs on a server or in a browser; the default.
        Web = "web",
        /// Runs on the person's own machine.
        Native = "native",
    }
}
words! {
    /// [OIDC Core 8](https://openid.net/specs/openid-connect-core-1_0.html#SubjectIDTypes).
    SubjectType {
        /// The same `sub` for every client; the default.
        Public = "public",
        /// A `sub` of its own for each sector.
        Pairwise = "pairwise",
    }
}
words! {
    /// Whether a client must send a `code_challenge`; public clients always must.
    PkcePolicy {
        /// RFC 9700 section 2.1.1; the default.
        Required = "required",
        /// For confidential clients whose library cannot.
        Optional = "optional",
    }
}
words! {
    /// Whether a person is asked before a client learns about them.
    ConsentPolicy {
        /// Ask once per client and scope; the default.
        Ask = "ask",
        /// The organisation's own service: never ask.
        Skip = "skip",
    }
}
words! {
    /// Whether a refresh hands out a new refresh token; public clients always get one (RFC 9700 section 4.14.2).
    RotationPolicy {
        /// Each refresh token is good once; the default.
        Always = "always",
        /// One refresh token lasts as long as its family.
        Never = "never",
    }
}
words! {
    /// The form of a client's access tokens.
    AccessTokenFormat {
        /// A random text; the default.
        Opaque = "opaque",
        /// [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068).
        Jwt = "jwt",
    }
}
words! {
    /// A column that is a plain yes or no.
    YesNo {
        /// Yes.
        Yes = "yes",
        /// No.
        No = "no",
    }
}
words! {
    /// Where a client's row came from.
    Origin {
        /// A migration, or SQL by hand; the default.
        Migration = "migration",
    }
}

impl fmt::Display for PromptSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, prompt) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(" ")?;
            }
            formatter.write_str(prompt.as_str())?;
        }
        Ok(())
    }
}

/// The values of one `prompt` parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptSet(Vec<Prompt>);

impl PromptSet {
    /// Reads the space-separated list. Values that are not known here are left out, each by itself: another specification
    /// may have given them a meaning that other providers serve.
    ///
    /// `None`: `none` came with another value, known or not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words = || text.split(' ').filter(|word| !word.is_empty());
        let none = Prompt::None.as_str();
        if words().any(|word| word == none) && words().any(|word| word != none) {
            return None;
        }
        let mut prompts = Vec::new();
        for prompt in words().filter_map(Prompt::parse) {
            if !prompts.contains(&prompt) {
                prompts.push(prompt);
            }
        }
        Some(Self(prompts))
    }

    /// Leaves one out, as one that is not known.
    #[must_use]
    pub fn without(mut self, prompt: Prompt) -> Self {
        self.0.retain(|known| *known != prompt);
        self
    }

    /// Whether `prompt` is among them.
    #[must_use]
    pub fn has(&self, prompt: Prompt) -> bool {
        self.0.contains(&prompt)
    }
}

impl GrantType {
    /// Whether a person signs in for it, in a browser.
    #[must_use]
    pub const fn is_of_users(self) -> bool {
        matches!(self, Self::AuthorizationCode)
    }

    /// Whether it ends at an address of the client.
    #[must_use]
    pub const fn needs_redirect_uri(self) -> bool {
        matches!(self, Self::AuthorizationCode)
    }

    /// Whether it is for a client that acts for itself, which only one that proves who it is can do
    /// ([RFC 6749 section 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)).
    #[must_use]
    pub const fn is_of_machines(self) -> bool {
        matches!(self, Self::ClientCredentials)
    }

    /// What a client can do with it, in a few words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "users sign in",
            Self::RefreshToken => "it stays signed in, where it asks for offline_access",
            Self::ClientCredentials => "it acts for itself, without users",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_comes_alone() {
        for alone in ["none", " none ", "none none"] {
            assert!(PromptSet::parse(alone).unwrap().has(Prompt::None), "{alone:?}");
        }
        for beside in ["none login", "login none", "none create", "create none", "none None", "login none consent"] {
            assert!(PromptSet::parse(beside).is_none(), "{beside:?}");
        }
    }

    #[test]
    fn unknown_prompts_are_left_out_one_by_one() {
        for (text, known) in [
            ("login consent", "login consent"),
            ("sign_up", ""),
            ("sign_up login", "login"),
            ("create login", "create login"),
            ("consent x:y login sign_up consent", "consent login"),
            ("NONE", ""),
            ("Login", ""),
            ("", ""),
        ] {
            assert_eq!(PromptSet::parse(text).unwrap().to_string(), known, "{text:?}");
        }
    }

    #[test]
    fn every_supported_word_reads_as_itself() {
        for algorithm in SigningAlgorithm::SUPPORTED {
            assert_eq!(SigningAlgorithm::parse(algorithm.as_str()), Some(*algorithm));
        }
        assert_eq!(SigningAlgorithm::parse("none"), None);
        assert_eq!(SigningAlgorithm::parse("rs256"), None);
    }
}
