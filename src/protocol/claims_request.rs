//! The `claims` parameter: single claims by name, [OIDC Core 5.5](https://openid.net/specs/openid-connect-core-1_0.html#ClaimsParameter).

use crate::protocol::claim_names::scope_of;
use crate::protocol::error::Refusal;
use crate::protocol::reason::Reason;
use crate::protocol::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most claims that one request may name at each of its two places.
const MOST: usize = 64;

/// One claim as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Whether the request is hardly worth anything without it.
    #[serde(default)]
    pub essential: bool,
    /// The values that it may have, as `value` and `values` say; none: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

/// What a `claims` parameter asks for, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    /// In the answer of userinfo.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub userinfo: Vec<Asked>,
    /// In the `id_token`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub id_token: Vec<Asked>,
}

impl ClaimsRequest {
    /// Reads the parameter. Members that mean nothing to us are ignored, as the specification wants.
    ///
    /// # Errors
    /// `invalid_request`: not a JSON object of the specified shape.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let malformed = || Refusal::new(Reason::ClaimsMalformed).expecting(text, [r#"{"userinfo": {"email": null}}"#]);
        let Ok(Value::Object(members)) = serde_json::from_str::<Value>(text) else { return Err(malformed()) };
        let read = |place: &str| match members.get(place) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Object(claims)) if claims.len() <= MOST => {
                claims.iter().map(|(name, wish)| asked(name, wish).ok_or_else(malformed)).collect()
            }
            Some(_) => Err(malformed()),
        };
        Ok(Self { userinfo: read("userinfo")?, id_token: read("id_token")? })
    }

    /// Without the claims whose scope the client may not have: `clients.scope` is the most it can be given.
    #[must_use]
    pub fn within(mut self, allowed: &Scope) -> Self {
        let may_have = |asked: &Asked| scope_of(&asked.name).is_none_or(|scope| allowed.has(scope));
        self.userinfo.retain(may_have);
        self.id_token.retain(may_have);
        self
    }

    /// The scopes that would open what is asked for, beyond `granted`: what the person has to be asked for too.
    #[must_use]
    pub fn scopes_beyond(&self, granted: &Scope) -> Scope {
        let names = self.userinfo.iter().chain(&self.id_token).filter_map(|asked| scope_of(&asked.name));
        let scopes: Vec<&str> = names.filter(|scope| !granted.has(scope)).collect();
        Scope::from(scopes.join(" "))
    }

    /// Whether a claim is asked for, at either place.
    #[must_use]
    pub fn names(&self, claim: &str) -> bool {
        self.userinfo.iter().chain(&self.id_token).any(|asked| asked.name == claim)
    }

    /// The wish for a claim of the `id_token`.
    #[must_use]
    pub fn of_id_token(&self, name: &str) -> Option<&Asked> {
        self.id_token.iter().find(|asked| asked.name == name)
    }

    /// Whether an answer about `subject` is one that is wanted
    /// ([OIDC Core 5.5.1](https://openid.net/specs/openid-connect-core-1_0.html#IndividualClaimsRequests)).
    #[must_use]
    pub fn wants(&self, subject: Option<&str>) -> bool {
        let asked = self.of_id_token("sub").map(|asked| asked.values.as_slice()).unwrap_or_default();
        asked.is_empty() || asked.iter().any(|value| value.as_str() == subject)
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }
}

fn asked(name: &str, wish: &Value) -> Option<Asked> {
    let name = name.to_owned();
    match wish {
        Value::Null => Some(Asked { name, ..Asked::default() }),
        Value::Object(wish) => {
            let essential = match wish.get("essential") {
                None => false,
                Some(Value::Bool(essential)) => *essential,
                Some(_) => return None,
            };
            let mut values: Vec<Value> = wish.get("value").cloned().into_iter().collect();
            match wish.get("values") {
                None => {}
                Some(Value::Array(several)) if several.len() <= MOST => values.extend(several.iter().cloned()),
                Some(_) => return None,
            }
            Some(Asked { name, essential, values })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_read() {
        let text = r#"{"userinfo": {"given_name": {"essential": true}, "nickname": null, "email": {"essential": true},
            "email_verified": {"essential": true}, "picture": null, "http://example.info/claims/groups": null},
            "id_token": {"auth_time": {"essential": true}, "acr": {"values": ["urn:mace:incommon:iap:silver"]}}}"#;
        let request = ClaimsRequest::parse(text).unwrap();
        assert_eq!(request.userinfo.len(), 6);
        assert!(request.userinfo.iter().any(|asked| asked.name == "given_name" && asked.essential));
        assert_eq!(request.of_id_token("acr").unwrap().values, ["urn:mace:incommon:iap:silver"]);
        let granted = Scope::parse("openid email").unwrap();
        assert_eq!(request.scopes_beyond(&granted).to_string(), "profile");
        let narrowed = request.within(&Scope::parse("openid email").unwrap());
        assert!(!narrowed.userinfo.iter().any(|asked| asked.name == "nickname"));
        assert!(narrowed.userinfo.iter().any(|asked| asked.name == "email"));
    }

    #[test]
    fn what_is_malformed_is_refused_and_what_is_unknown_ignored() {
        for bad in [
            "",
            "x",
            "[]",
            "null",
            r#"{"userinfo": []}"#,
            r#"{"id_token": {"acr": 1}}"#,
            r#"{"id_token": {"acr": {"essential": "yes"}}}"#,
            r#"{"id_token": {"acr": {"values": "x"}}}"#,
        ] {
            assert!(ClaimsRequest::parse(bad).is_err(), "{bad}");
        }
        assert!(ClaimsRequest::parse(&format!("{}{}", "[".repeat(5000), "]".repeat(5000))).is_err());
        let odd = ClaimsRequest::parse(r#"{"somewhere": {"x": 1}, "id_token": {"sub": {"value": "a", "other": 1}}}"#)
            .unwrap();
        assert_eq!(odd.of_id_token("sub").unwrap().values, ["a"]);
    }
}
