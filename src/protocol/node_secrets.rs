//! What all nodes of a provider share and no other party knows: one root, of which a key for each purpose is made, and the
//! salt of pairwise subjects, which is never made of anything and never renewed.
//!
//! HKDF ([RFC 5869](https://www.rfc-editor.org/rfc/rfc5869)) by label, so that no key serves two purposes;
//! HMAC-SHA256 ([RFC 2104](https://www.rfc-editor.org/rfc/rfc2104)) over parts that carry their lengths.

use crate::protocol::claims::User;
use crate::protocol::client::Client;
use crate::protocol::response::SubjectType;
use crate::protocol::secret::{AccessToken, AccessTokenParts, BrowserId, Handle, InteractionId};
use crate::protocol::text;
use crate::protocol::time::NumericDate;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const ACCESS_TOKEN_BYTES: usize = 64;

/// A key for HMAC-SHA256.
pub struct MacKey(Zeroizing<[u8; 32]>);

impl MacKey {
    fn of_root(root: &str, label: &str) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes are far below what HKDF can give, so this cannot fail.
        let _ = Hkdf::<Sha256>::new(Some(b"hallpass node secrets"), root.as_bytes())
            .expand(label.as_bytes(), key.as_mut_slice());
        Self(key)
    }

    /// The tag of `parts`, each preceded by its length in 8 bytes so that no two lists collide.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        tag(self.0.as_slice(), parts)
    }

    /// The tag as base64url (43 characters).
    #[must_use]
    pub fn text(&self, parts: &[&[u8]]) -> String {
        URL_SAFE_NO_PAD.encode(self.tag(parts))
    }
}

fn tag(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of every length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn covered(text: [u8; 16], by: &[u8; 32]) -> [u8; 16] {
    let mut result = text;
    for (byte, cover) in result.iter_mut().zip(by) {
        *byte ^= cover;
    }
    result
}

/// The key of the digests that stay of the user names of deleted users. It is a value of its own in `provider_values` and is
/// never renewed: under another key the names could be given again.
pub struct NameKey(MacKey);

impl NameKey {
    /// The key of the value that is stored.
    #[must_use]
    pub fn new(stored: &str) -> Self {
        Self(MacKey::of_root(stored, "names of deleted users"))
    }

    /// The digest of a user name, the same in whatever letters it is typed: base64url (43 characters).
    #[must_use]
    pub fn digest(&self, username: &str) -> String {
        self.0.text(&[text::fold_username(username).as_bytes()])
    }
}

/// The secrets of every node of a provider.
pub struct NodeSecrets {
    form: MacKey,
    known_browser: MacKey,
    trusted_browser: MacKey,
    session_tag: MacKey,
    session_cover: MacKey,
    token_mask: MacKey,
    account: MacKey,
    ceremony: MacKey,
    /// Proves to a node that its own operator asks.
    pub probe: MacKey,
    pairwise_salt: Zeroizing<String>,
}

impl NodeSecrets {
    /// The secrets of the two values that are stored in `provider_values`.
    #[must_use]
    pub fn new(root: &str, pairwise_salt: &str) -> Self {
        let key = |label| MacKey::of_root(root, label);
        Self {
            form: key("form token"),
            known_browser: key("known browser"),
            trusted_browser: key("trusted browser"),
            session_tag: key("session id: tag"),
            session_cover: key("session id: cover"),
            token_mask: key("access token mask"),
            account: key("throttled account"),
            ceremony: key("passkey ceremony"),
            probe: key("probe"),
            pairwise_salt: Zeroizing::new(pairwise_salt.to_owned()),
        }
    }

    /// The `sub` that `client` sees: the local one, or one of its sector's own
    /// ([OIDC Core 8.1](https://openid.net/specs/openid-connect-core-1_0.html#PairwiseAlg)).
    ///
    /// Pairwise: base64url of HMAC-SHA256 under the salt over sector and local `sub` (43 characters). It is what services know
    /// a person by, so this form never changes.
    #[must_use]
    pub fn subject_for(&self, client: &Client, sub: &str) -> String {
        match client.subject_type {
            SubjectType::Public => sub.to_owned(),
            SubjectType::Pairwise => pairwise_subject(&self.pairwise_salt, &client.sector(), sub),
        }
    }

    /// The `sid` that `client` sees (43 characters); clients of one sector see the same, others cannot compare it.
    ///
    /// It is the session's handle, sealed: the same handle and sector always give the same text, `session_of` opens it. The
    /// tag is what the cover is made of ([RFC 5297 section 2](https://www.rfc-editor.org/rfc/rfc5297#section-2) has this shape).
    #[must_use]
    pub fn session_for(&self, client: &Client, session: Handle) -> String {
        let sector = sector_of_sessions(client);
        let whole = self.session_tag.tag(&[sector.as_bytes(), &session.0]);
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&whole[..16]);
        bytes[16..].copy_from_slice(&covered(session.0, &self.session_cover.tag(&[sector.as_bytes(), &whole[..16]])));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The session that a `sid` of `client` names; `None`: it is none of ours for its sector.
    #[must_use]
    pub fn session_of(&self, client: &Client, sid: &str) -> Option<Handle> {
        let sector = sector_of_sessions(client);
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(sid).ok()?.try_into().ok()?;
        let (sent, sealed) = bytes.split_at(16);
        let cover = self.session_cover.tag(&[sector.as_bytes(), sent]);
        let session = Handle(covered(sealed.try_into().ok()?, &cover));
        let whole = self.session_tag.tag(&[sector.as_bytes(), &session.0]);
        bool::from(whole[..16].ct_eq(sent)).then_some(session)
    }

    /// The access token for these parts from 32 random bytes: grant, masked session, secret. The session is masked because
    /// two clients that compare their tokens must not learn that one is behind both.
    #[must_use]
    pub fn seal(&self, parts: AccessTokenParts, secret: &[u8; 32]) -> AccessToken {
        let mut bytes = Zeroizing::new([0_u8; ACCESS_TOKEN_BYTES]);
        bytes[..16].copy_from_slice(&parts.grant.0);
        bytes[16..32].copy_from_slice(&covered(parts.session.0, &self.token_mask.tag(&[secret])));
        bytes[32..].copy_from_slice(secret);
        AccessToken::from_random(bytes.as_slice())
    }

    /// Reads the handles out of an access token that a caller shows. `None` for anything that is not bit for bit one of ours:
    /// the encoding must be canonical.
    #[must_use]
    pub fn open(&self, token: &AccessToken) -> Option<AccessTokenParts> {
        let text = token.expose().strip_prefix(AccessToken::PREFIX)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        if bytes.len() != ACCESS_TOKEN_BYTES {
            return None;
        }
        let grant = Handle(bytes[..16].try_into().ok()?);
        let session = covered(bytes[16..32].try_into().ok()?, &self.token_mask.tag(&[&bytes[32..]]));
        Some(AccessTokenParts { grant, session: Handle(session) })
    }

    /// The token a form must bring: bound to this browser and to one interaction.
    #[must_use]
    pub fn form_token(&self, browser: &BrowserId, interaction: &InteractionId) -> String {
        self.form.text(&[browser.expose().as_bytes(), interaction.expose().as_bytes()])
    }

    /// The token of a form whose code is counted under that name: it lets the code be counted before the interaction is read.
    #[must_use]
    pub fn counter_token(&self, browser: &BrowserId, interaction: &InteractionId, counter: &str) -> String {
        self.form.text(&[browser.expose().as_bytes(), interaction.expose().as_bytes(), counter.as_bytes()])
    }

    /// The token of what the answer of an authenticator is checked by, and of all that it is bound to.
    #[must_use]
    pub fn ceremony_token(&self, parts: &[&str]) -> String {
        self.ceremony.text(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>())
    }

    /// What proves to us that a user signed in to this account with this browser (22 characters): bound to both, to the password
    /// as it was (`credential`) and to the second factor (`factors`), where there was one; meaningless to all others.
    #[must_use]
    pub fn known_browser(&self, browser: &BrowserId, user: &User) -> String {
        let User { sub, credential, factors, .. } = user;
        let parts = [browser.expose(), sub, credential, factors].map(str::as_bytes);
        let told = if factors.is_empty() { &parts[..3] } else { &parts[..] };
        let mut tag = self.known_browser.text(told);
        tag.truncate(22);
        tag
    }

    /// The same as of before the user had a second factor: it proves the password alone.
    #[must_use]
    pub fn known_by_password(&self, browser: &BrowserId, user: &User) -> String {
        let parts = [browser.expose(), &user.sub, &user.credential].map(str::as_bytes);
        let mut tag = self.known_browser.text(&parts);
        tag.truncate(22);
        tag
    }

    /// What proves to us that a user trusts this browser since an instant (22 characters): bound to both, to the password as it was
    /// (`credential`) and to their second factor (`factors`).
    #[must_use]
    pub fn trusted_browser(&self, browser: &BrowserId, user: &User, since: NumericDate) -> String {
        let User { sub, credential, factors, .. } = user;
        let parts = [browser.expose(), sub, credential, factors].map(str::as_bytes);
        let mut tag = self.trusted_browser.text(&[parts[0], parts[1], parts[2], parts[3], &since.0.to_be_bytes()]);
        tag.truncate(22);
        tag
    }

    /// What failed sign-ins are counted under (22 characters): the account that was found, or the name that was typed, as it
    /// is compared.
    #[must_use]
    pub fn account(&self, found: Option<&str>, typed: &str) -> String {
        let mut tag = match found {
            Some(sub) => self.account.text(&[b"sub", sub.as_bytes()]),
            None => self.account.text(&[b"name", text::fold_username(typed.trim()).as_bytes()]),
        };
        tag.truncate(22);
        tag
    }
}

fn pairwise_subject(salt: &str, sector: &str, sub: &str) -> String {
    URL_SAFE_NO_PAD.encode(tag(salt.as_bytes(), &[sector.as_bytes(), sub.as_bytes()]))
}

/// Whose session ids a client shares: its sector's, or those of all public clients.
fn sector_of_sessions(client: &Client) -> String {
    match client.subject_type {
        SubjectType::Public => String::new(),
        SubjectType::Pairwise => client.sector(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::client::tests::client;

    fn pairwise(uri: &str) -> Client {
        Client { subject_type: SubjectType::Pairwise, ..client(&[uri]) }
    }

    /// The vectors were made by another implementation; services know people by these values.
    #[test]
    fn a_pairwise_subject_is_what_it_always_was() {
        assert_eq!(
            pairwise_subject("c2FsdC1vZi10ZXN0cw", "reports.example.com", "alice-sub"),
            "sr-a4xZMDMzMYVFx4QljY31OdOcG7uDbJu_uEpiuJw0"
        );
        assert_eq!(pairwise_subject("salt", "", "ünïcode"), "Fq7nsOkI16mPXUkuZUGom-5Vt9fbtdyXD4s1R_40tBU");
        let secrets = NodeSecrets::new("root", "salt");
        let client = Client { sector_identifier: Some("a.example".into()), ..pairwise("https://b.example/cb") };
        assert_eq!(secrets.subject_for(&client, "u"), "a3OdHCYxqmE-9tB_AraSWA29WNEdX-FGcStTkj5kX5o");
        // The root has no part in it.
        assert_eq!(NodeSecrets::new("another", "salt").subject_for(&client, "u"), secrets.subject_for(&client, "u"));
    }

    #[test]
    fn pairwise_subjects_differ_between_sectors_and_stay_the_same_within_one() {
        let secrets = NodeSecrets::new("root", "salt");
        let (one, same_sector) = (pairwise("https://a.example/cb"), pairwise("https://a.example/other"));
        let other = pairwise("https://b.example/cb");
        assert_eq!(secrets.subject_for(&one, "u"), secrets.subject_for(&same_sector, "u"));
        assert_ne!(secrets.subject_for(&one, "u"), secrets.subject_for(&other, "u"));
        assert_ne!(secrets.subject_for(&one, "u"), "u");
        assert_ne!(secrets.subject_for(&one, "u"), NodeSecrets::new("root", "salz").subject_for(&one, "u"));
    }

    #[test]
    fn a_session_id_opens_to_its_session_for_its_own_sector_alone() {
        let secrets = NodeSecrets::new("root", "salt");
        let (public, one, other) = (client(&[]), pairwise("https://a.example/cb"), pairwise("https://b.example/cb"));
        let clients = [&public, &one, &other];
        for session in [Handle([0; 16]), Handle([1; 16]), Handle([255; 16])] {
            let sids = clients.map(|client| secrets.session_for(client, session));
            for (at, sid) in sids.iter().enumerate() {
                assert_eq!(sid.len(), 43);
                assert_eq!(*sid, secrets.session_for(clients[at], session));
                for (of, client) in clients.iter().enumerate() {
                    assert_eq!(secrets.session_of(client, sid), (of == at).then_some(session));
                }
                assert_eq!(NodeSecrets::new("another", "salt").session_of(clients[at], sid), None);
            }
        }
        let sid = secrets.session_for(&one, Handle([1; 16]));
        for at in 0..32 {
            let mut bytes = URL_SAFE_NO_PAD.decode(&sid).unwrap();
            bytes[at] ^= 1;
            assert_eq!(secrets.session_of(&one, &URL_SAFE_NO_PAD.encode(bytes)), None, "{at}");
        }
        for bad in ["", "x", &sid[..42], &format!("{sid}A"), &format!("{sid}=")] {
            assert_eq!(secrets.session_of(&one, bad), None, "{bad}");
        }
    }

    #[test]
    fn no_key_serves_two_purposes() {
        let secrets = NodeSecrets::new("root", "salt");
        let keys = [
            &secrets.form,
            &secrets.known_browser,
            &secrets.session_tag,
            &secrets.session_cover,
            &secrets.token_mask,
            &secrets.account,
            &secrets.probe,
        ];
        let tags: std::collections::HashSet<_> = keys.iter().map(|key| key.tag(&[b"x"])).collect();
        assert_eq!(tags.len(), keys.len());
        assert_ne!(secrets.form.tag(&[b"ab", b"c"]), secrets.form.tag(&[b"a", b"bc"]));
    }

    #[test]
    fn a_form_token_is_bound_to_browser_interaction_and_root() {
        let secrets = NodeSecrets::new("root", "salt");
        let (one, other) = (BrowserId::received("one"), BrowserId::received("other"));
        let (here, there) = (InteractionId::received("here"), InteractionId::received("there"));
        let token = secrets.form_token(&one, &here);
        assert_eq!(token, secrets.form_token(&one, &here));
        assert_ne!(token, secrets.form_token(&other, &here));
        assert_ne!(token, secrets.form_token(&one, &there));
        assert_ne!(token, NodeSecrets::new("another", "salt").form_token(&one, &here));
    }

    #[test]
    fn an_access_token_opens_to_its_parts_with_the_same_root_alone() {
        let secrets = NodeSecrets::new("root", "salt");
        let parts = AccessTokenParts { grant: Handle([1; 16]), session: Handle([2; 16]) };
        let token = secrets.seal(parts, &[3; 32]);
        let opened = secrets.open(&token).unwrap();
        assert_eq!((opened.grant, opened.session), (parts.grant, parts.session));
        assert_ne!(NodeSecrets::new("another", "salt").open(&token).unwrap().session, parts.session);
        // The same session looks different in each token.
        let part = |token: &AccessToken| URL_SAFE_NO_PAD.decode(&token.expose()[6..]).unwrap()[16..32].to_vec();
        assert_ne!(part(&token), part(&secrets.seal(parts, &[4; 32])));
    }

    #[test]
    fn a_truncated_or_padded_access_token_does_not_open() {
        let secrets = NodeSecrets::new("root", "salt");
        let token = secrets.seal(AccessTokenParts { grant: Handle([1; 16]), session: Handle([2; 16]) }, &[3; 32]);
        let text = token.expose();
        for bad in [&text[..text.len() - 1], &format!("{text}A"), &format!("{text}="), "hp_at_", ""] {
            assert!(secrets.open(&AccessToken::received(bad)).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_name_that_no_user_has_is_counted_by_itself_whatever_its_spelling() {
        let secrets = NodeSecrets::new("root", "salt");
        let account = |found: Option<&str>, typed: &str| secrets.account(found, typed);
        for (one, same) in [
            ("Nobody", " nOBODY "),
            ("Größe", "GRO\u{308}ßE"),
            ("a b", "Ａ\u{3000}Ｂ"),
            ("x@Ü.example", "X@xn--tda.example"),
        ] {
            assert_eq!(account(None, one), account(None, same));
        }
        let names: std::collections::HashSet<String> = (0..20_000).map(|i| account(None, &i.to_string())).collect();
        assert_eq!(names.len(), 20_000);
        assert_eq!(account(Some("u"), "alice"), account(Some("u"), "ALICE@example.com"));
        assert_ne!(account(Some("u"), ""), account(None, "u"));
        // Without the secret, it cannot be told which counter is whose.
        assert_ne!(account(None, "nobody"), NodeSecrets::new("another", "salt").account(None, "nobody"));
    }
}
