//! Web Authentication as its relying party: what a browser is asked for, and whether what it answers holds. Nothing is stored here, and nothing is
//! known of users; `passkeys` does both. [Web Authentication Level 3](https://www.w3.org/TR/webauthn-3/).
//!
//! Origin and relying party are the issuer's, so that no request decides them. Every passkey is discoverable, and every proof has its
//! user verified by the authenticator.

use crate::config::Config;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::ops::RangeInclusive;
use url::{Host, Url};
use webauthn_rs::prelude::{
    DiscoverableAuthentication, DiscoverableKey, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
};

/// Bytes of an id: at least as many as cannot be guessed, and at most as many as
/// [section 7.1](https://www.w3.org/TR/webauthn-3/#sctn-registering-a-new-credential) allows.
const ID_BYTES: RangeInclusive<usize> = 16..=1023;

/// Bytes of a user handle.
pub const HANDLE_BYTES: usize = 16;

/// The provider, as authenticators know it.
pub struct RelyingParty {
    library: Webauthn,
    id: String,
}

/// What a browser is asked, and what its answer is checked by.
pub struct Ceremony {
    /// For the script of the page: `CredentialCreationOptions` or `CredentialRequestOptions` as JSON, bytes as base64url.
    pub options: String,
    /// For us, when the answer comes. It has no secret, and has to come back as it is.
    pub state: String,
}

/// Whose passkey is made.
pub struct Maker<'a> {
    /// What the authenticator keeps and tells.
    pub handle: [u8; HANDLE_BYTES],
    /// What it shows.
    pub name: &'a str,
    /// The same, in full.
    pub display_name: &'a str,
    /// How long the browser may wait for its user, in seconds.
    pub patience: i64,
}

/// What a creation is checked by.
#[derive(Serialize, Deserialize)]
struct Creation {
    user_handle: String,
    registration: PasskeyRegistration,
}

/// A passkey that was made.
#[derive(Debug)]
pub struct Made {
    /// The user handle, base64url.
    pub user_handle: String,
    /// Its id, base64url.
    pub credential_id: String,
    /// What later proofs are checked by, as JSON.
    pub passkey: String,
    /// Whether it can be backed up.
    pub is_backup_eligible: bool,
}

/// What a browser answered to a request for a proof; nothing is checked yet.
pub struct Answer(PublicKeyCredential);

/// A proof that holds.
#[derive(Debug)]
pub struct Proven {
    /// What later proofs are checked by.
    pub passkey: String,
    /// Whether the passkey can be backed up.
    pub is_backup_eligible: bool,
}

/// Why an answer does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The authenticator did not verify its user.
    Unverified,
    /// The authenticator does not keep it, so that no sign-in finds it.
    NotKept,
    /// The counter did not grow: there may be two of it.
    NotGrown,
    /// Something else: another challenge, origin or key, or nothing that the specification knows.
    Invalid,
}

impl From<WebauthnError> for Refused {
    fn from(error: WebauthnError) -> Self {
        match error {
            WebauthnError::UserNotVerified => Self::Unverified,
            WebauthnError::CredentialPossibleCompromise => Self::NotGrown,
            error => {
                tracing::debug!(%error, "an answer of an authenticator does not hold");
                Self::Invalid
            }
        }
    }
}

/// What cannot be read is no answer.
impl From<serde_json::Error> for Refused {
    fn from(_: serde_json::Error) -> Self {
        Self::Invalid
    }
}

impl RelyingParty {
    /// The one of the issuer; `None`: its host is an address, which no passkey can be for
    /// ([section 5.1.2](https://www.w3.org/TR/webauthn-3/#rp-id)).
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let origin = Url::parse(config.origin()).ok()?;
        let Some(Host::Domain(id)) = origin.host() else { return None };
        let name = config.organization.name.as_deref().unwrap_or(id);
        let library = WebauthnBuilder::new(id, &origin).and_then(|builder| builder.rp_name(name).build());
        library.ok().map(|library| Self { library, id: id.to_owned() })
    }

    /// `rp.id`: the host of the issuer.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Asks for a new passkey, which no authenticator makes that has one of those
    /// ([section 7.1](https://www.w3.org/TR/webauthn-3/#sctn-registering-a-new-credential)).
    #[must_use]
    pub fn ask_to_make(&self, maker: &Maker<'_>, held: &[&str]) -> Option<Ceremony> {
        let id = Uuid::from_bytes(maker.handle);
        let started = self.library.start_passkey_registration(id, maker.name, maker.display_name, None);
        let (asked, registration) = started.ok()?;
        let mut options = serde_json::to_value(asked).ok()?;
        // The library leaves that to the authenticator; a sign-in finds no other.
        let selection = &mut options["publicKey"]["authenticatorSelection"];
        selection["residentKey"] = "required".into();
        selection["requireResidentKey"] = true.into();
        options["publicKey"]["timeout"] = (maker.patience * 1000).into();
        // They are checked where it is stored, and need not travel with the form.
        options["publicKey"]["excludeCredentials"] = described(held);
        let state = Creation { user_handle: URL_SAFE_NO_PAD.encode(maker.handle), registration };
        Some(Ceremony { options: options.to_string(), state: serde_json::to_string(&state).ok()? })
    }

    /// The passkey that was made.
    ///
    /// # Errors
    /// Why the answer does not hold.
    pub fn made(&self, state: &str, answer: &str) -> Result<Made, Refused> {
        let Creation { user_handle, registration } = serde_json::from_str(state)?;
        let answer: RegisterPublicKeyCredential = serde_json::from_str(answer)?;
        if answer.extensions.cred_props.as_ref().is_some_and(|told| told.rk == Some(false)) {
            return Err(Refused::NotKept);
        }
        let passkey = self.library.finish_passkey_registration(&answer, &registration)?;
        if !ID_BYTES.contains(&passkey.cred_id().len()) {
            return Err(Refused::Invalid);
        }
        let mut stored = serde_json::to_value(&passkey)?;
        // It was not asked for, and could tell one device from others.
        stored["cred"]["attestation"] = json!({ "data": "None", "metadata": "None" });
        stored["cred"]["attestation_format"] = "None".into();
        serde_json::from_value::<Passkey>(stored.clone())?;
        Ok(Made {
            user_handle,
            credential_id: URL_SAFE_NO_PAD.encode(passkey.cred_id()),
            is_backup_eligible: stored["cred"]["backup_eligible"] == true,
            passkey: stored.to_string(),
        })
    }

    /// Asks for the proof of a passkey: of one of those, or where there is none of whichever the user chooses
    /// ([section 7.2](https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion)).
    #[must_use]
    pub fn ask_to_prove(&self, among: &[&str]) -> Option<Ceremony> {
        let (asked, state) = self.library.start_discoverable_authentication().ok()?;
        let mut options = serde_json::to_value(asked).ok()?;
        // How it is shown is for the script of the page.
        options.as_object_mut()?.remove("mediation");
        options["publicKey"]["allowCredentials"] = described(among);
        Some(Ceremony { options: options.to_string(), state: serde_json::to_string(&state).ok()? })
    }

    /// Whether an answer proves a passkey, as it is stored.
    ///
    /// # Errors
    /// Why it does not.
    pub fn proven(&self, state: &str, answer: &Answer, passkey: &str) -> Result<Proven, Refused> {
        let state: DiscoverableAuthentication = serde_json::from_str(state)?;
        let mut passkey: Passkey = serde_json::from_str(passkey)?;
        let key = DiscoverableKey::from(&passkey);
        let result = self.library.finish_discoverable_authentication(&answer.0, state, &[key])?;
        passkey.update_credential(&result);
        Ok(Proven { passkey: serde_json::to_string(&passkey)?, is_backup_eligible: result.backup_eligible() })
    }
}

/// `PublicKeyCredentialDescriptor` for each id.
fn described(ids: &[&str]) -> Value {
    ids.iter().map(|id| json!({ "type": "public-key", "id": id })).collect()
}

/// The id of the passkey that a script sent, proven or made: base64url.
#[must_use]
pub fn id_in(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let id = URL_SAFE_NO_PAD.decode(answer["rawId"].as_str()?).ok()?;
    Some(URL_SAFE_NO_PAD.encode(id))
}

impl Answer {
    /// Reads what the script of a page sent.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// Which passkey it is said to be of, base64url.
    #[must_use]
    pub fn credential_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.get_credential_id())
    }

    /// Whose, base64url; `None`: it is not said.
    #[must_use]
    pub fn user_handle(&self) -> Option<String> {
        self.0.get_user_unique_id().map(|handle| URL_SAFE_NO_PAD.encode(handle))
    }
}
