//! What a client is told beyond its scopes: a row of `client_claims`, as a rule that makes one member of a token.

use crate::protocol::claim_names::{form_fault, output_fault};
use crate::protocol::columns::RowFault;
use crate::protocol::facts::Facts;
use crate::protocol::response::{ClaimShape, ClaimSource, Place};
use crate::protocol::scope::SCOPES_SUPPORTED;
use crate::protocol::time::NumericDate;
use serde_json::{Map, Value};

/// The most members that a path leads through.
const DEEPEST: usize = 8;

/// What a claim is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The names of the user's groups.
    Groups,
    /// The user's roles at the client.
    Roles,
    /// A claim of the user's, a standard one or a further one.
    Claim(String),
    /// Always the same.
    Constant(Value),
}

/// A role that the members of a group have at a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `client_roles.role`.
    pub role: String,
    /// `client_roles.group_name`.
    pub group: String,
    /// `client_roles.rank`: the least counts where there is room for one.
    pub rank: i64,
}

/// A scope of the organization's own, as a client that may have it is given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnScope {
    /// `scopes.scope`.
    pub scope: String,
    /// `scopes.description`, for the consent page.
    pub description: String,
    /// `scopes.claims`: the claims that it opens; none: it is about an API.
    pub claims: Vec<String>,
}

impl OwnScope {
    /// Whether it can be one: standard scopes have their own words and claims.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !SCOPES_SUPPORTED.contains(&self.scope.as_str())
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimMap {
    /// The members that lead to the value, one as a rule.
    pub path: Vec<String>,
    /// What it is made of.
    pub source: Source,
    /// Its shape.
    pub shape: ClaimShape,
    /// The scope that opens it; `None`: every sign-in.
    pub scope: Option<String>,
    /// Where it is told.
    pub places: Vec<Place>,
    /// Only texts that start so.
    pub starts_with: String,
    /// What is put before each text.
    pub prefix: String,
}

/// Reads `client_claims.claim`: a name, or a path of members as [RFC 6901](https://www.rfc-editor.org/rfc/rfc6901) writes it.
///
/// # Errors
/// Why it can be no output: see `claim_names`; a member is empty, or there are more than eight.
pub fn path_of(claim: &str, is_groups: bool) -> Result<Vec<String>, RowFault> {
    let path: Vec<String> = match claim.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|member| member.replace("~1", "/").replace("~0", "~")).collect(),
        None => vec![claim.to_owned()],
    };
    let is_one = path.len() == 1;
    let why = if path.len() > DEEPEST {
        Some(format!("it leads through {} members, and {DEEPEST} are the most", path.len()))
    } else {
        let form = || path.iter().find_map(|member| form_fault(member));
        path.first().and_then(|name| output_fault(name, is_groups && is_one)).or_else(form)
    };
    match why {
        None => Ok(path),
        Some(why) => Err(RowFault {
            why: format!("client_claims has the claim {claim:?}: {why}"),
            fix: "give the claim another name".to_owned(),
        }),
    }
}

impl ClaimMap {
    /// The name of the member of the token that it is, or is in.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// Output, source and filter, as a consent remembers what was shown: another source under the same name is something else,
    /// and so is more of the same. It has no space in it.
    #[must_use]
    pub fn key(&self) -> String {
        let mut key = format!("{}={}", encoded(&self.path.join("/")), self.source_kind());
        if let Source::Claim(name) = &self.source {
            key = format!("{key}:{}", encoded(name));
        }
        if !self.starts_with.is_empty() {
            key = format!("{key}:{}*", encoded(&self.starts_with));
        }
        key
    }

    /// The word of its source, as the row has it.
    #[must_use]
    pub const fn source_kind(&self) -> &'static str {
        match self.source {
            Source::Groups => ClaimSource::Groups.as_str(),
            Source::Roles => ClaimSource::Roles.as_str(),
            Source::Claim(_) => ClaimSource::Claim.as_str(),
            Source::Constant(_) => ClaimSource::Constant.as_str(),
        }
    }

    /// Whether it tells nothing about the user.
    #[must_use]
    pub const fn is_constant(&self) -> bool {
        matches!(self.source, Source::Constant(_))
    }

    /// Whether it grows with the groups of a user.
    #[must_use]
    pub const fn grows(&self) -> bool {
        matches!(self.source, Source::Groups | Source::Roles)
    }

    /// Whether the row has it at a place.
    #[must_use]
    pub fn is_at(&self, place: Place) -> bool {
        self.places.contains(&place)
    }

    /// Whether it is in a token that may have no room for it.
    #[must_use]
    pub fn is_in_a_token(&self) -> bool {
        self.is_at(Place::IdToken) || self.is_at(Place::AccessToken)
    }

    /// Its value for a user; `None`: there is none to tell.
    #[must_use]
    pub fn value(
        &self,
        standard: &Map<String, Value>,
        facts: &Facts,
        roles: &[Role],
        now: NumericDate,
    ) -> Option<Value> {
        let found = match &self.source {
            Source::Groups => texts(facts.groups(now)),
            Source::Roles => {
                let mut held: Vec<&Role> = roles.iter().filter(|role| facts.is_in(&role.group, now)).collect();
                held.sort_by(|one, other| (one.rank, &one.role).cmp(&(other.rank, &other.role)));
                held.dedup_by(|one, other| one.role == other.role);
                let mut names: Vec<&str> = Vec::new();
                for role in held {
                    if !names.contains(&role.role.as_str()) {
                        names.push(&role.role);
                    }
                }
                texts(names.into_iter())
            }
            Source::Claim(name) => standard.get(name).cloned().or_else(|| facts.claim(name, now))?,
            Source::Constant(value) => return Some(value.clone()),
        };
        self.shaped(found)
    }

    fn shaped(&self, found: Value) -> Option<Value> {
        let is_list = found.is_array();
        let items = match found {
            Value::Array(items) => items,
            one => vec![one],
        };
        let starts = |item: &Value| {
            self.starts_with.is_empty() || item.as_str().is_some_and(|it| it.starts_with(&self.starts_with))
        };
        let prefixed = |item: Value| match item {
            Value::String(text) if !self.prefix.is_empty() => Value::String(format!("{}{text}", self.prefix)),
            other => other,
        };
        let mut items = items.into_iter().filter(starts).map(prefixed);
        match self.shape {
            ClaimShape::List => Some(Value::Array(items.collect())),
            ClaimShape::Text => items.next().map(|item| match item {
                Value::String(text) => Value::String(text),
                other => Value::String(other.to_string()),
            }),
            ClaimShape::AsIs if is_list => Some(Value::Array(items.collect())),
            ClaimShape::AsIs => items.next(),
        }
    }

    /// Puts a value where the path leads. What is already there and is no object stays.
    pub fn put(&self, value: Value, into: &mut Map<String, Value>) {
        let Some((last, way)) = self.path.split_last() else { return };
        let mut members = into;
        for member in way {
            let below = members.entry(member.as_str()).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(below) = below else { return };
            members = below;
        }
        members.insert(last.clone(), value);
    }
}

/// A text without spaces and without signs that mean something in a key.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace("%2F", "/")
}

/// How a consent remembers a claim that a scope of the organization's own opens.
#[must_use]
pub fn key_of_claim(name: &str) -> String {
    encoded(name)
}

fn texts<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    names.map(Value::from).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::protocol::facts::Fact;
    use crate::protocol::facts::tests::member_of;
    use serde_json::json;

    const NOW: NumericDate = NumericDate(1000);

    /// A map as the defaults of its row make it.
    pub(crate) fn map(claim: &str, source: Source) -> ClaimMap {
        ClaimMap {
            path: path_of(claim, source == Source::Groups).unwrap(),
            source,
            shape: ClaimShape::List,
            scope: None,
            places: vec![Place::IdToken, Place::Userinfo],
            starts_with: String::new(),
            prefix: String::new(),
        }
    }

    fn value(map: &ClaimMap, facts: &Facts, roles: &[Role]) -> Option<Value> {
        let standard = json!({"email": "a@example.com", "updated_at": 5}).as_object().unwrap().clone();
        map.value(&standard, facts, roles, NOW)
    }

    #[test]
    fn a_path_is_one_name_or_a_pointer_and_never_a_name_of_the_protocol() {
        let path = |claim: &str| path_of(claim, false).ok();
        assert_eq!(path("role"), Some(vec!["role".to_owned()]));
        assert_eq!(path("https://a.example/role"), Some(vec!["https://a.example/role".to_owned()]));
        assert_eq!(path("/realm_access/roles"), Some(vec!["realm_access".to_owned(), "roles".to_owned()]));
        assert_eq!(path("/a~1b/c~0d"), Some(vec!["a/b".to_owned(), "c~d".to_owned()]));
        for bad in
            ["", "/", "/a/", "//a", "sub", "/sub/x", "/email/x", "email", "groups", "/groups/x", "/a/b/c/d/e/f/g/h/i"]
        {
            assert_eq!(path(bad), None, "{bad}");
        }
        assert!(path_of("groups", true).is_ok() && path_of("/groups", true).is_ok());
        assert!(path_of("/groups/x", true).is_err() && path_of("sub", true).is_err());
    }

    #[test]
    fn groups_have_the_shape_prefix_and_filter_of_the_row() {
        let facts = member_of(&["app-admins", "app-staff", "other"]);
        let mut groups = map("groups", Source::Groups);
        assert_eq!(value(&groups, &facts, &[]), Some(json!(["app-admins", "app-staff", "other"])));
        groups.starts_with = "app-".to_owned();
        groups.prefix = "oidc:".to_owned();
        assert_eq!(value(&groups, &facts, &[]), Some(json!(["oidc:app-admins", "oidc:app-staff"])));
        groups.shape = ClaimShape::Text;
        assert_eq!(value(&groups, &facts, &[]), Some(json!("oidc:app-admins")));
        assert_eq!(value(&groups, &member_of(&[]), &[]), None);
        groups.shape = ClaimShape::List;
        assert_eq!(value(&groups, &member_of(&[]), &[]), Some(json!([])));
    }

    #[test]
    fn of_roles_the_least_rank_is_first_and_none_is_twice() {
        let role = |role: &str, group: &str, rank| Role { role: role.to_owned(), group: group.to_owned(), rank };
        let roles = [
            role("Viewer", "staff", 20),
            role("Admin", "admins", 1),
            role("Editor", "staff", 10),
            role("Viewer", "admins", 30),
        ];
        let mut map = map("role", Source::Roles);
        assert_eq!(value(&map, &member_of(&["admins", "staff"]), &roles), Some(json!(["Admin", "Editor", "Viewer"])));
        map.shape = ClaimShape::Text;
        assert_eq!(value(&map, &member_of(&["staff"]), &roles), Some(json!("Editor")));
        assert_eq!(value(&map, &member_of(&["strangers"]), &roles), None);
    }

    #[test]
    fn a_claim_is_a_standard_one_or_a_further_one() {
        let fact = |claim: &str, value| Fact { claim: claim.to_owned(), value, of: None };
        let facts =
            Facts { claims: vec![fact("level", json!(3)), fact("tags", json!(["a", "b"]))], ..Facts::default() };
        let of = |source: &str, shape| {
            let map = ClaimMap { shape, ..map("x", Source::Claim(source.to_owned())) };
            value(&map, &facts, &[])
        };
        assert_eq!(of("email", ClaimShape::Text), Some(json!("a@example.com")));
        assert_eq!(of("level", ClaimShape::AsIs), Some(json!(3)));
        assert_eq!(of("level", ClaimShape::Text), Some(json!("3")));
        assert_eq!(of("level", ClaimShape::List), Some(json!([3])));
        assert_eq!(of("tags", ClaimShape::AsIs), Some(json!(["a", "b"])));
        assert_eq!(of("tags", ClaimShape::Text), Some(json!("a")));
        assert_eq!(of("missing", ClaimShape::List), None);
    }

    #[test]
    fn a_path_makes_objects_and_overwrites_nothing_that_is_none() {
        let mut into = json!({"plain": 1}).as_object().unwrap().clone();
        map("/realm_access/roles", Source::Roles).put(json!(["a"]), &mut into);
        map("/realm_access/other", Source::Roles).put(json!("b"), &mut into);
        map("/plain/below", Source::Roles).put(json!("c"), &mut into);
        assert_eq!(Value::Object(into), json!({"plain": 1, "realm_access": {"roles": ["a"], "other": "b"}}));
    }
}
