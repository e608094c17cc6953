//! Properties: what must hold for any input, tried with inputs that resemble the real thing.

#[path = "../fuzz/parsers.rs"]
mod parsers;

use hallpass::protocol::node_secrets::NodeSecrets;
use hallpass::protocol::secret::{AccessToken, AccessTokenParts, Handle, RefreshTokenParts};
use proptest::prelude::*;
use zeroize::Zeroizing;

/// Words of the protocol, glued together with what separates them, and bytes that belong to none.
fn resembling() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("client_id"),
        Just("redirect_uri"),
        Just("https://a.example/cb"),
        Just("http://127.0.0.1:"),
        Just("http://127.0.0.1"),
        Just("http://localhost:"),
        Just("application/jwk-set+json"),
        Just("@evil.example"),
        Just("/cb"),
        Just("scope"),
        Just("openid"),
        Just("prompt"),
        Just("none"),
        Just("login"),
        Just("response_type"),
        Just("code"),
        Just("code_challenge"),
        Just("code_challenge_method"),
        Just("S256"),
        Just("plain"),
        Just("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        Just("state"),
        Just("max_age"),
        Just("Bearer "),
        Just("Basic "),
        Just("hp_at_"),
        Just("hp_rt_"),
        Just("hp_si_"),
        Just("issuer = '"),
        Just("https://"),
        Just("localhost"),
        Just("hallpass_session_"),
        Just("="),
        Just("&"),
        Just("%00"),
        Just("%"),
        Just("+"),
        Just(";"),
        Just(":"),
        Just(" "),
        Just("\r\n"),
        Just("#"),
        Just("."),
        Just("\u{202e}"),
        Just("[::1]"),
        Just("127.0.0.1"),
        Just(","),
        Just("claims"),
        Just("{\"userinfo\":{\"email\":null,\"name\":{\"essential\":true}}}"),
        Just("{\"id_token\":{\"sub\":{\"value\":\"a\"},\"acr\":{\"values\":[\"1\"]}}}"),
        Just("{\"id_token\":"),
        Just("post_logout_redirect_uri"),
        Just("https://a.example/out"),
        Just("hallpass_known_"),
        Just("10.0.0.1"),
        Just("203.0.113.1"),
        Just("es256."),
        Just("2026-12-01T000000Z"),
        Just(".retired-2027-03-01T000000Z"),
        Just(".pem"),
        Just("$argon2id$v=19$m=19456,t=2,p=1$"),
        Just("TRUSTED_PROXIES"),
        Just("ISSUER"),
    ];
    let piece = prop_oneof![
        8 => word.prop_map(|word| word.as_bytes().to_vec()),
        2 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_parser_is_surprised(data in resembling()) {
        parsers::all(&data);
    }

    #[test]
    fn no_parser_is_surprised_by_any_bytes(data in prop::collection::vec(any::<u8>(), 0..300)) {
        parsers::all(&data);
    }

    #[test]
    fn an_access_token_opens_to_what_it_was_sealed_with(grant in any::<[u8; 16]>(), session in any::<[u8; 16]>(), secret in any::<[u8; 32]>(), root in "[a-z]{0,40}", flip in 6_usize..92) {
        let secrets = NodeSecrets::new(&root, "salt");
        let token = secrets.seal(AccessTokenParts { grant: Handle(grant), session: Handle(session) }, &secret);
        let opened = secrets.open(&token).unwrap();
        prop_assert_eq!((opened.grant, opened.session), (Handle(grant), Handle(session)));
        // Another character is another token, whose digest finds nothing.
        let mut other = token.expose().to_owned();
        let replacement = if other.as_bytes()[flip] == b'A' { "B" } else { "A" };
        other.replace_range(flip..=flip, replacement);
        prop_assert!(!AccessToken::received(other).digest().matches(&token.digest()));
    }

    #[test]
    fn a_family_never_repeats_a_secret(secret in any::<[u8; 32]>(), salts in prop::collection::vec(any::<[u8; 32]>(), 1..8)) {
        let mut parts = RefreshTokenParts { family: Handle([1; 16]), secret: Zeroizing::new(secret) };
        let mut seen = std::collections::HashSet::from([parts.seal().expose().to_owned()]);
        for salt in salts {
            parts = parts.successor(&salt);
            prop_assert!(seen.insert(parts.seal().expose().to_owned()));
        }
    }
}

/// A new parser is added to what is fed here.
#[test]
fn every_type_that_is_parsed_is_fed() {
    let fed = include_str!("../fuzz/parsers.rs");
    let mut found = 0;
    let mut paths = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/protocol"))];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        for part in source.split("\nimpl ").skip(1) {
            let name: String = part.chars().take_while(char::is_ascii_alphanumeric).collect();
            let body = part.split("\n}").next().unwrap_or_default();
            let reads = ["pub fn parse(", "pub fn open(", "pub fn of(client", "pub fn of(params"];
            if reads.iter().any(|reader| body.contains(reader)) {
                assert!(
                    fed.contains(&format!("{name}::")),
                    "{name} is parsed, and tests/fuzz/parsers.rs does not feed it"
                );
                found += 1;
            }
        }
    }
    assert!(found >= 10, "{found}");
}
