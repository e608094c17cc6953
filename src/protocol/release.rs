//! What is told about a user: which claims, where, and by which rule. Tokens, userinfo, introspection and `hallpass preview` all
//! ask here.
//!
//! OIDC Core 5.3.2, 5.4, 5.5, 5.6.2.

use crate::protocol::claim_map::{ClaimMap, key_of_claim};
use crate::protocol::claim_names::{CLAIMS_OF_SCOPES, GROUPS, scope_of};
use crate::protocol::claims::User;
use crate::protocol::claims_request::ClaimsRequest;
use crate::protocol::client::Client;
use crate::protocol::facts::Facts;
use crate::protocol::grant::Authorization;
use crate::protocol::response::{ConsentPolicy, Place};
use crate::protocol::scope::Scope;
use crate::protocol::time::NumericDate;
use serde_json::{Map, Value, json};
use std::fmt;

/// Who is told what about whom.
#[derive(Clone, Copy)]
pub struct About<'a> {
    /// Who is told.
    pub client: &'a Client,
    /// About whom.
    pub user: &'a User,
    /// What is known of them beside their row.
    pub facts: &'a Facts,
    /// The clock.
    pub now: NumericDate,
}

/// The rule by which a claim is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because<'a> {
    /// A scope that was granted.
    Scope(&'a str),
    /// A row of `client_claims`, by the kind of its source and the scope that opens it.
    Map(&'static str, Option<&'a str>),
    /// The `claims` parameter.
    Parameter,
}

impl fmt::Display for Because<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(scope) => write!(formatter, "scope {scope}"),
            Self::Map(source, None) => write!(formatter, "client_claims, from {source}"),
            Self::Map(source, Some(scope)) => write!(formatter, "client_claims, from {source}, by scope {scope}"),
            Self::Parameter => formatter.write_str("the claims parameter"),
        }
    }
}

/// One claim.
pub struct Told<'a> {
    /// The name of the member that it is, or is in.
    pub name: &'a str,
    /// Its value.
    pub value: Value,
    /// Why.
    pub because: Because<'a>,
    /// The row it comes of, where it may be a member of a member.
    map: Option<&'a ClaimMap>,
}

impl Told<'_> {
    /// The members that lead to it, with a slash between them.
    #[must_use]
    pub fn path(&self) -> String {
        self.map.map_or_else(|| self.name.to_owned(), |map| map.path.join("/"))
    }
}

/// How much room a token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// For everything.
    Enough,
    /// Not for groups and roles, which are named as being at userinfo.
    NotForGroups,
    /// Not for what else userinfo has as well.
    NotForClaims,
}

impl<'a> About<'a> {
    /// Tells every claim of a place, in the order in which a later one of the same name counts.
    pub fn each(&self, authorization: &'a Authorization, place: Place, mut tell: impl FnMut(Told<'a>)) {
        let Self { client, user, .. } = *self;
        let scope = &authorization.scope;
        let mut plainly = |name, value, because| tell(Told { name, value, because, map: None });
        let by_scope = place == Place::Userinfo || place == Place::IdToken && client.claims_in_id_token;
        if by_scope {
            for (token, names) in CLAIMS_OF_SCOPES.iter().filter(|(token, _)| scope.has(token)) {
                for name in *names {
                    if let Some(value) = user.claims.get(*name) {
                        plainly(name, value.clone(), Because::Scope(token));
                    }
                }
            }
            if place == Place::Userinfo && scope.has(GROUPS) {
                plainly(GROUPS, self.groups(), Because::Scope(GROUPS));
            }
            for own in client.own_scopes.iter().filter(|own| scope.has(&own.scope)) {
                for name in own.claims.iter().filter(|name| self.is_agreed(authorization, || key_of_claim(name))) {
                    if let Some(value) = self.named(name, place) {
                        plainly(name, value, Because::Scope(&own.scope));
                    }
                }
            }
        }
        for map in client.claim_maps.iter().filter(|map| self.is_at(map, place) && is_open(map, scope)) {
            self.by_map(authorization, map, Because::Map(map.source_kind(), map.scope.as_deref()), &mut tell);
        }
        let wishes = match place {
            Place::Userinfo => &authorization.claims.userinfo,
            Place::IdToken => &authorization.claims.id_token,
            Place::AccessToken | Place::Introspection => return,
        };
        for wish in wishes {
            let name = &wish.name;
            let is_own = || client.own_scopes.iter().any(|own| own.claims.iter().any(|claim| claim == name));
            let is_open_to_client = scope_of(name).is_some_and(|opens| client.scope.has(opens))
                || is_own() && self.is_agreed(authorization, || key_of_claim(name));
            // Also groups in an id_token: the request names the place.
            let value = is_open_to_client.then(|| self.value(name)).flatten();
            if let Some(value) = value {
                tell(Told { name, value, because: Because::Parameter, map: None });
            }
            // What grows with the groups is only where the row has it; of the rest of what a client is told itself the request
            // names the place.
            let is_asked = |map: &&ClaimMap| map.name() == name && is_open(map, &client.scope);
            let is_for_the_client = |map: &&ClaimMap| {
                self.is_at(map, place) || !map.grows() && (map.is_at(Place::IdToken) || map.is_at(Place::Userinfo))
            };
            for map in client.claim_maps.iter().filter(is_asked).filter(is_for_the_client) {
                self.by_map(authorization, map, Because::Parameter, &mut tell);
            }
        }
    }

    /// The claims of a place. What there is no room for is named with where it is, `endpoint`, which is userinfo; without the scope
    /// `openid`, which opens that, it is left out.
    #[must_use]
    pub fn claims(
        &self,
        authorization: &Authorization,
        place: Place,
        room: Room,
        endpoint: impl FnOnce() -> String,
    ) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut told: Vec<(&str, Value, Option<&ClaimMap>)> = Vec::new();
        let mut elsewhere = Map::new();
        self.each(authorization, place, |Told { name, value, map, .. }| {
            let has_no_room = match (room, map) {
                (Room::Enough, _) => false,
                (Room::NotForGroups, Some(map)) => map.grows(),
                (Room::NotForGroups, None) => name == GROUPS,
                (Room::NotForClaims, Some(map)) => map.grows() || map.is_at(Place::Userinfo),
                (Room::NotForClaims, None) => name == GROUPS || scope_of(name).is_none(),
            };
            if has_no_room {
                elsewhere.insert(name.to_owned(), json!("userinfo"));
            }
            told.push((name, value, map));
        });
        // A member that is elsewhere is there whole, with all that other rows put into it.
        for (name, value, map) in told.into_iter().filter(|(name, ..)| !elsewhere.contains_key(*name)) {
            match map {
                Some(map) => map.put(value, &mut claims),
                None => {
                    claims.insert(name.to_owned(), value);
                }
            }
        }
        if !elsewhere.is_empty() && authorization.scope.has("openid") {
            // OIDC Core 5.6.2. The access token beside it opens it.
            claims.insert("_claim_names".to_owned(), Value::Object(elsewhere));
            claims.insert("_claim_sources".to_owned(), json!({"userinfo": {"endpoint": endpoint()}}));
        }
        claims
    }

    /// Whether a place has anything that may be more than there is room for.
    #[must_use]
    pub fn may_be_much(&self, place: Place) -> bool {
        self.client.depends_on_facts() && self.client.claim_maps.iter().any(|map| map.is_at(place))
            || place == Place::IdToken
                && (self.client.scope.has(GROUPS) || self.client.own_scopes.iter().any(|own| !own.claims.is_empty()))
    }

    fn by_map(
        &self,
        authorization: &Authorization,
        map: &'a ClaimMap,
        because: Because<'a>,
        tell: &mut impl FnMut(Told<'a>),
    ) {
        if !map.is_constant() && !self.is_agreed(authorization, || map.key()) {
            return;
        }
        if let Some(value) = map.value(&self.user.claims, self.facts, &self.client.roles, self.now) {
            tell(Told { name: map.name(), value, because, map: Some(map) });
        }
    }

    /// A claim of the user's by its name, a standard one or a further one.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Value> {
        self.named(name, Place::Userinfo)
    }

    /// A claim by its name. Groups are in an `id_token` only where a map puts them there.
    fn named(&self, name: &str, place: Place) -> Option<Value> {
        if name == GROUPS {
            return (place != Place::IdToken).then(|| self.groups());
        }
        self.user.claims.get(name).cloned().or_else(|| self.facts.claim(name, self.now))
    }

    /// The groups of the user.
    #[must_use]
    pub fn groups(&self) -> Value {
        self.facts.groups(self.now).map(Value::from).collect()
    }

    /// Whether a map is told at a place. What a token has no room for is at userinfo, and so is what shares a member with that.
    fn is_at(&self, map: &ClaimMap, place: Place) -> bool {
        let may_move = |other: &ClaimMap| other.grows() && other.is_in_a_token() && other.name() == map.name();
        map.is_at(place)
            || place == Place::Userinfo && map.is_in_a_token() && self.client.claim_maps.iter().any(may_move)
    }

    /// Whether the person was shown that this is told, or the client's row spares them the question.
    fn is_agreed(&self, authorization: &Authorization, key: impl FnOnce() -> String) -> bool {
        if self.client.spares_the_question() {
            return true;
        }
        let key = key();
        authorization.shown.contains(&key)
    }
}

fn is_open(map: &ClaimMap, scope: &Scope) -> bool {
    map.scope.as_ref().is_none_or(|opens| scope.has(opens))
}

/// What a client would be told beyond the standard claims of a scope, in the words a consent remembers: each once.
#[must_use]
pub fn opened_beyond_scopes(client: &Client, scope: &Scope, asked: &ClaimsRequest) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for own in &client.own_scopes {
        let is_granted = scope.has(&own.scope);
        keys.extend(own.claims.iter().filter(|name| is_granted || asked.names(name)).map(|name| key_of_claim(name)));
    }
    let is_told = |map: &&ClaimMap| {
        !map.is_constant() && (is_open(map, scope) || asked.names(map.name()) && is_open(map, &client.scope))
    };
    keys.extend(client.claim_maps.iter().filter(is_told).map(ClaimMap::key));
    keys.sort();
    keys.dedup();
    keys
}

impl Client {
    /// Whether users are not asked what this client may know: the organization's own service, by its row.
    #[must_use]
    pub fn spares_the_question(&self) -> bool {
        self.consent == ConsentPolicy::Skip && !self.always_asks()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::claim_map::tests::map;
    use crate::protocol::claim_map::{OwnScope, Source};
    use crate::protocol::facts::Fact;
    use crate::protocol::facts::tests::member_of;

    fn authorization(scope: &str, claims: &str, shown: &[&str]) -> Authorization {
        Authorization {
            client_id: "reports".to_owned(),
            scope: Scope::parse(scope).unwrap(),
            resources: Vec::new(),
            claims: if claims.is_empty() { ClaimsRequest::default() } else { ClaimsRequest::parse(claims).unwrap() },
            shown: shown.iter().map(|&key| key.to_owned()).collect(),
            sign_in: None,
            authorized_at: NumericDate(1),
            confirmation: None,
        }
    }

    fn told(client: &Client, authorization: &Authorization, place: Place) -> Value {
        let user = User {
            sub: "u".to_owned(),
            claims: json!({"name": "Alice", "email": "a@example.com"}).as_object().unwrap().clone(),
            ..User::default()
        };
        let mut facts = member_of(&["admins", "staff"]);
        facts.claims = vec![Fact { claim: "department".to_owned(), value: json!("Sales"), of: None }];
        let about = About { client, user: &user, facts: &facts, now: NumericDate(5) };
        Value::Object(about.claims(authorization, place, Room::Enough, || "https://id.example.com/userinfo".to_owned()))
    }

    fn client() -> Client {
        let scope = Scope::parse("openid email groups hr").unwrap();
        let own = OwnScope { scope: "hr".into(), description: "x".into(), claims: vec!["department".into()] };
        Client { scope, own_scopes: vec![own], consent: ConsentPolicy::Skip, ..Client::new("reports") }
    }

    #[test]
    fn groups_are_at_userinfo_by_their_scope_and_in_an_id_token_by_a_map_alone() {
        let mut client = client();
        let asked = authorization("openid groups", "", &[]);
        assert_eq!(told(&client, &asked, Place::Userinfo), json!({"groups": ["admins", "staff"]}));
        assert_eq!(told(&client, &asked, Place::IdToken), json!({}));
        let named = authorization("openid", r#"{"id_token": {"groups": null}}"#, &[]);
        assert_eq!(told(&client, &named, Place::IdToken), json!({"groups": ["admins", "staff"]}), "or by its name");
        client.claim_maps.push(map("groups", Source::Groups));
        assert_eq!(told(&client, &asked, Place::IdToken), json!({"groups": ["admins", "staff"]}));
        assert_eq!(told(&client, &asked, Place::AccessToken), json!({}));
    }

    #[test]
    fn a_scope_of_the_organizations_own_opens_its_claims() {
        let mut client = client();
        let asked = authorization("openid hr", "", &[]);
        assert_eq!(told(&client, &asked, Place::Userinfo), json!({"department": "Sales"}));
        assert_eq!(told(&client, &asked, Place::IdToken), json!({"department": "Sales"}));
        client.claims_in_id_token = false;
        assert_eq!(told(&client, &asked, Place::IdToken), json!({}));
        assert_eq!(told(&client, &authorization("openid", "", &[]), Place::Userinfo), json!({}));
    }

    #[test]
    fn what_was_not_shown_is_not_told_where_the_person_is_asked() {
        let mut client = client();
        client.consent = ConsentPolicy::Ask;
        client.claim_maps.push(map("team", Source::Claim("department".to_owned())));
        client.claim_maps.push(map("tenant", Source::Constant(json!("acme"))));
        let none = authorization("openid hr", "", &[]);
        assert_eq!(told(&client, &none, Place::Userinfo), json!({"tenant": "acme"}));
        let keys = opened_beyond_scopes(&client, &none.scope, &none.claims);
        assert_eq!(keys, ["department", "team=claim:department"]);
        let shown = authorization("openid hr", "", &["department", "team=claim:department"]);
        let all = json!({"department": "Sales", "team": ["Sales"], "tenant": "acme"});
        assert_eq!(told(&client, &shown, Place::Userinfo), all);
        // Another source under the name that was shown is something else.
        client.claim_maps[0].source = Source::Groups;
        assert_eq!(told(&client, &shown, Place::Userinfo), json!({"department": "Sales", "tenant": "acme"}));
    }

    #[test]
    fn the_claims_parameter_opens_what_the_row_opens_and_nothing_else() {
        let mut client = client();
        client
            .claim_maps
            .push(ClaimMap { scope: Some("hr".to_owned()), ..map("team", Source::Claim("department".to_owned())) });
        client.claim_maps.push(ClaimMap {
            scope: Some("other".to_owned()),
            ..map("secret", Source::Claim("department".to_owned()))
        });
        let text = r#"{"userinfo": {"department": null, "team": null, "secret": null, "email": null, "name": null, "groups": null}}"#;
        let asked = authorization("openid", text, &[]);
        assert_eq!(
            told(&client, &asked, Place::Userinfo),
            json!({"department": "Sales", "team": ["Sales"], "email": "a@example.com", "groups": ["admins", "staff"]})
        );
        assert_eq!(told(&client, &asked, Place::IdToken), json!({}));
    }

    #[test]
    fn what_would_be_too_much_is_named_and_not_told_in_part() {
        let mut client = client();
        client.claim_maps.push(map("groups", Source::Groups));
        client.claim_maps.push(map("tenant", Source::Constant(json!("acme"))));
        let (user, facts) = (User::default(), member_of(&["a", "b"]));
        let about = About { client: &client, user: &user, facts: &facts, now: NumericDate(5) };
        let asked = authorization("openid", "", &[]);
        let claims =
            about.claims(&asked, Place::IdToken, Room::NotForGroups, || "https://id.example.com/userinfo".to_owned());
        assert_eq!(
            Value::Object(claims),
            json!({
                "tenant": "acme",
                "_claim_names": {"groups": "userinfo"},
                "_claim_sources": {"userinfo": {"endpoint": "https://id.example.com/userinfo"}},
            })
        );
    }
}
