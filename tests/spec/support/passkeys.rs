//! A software authenticator with the browser before it, and the verbs for pages that ask for a passkey.
//!
//! It does what [Web Authentication Level 3](https://www.w3.org/TR/webauthn-3/) says of both, written by hand so that
//! it shares no mistake with the library that checks its answers. What the script of a page does is done in its place.

use super::provider::TestProvider;
use super::user_agent::{Page, UserAgent};
use super::verbs::origin_of;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rand::rand_bytes;
use openssl::sha::sha256;
use openssl::sign::Signer;
use scraper::{Html, Selector};
use serde_json::{Value, json};
use url::Url;

/// ECDSA with P-256 and SHA-256, the one algorithm of these authenticators (RFC 9053 section 2.1).
const ES256: i16 = -7;

/// An authenticator with its passkeys. Cloning it is what a thief who copied the keys does.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "authenticators differ in each of them, and tests change one")]
pub struct SoftAuthenticator {
    /// Whether it verifies its user (UV). One that does not answers all the same, so that a provider can refuse it.
    pub verifies_user: bool,
    /// Whether its passkeys can be backed up (BE), and are (BS).
    pub is_synced: bool,
    /// Whether it counts signatures, from 1 at creation; a synced one says 0 in any case.
    pub counts: bool,
    /// Whether it can keep passkeys on itself, to be found without their id; it then tells the user handle.
    pub keeps_passkeys: bool,
    /// What is wrong with its answers, until a test sets it to `None`.
    /// Bytes of the ids that it gives.
    pub id_bytes: usize,
    pub tamper: Option<Tamper>,
    /// In the order in which they were made.
    pub passkeys: Vec<SoftPasskey>,
}

/// A passkey, with its private key.
#[derive(Clone, Debug)]
pub struct SoftPasskey {
    pub id: Vec<u8>,
    pub rp_id: String,
    pub user_handle: Vec<u8>,
    /// What was told last.
    pub counter: u32,
    /// Whether it is found without its id.
    pub is_discoverable: bool,
    key: PKey<Private>,
}

/// What can be wrong with an answer; all but the last two in `create` as well, which signs nothing.
#[derive(Clone, Debug)]
pub enum Tamper {
    /// Another `origin` in the client data.
    Origin(String),
    /// Another `type` in the client data.
    Type(String),
    /// Another `challenge` in the client data.
    Challenge(String),
    /// The hash of another RP ID in the authenticator data.
    RpIdHash,
    /// No UP flag.
    NoUserPresence,
    /// A well-formed signature of something else.
    Signature,
    /// This user handle, or none.
    UserHandle(Option<Vec<u8>>),
}

impl SoftAuthenticator {
    /// A key on a USB plug: it verifies its user, counts, and lets no passkey out.
    pub fn hardware() -> Self {
        Self {
            verifies_user: true,
            is_synced: false,
            counts: true,
            keeps_passkeys: true,
            id_bytes: 32,
            tamper: None,
            passkeys: Vec::new(),
        }
    }

    /// A telephone or a password manager: it verifies its user, copies passkeys to other devices, and does not count.
    pub fn synced() -> Self {
        Self { is_synced: true, counts: false, ..Self::hardware() }
    }

    /// `navigator.credentials.create()` in a page of `origin`: the credential as `toJSON()` gives it, or the error's
    /// name.
    ///
    /// # Panics
    /// When no browser could read the options.
    pub fn create(&mut self, origin: &str, options: &Value) -> Result<Value, &'static str> {
        let options = &options["publicKey"];
        let rp_id = rp_id_of(origin, &options["rp"]["id"])?;
        let user_handle = bytes_of(&options["user"]["id"]);
        if !(1..=64).contains(&user_handle.len()) {
            return Err("TypeError");
        }
        let parameters = options["pubKeyCredParams"].as_array().expect("the options name algorithms");
        if !parameters.iter().any(|known| known["type"] == "public-key" && known["alg"] == ES256) {
            return Err("NotSupportedError");
        }
        let excluded = ids_of(&options["excludeCredentials"]);
        if self.passkeys.iter().any(|passkey| passkey.rp_id == rp_id && excluded.contains(&passkey.id)) {
            return Err("InvalidStateError");
        }
        let resident = options["authenticatorSelection"]["residentKey"].as_str().unwrap_or("discouraged");
        if resident == "required" && !self.keeps_passkeys {
            return Err("NotAllowedError");
        }
        // Password managers keep every passkey, plugs have room for few.
        let is_discoverable = self.keeps_passkeys && (self.is_synced || resident != "discouraged");

        let (key, public) = new_key();
        let mut id = vec![0_u8; self.id_bytes];
        rand_bytes(&mut id).unwrap();
        let counter = self.count(0);
        // Section 6.5.1: which model it is, which these do not say; and the id with its length before it.
        let attested = joined(&[&[0_u8; 16], &length_of(&id).to_be_bytes(), &id, &public]);
        let data = self.authenticator_data(&rp_id, counter, &attested);
        let object = Item::Map(&[
            (Item::Text("fmt"), Item::Text("none")),
            (Item::Text("attStmt"), Item::Map(&[])),
            (Item::Text("authData"), Item::Bytes(&data)),
        ])
        .encoded();
        let response = json!({
            "clientDataJSON": encoded(self.client_data("webauthn.create", origin, options).as_bytes()),
            "attestationObject": encoded(&object),
            "authenticatorData": encoded(&data),
            "publicKey": encoded(&key.public_key_to_der().unwrap()),
            "publicKeyAlgorithm": ES256,
            "transports": if self.is_synced { json!(["hybrid", "internal"]) } else { json!(["usb"]) },
        });
        let mut results = json!({});
        if options["extensions"]["credProps"] == true {
            results["credProps"] = json!({ "rk": is_discoverable });
        }
        let credential = self.credential(&id, &response, &results);
        self.passkeys.push(SoftPasskey { id, rp_id, user_handle, counter, is_discoverable, key });
        Ok(credential)
    }

    /// `navigator.credentials.get()` in a page of `origin`, answered with the newest passkey that will do; the error's
    /// name where there is none.
    ///
    /// # Panics
    /// When no browser could read the options.
    pub fn get(&mut self, origin: &str, options: &Value) -> Result<Value, &'static str> {
        let rp_id = rp_id_of(origin, &options["publicKey"]["rpId"])?;
        let allowed = ids_of(&options["publicKey"]["allowCredentials"]);
        let is_usable = |passkey: &SoftPasskey| {
            let is_asked_for = if allowed.is_empty() { passkey.is_discoverable } else { allowed.contains(&passkey.id) };
            passkey.rp_id == rp_id && is_asked_for
        };
        let at = self.passkeys.iter().rposition(is_usable).ok_or("NotAllowedError")?;
        Ok(self.get_with(at, origin, options))
    }

    /// The same with the passkey at this place, whatever the page and the options allow.
    pub fn get_with(&mut self, at: usize, origin: &str, options: &Value) -> Value {
        let counter = self.count(self.passkeys[at].counter);
        self.passkeys[at].counter = counter;
        let passkey = &self.passkeys[at];
        let data = self.authenticator_data(&passkey.rp_id, counter, &[]);
        let client_data = self.client_data("webauthn.get", origin, &options["publicKey"]);
        let mut signed = joined(&[&data, &sha256(client_data.as_bytes())]);
        if matches!(self.tamper, Some(Tamper::Signature)) {
            signed.push(0);
        }
        let mut hand = Signer::new(MessageDigest::sha256(), &passkey.key).unwrap();
        let mut response = json!({
            "clientDataJSON": encoded(client_data.as_bytes()),
            "authenticatorData": encoded(&data),
            "signature": encoded(&hand.sign_oneshot_to_vec(&signed).unwrap()),
        });
        let user_handle = if let Some(Tamper::UserHandle(other)) = &self.tamper {
            other.clone()
        } else {
            passkey.is_discoverable.then(|| passkey.user_handle.clone())
        };
        if let Some(user_handle) = user_handle {
            response["userHandle"] = json!(encoded(&user_handle));
        }
        self.credential(&passkey.id, &response, &json!({}))
    }

    /// The signature counter after another use.
    fn count(&self, so_far: u32) -> u32 {
        if self.counts && !self.is_synced { so_far + 1 } else { 0 }
    }

    /// Section 6.1.
    fn authenticator_data(&self, rp_id: &str, counter: u32, attested: &[u8]) -> Vec<u8> {
        let mut hash = sha256(rp_id.as_bytes());
        if matches!(self.tamper, Some(Tamper::RpIdHash)) {
            hash[0] ^= 1;
        }
        // In their order: UP, UV, BE, BS, AT.
        let flags = [
            (!matches!(self.tamper, Some(Tamper::NoUserPresence)), 0x01_u8),
            (self.verifies_user, 0x04),
            (self.is_synced, 0x08),
            (self.is_synced, 0x10),
            (!attested.is_empty(), 0x40),
        ];
        let flags = flags.into_iter().fold(0_u8, |all, (is_set, flag)| if is_set { all | flag } else { all });
        joined(&[&hash, &[flags], &counter.to_be_bytes(), attested])
    }

    /// Section 5.8.1.1, in the order of members that it prescribes.
    fn client_data(&self, kind: &str, origin: &str, options: &Value) -> String {
        let challenge = bytes_of(&options["challenge"]);
        assert!(challenge.len() >= 16, "the challenge can be guessed: {options}");
        let (mut kind, mut challenge, mut origin) = (kind, encoded(&challenge), origin);
        match &self.tamper {
            Some(Tamper::Type(other)) => kind = other,
            Some(Tamper::Challenge(other)) => challenge.clone_from(other),
            Some(Tamper::Origin(other)) => origin = other,
            _ => {}
        }
        let [kind, challenge, origin] = [kind, challenge.as_str(), origin].map(|text| json!(text));
        format!(r#"{{"type":{kind},"challenge":{challenge},"origin":{origin},"crossOrigin":false}}"#)
    }

    fn credential(&self, id: &[u8], response: &Value, results: &Value) -> Value {
        json!({
            "id": encoded(id),
            "rawId": encoded(id),
            "type": "public-key",
            "authenticatorAttachment": if self.is_synced { "platform" } else { "cross-platform" },
            "response": response,
            "clientExtensionResults": results,
        })
    }
}

/// The RP ID that a page of this origin names or, where it names none, is given: its host, or a domain that this is in.
fn rp_id_of(origin: &str, named: &Value) -> Result<String, &'static str> {
    let origin = Url::parse(origin).unwrap_or_else(|error| panic!("{origin}: {error}"));
    // Browsers take no address for a domain, and offer passkeys neither there nor where a page came by plain http.
    let host = origin.domain().ok_or("SecurityError")?;
    let is_secure = origin.scheme() == "https" || host == "localhost" || host.ends_with(".localhost");
    let rp_id = named.as_str().unwrap_or(host);
    let is_parent = rp_id.contains('.') && host.strip_suffix(rp_id).is_some_and(|rest| rest.ends_with('.'));
    if is_secure && (rp_id == host || is_parent) { Ok(rp_id.to_owned()) } else { Err("SecurityError") }
}

/// A new key pair: the private key, and the public one as `COSE_Key` (RFC 9053 section 7.1.1).
fn new_key() -> (PKey<Private>, Vec<u8>) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let pair = EcKey::generate(&group).unwrap();
    let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
    let mut context = BigNumContext::new().unwrap();
    pair.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
    let (x, y) = (x.to_vec_padded(32).unwrap(), y.to_vec_padded(32).unwrap());
    // The kind of key, the algorithm, the curve and the point.
    let public = Item::Map(&[
        (Item::Number(1), Item::Number(2)),
        (Item::Number(3), Item::Number(ES256)),
        (Item::Number(-1), Item::Number(1)),
        (Item::Number(-2), Item::Bytes(&x)),
        (Item::Number(-3), Item::Bytes(&y)),
    ])
    .encoded();
    (PKey::from_ec_key(pair).unwrap(), public)
}

/// As much of CBOR as is needed here (RFC 8949 section 3); maps in the order in which they are written.
#[derive(Clone, Copy)]
enum Item<'a> {
    Number(i16),
    Bytes(&'a [u8]),
    Text(&'a str),
    Map(&'a [(Item<'a>, Item<'a>)]),
}

impl Item<'_> {
    fn encoded(self) -> Vec<u8> {
        match self {
            // -1 is told as 0, -2 as 1.
            Self::Number(number) if number < 0 => head(1, number.unsigned_abs() - 1),
            Self::Number(number) => head(0, number.unsigned_abs()),
            Self::Bytes(bytes) => joined(&[&head(2, length_of(bytes)), bytes]),
            Self::Text(text) => joined(&[&head(3, length_of(text.as_bytes())), text.as_bytes()]),
            Self::Map(entries) => {
                let mut map = head(5, length_of(entries));
                for (key, value) in entries {
                    map.extend(key.encoded());
                    map.extend(value.encoded());
                }
                map
            }
        }
    }
}

/// The beginning of an item: its major type, and a number that is its value or length.
fn head(major: u8, number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    let major = major << 5;
    match number {
        0..=23 => vec![major | low],
        24..=255 => vec![major | 0x18, low],
        _ => vec![major | 0x19, high, low],
    }
}

fn length_of<T>(parts: &[T]) -> u16 {
    u16::try_from(parts.len()).expect("what is encoded here is short")
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a member of the options, as browsers read it: base64url without padding.
fn bytes_of(member: &Value) -> Vec<u8> {
    let text = member.as_str().unwrap_or_else(|| panic!("this is no base64url: {member}"));
    URL_SAFE_NO_PAD.decode(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// The ids of `excludeCredentials` or `allowCredentials`, which may be missing.
fn ids_of(descriptors: &Value) -> Vec<Vec<u8>> {
    descriptors.as_array().into_iter().flatten().map(|descriptor| bytes_of(&descriptor["id"])).collect()
}

/// An attribute of the form that asks for a passkey.
fn attribute_of(page: &Page, name: &str) -> String {
    let html = Html::parse_document(&page.body);
    let form = Selector::parse("form#passkey").unwrap();
    let form = html.select(&form).next().unwrap_or_else(|| panic!("there is no form#passkey in {page}"));
    form.attr(name).unwrap_or_else(|| panic!("form#passkey has no {name} in {page}")).to_owned()
}

/// What the page asks the authenticator for.
pub fn options_of(page: &Page) -> Value {
    let options = attribute_of(page, "data-options");
    serde_json::from_str(&options).unwrap_or_else(|error| panic!("{error}: {options}"))
}

impl TestProvider {
    /// Signs in at the login page, or proves the second factor, by a passkey; continues to the next page or the client.
    pub async fn use_passkey(&self, browser: &UserAgent, page: &Page, authenticator: &mut SoftAuthenticator) -> Page {
        let credential = authenticator.get(&origin_of(page.url.as_str()), &options_of(page));
        let credential = credential.unwrap_or_else(|error| panic!("no passkey answers, by {error}: {page}"));
        let answered = self.send_passkey(browser, page, &credential).await;
        self.settle(browser, answered).await
    }

    /// Adds a passkey at a page that offers it; gives the answer to the form.
    pub async fn add_passkey(&self, browser: &UserAgent, page: &Page, authenticator: &mut SoftAuthenticator) -> Page {
        let credential = authenticator.create(&origin_of(page.url.as_str()), &options_of(page));
        let credential = credential.unwrap_or_else(|error| panic!("no passkey is made, by {error}: {page}"));
        self.send_passkey(browser, page, &credential).await
    }

    /// Submits a credential as it is given, by the button of what the page asks for; gives the answer to the form.
    pub async fn send_passkey(&self, browser: &UserAgent, page: &Page, credential: &Value) -> Page {
        assert!(page.url.as_str().starts_with(&self.issuer), "this is not a page of ours: {page}");
        let action = match attribute_of(page, "data-passkey").as_str() {
            "get" => "passkey",
            "create" => "add",
            other => panic!("what is data-passkey={other:?} in {page}?"),
        };
        let mut form = page.form("form#passkey");
        form.set("credential", &credential.to_string());
        browser.submit(form, Some(("action", action))).await
    }
}
