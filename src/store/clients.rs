//! Clients by their id, with their secrets and addresses.

pub mod changes;
mod claim_rows;

pub use claim_rows::ClaimRow;

use crate::protocol::claim_map::{OwnScope, Role, path_of};
use crate::protocol::claim_names::GROUPS;
use crate::protocol::client::{Client, HashedSecret, Lifetimes, STALE_AFTER};
use crate::protocol::columns::{self, Column, Form, RowFault, WordColumn};
use crate::protocol::response::{
    AccessPolicy, AccessTokenFormat, ApplicationType, ClientAuthMethod, ConsentPolicy, GrantType, Origin, PkcePolicy,
    RequiredAcr, ResponseType, RotationPolicy, SigningAlgorithm, SubjectType, YesNo,
};
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::row::row;
use serde_json::{Value, json};
use sqlx::{Column as _, Row as _};
use std::collections::BTreeMap;

const FIND: &str = "SELECT client_id, client_name, application_type, token_endpoint_auth_method, grant_types, response_types, scope, \
     id_token_signed_response_alg, pkce, consent, access_token_format, claims_in_id_token, subject_type, sector_identifier, \
     default_max_age, require_acr, code_lifetime, access_token_lifetime, id_token_lifetime, client_uri, policy_uri, tos_uri, initiate_login_uri, stale_after, \
     tokens_valid_after, disabled_at, \
     refresh_token_idle_lifetime, refresh_token_lifetime, refresh_token_rotation, resource, \
     backchannel_logout_uri, frontchannel_logout_uri, origin, access \
     FROM clients WHERE client_id = $1";
const OWN_SCOPES: &str = "SELECT scope, description, claims FROM scopes ORDER BY scope LIMIT 1000";
const CLAIMS: &str = "SELECT DISTINCT claim FROM client_claims LIMIT 1000";
const IDS: &str = "SELECT client_id FROM clients ORDER BY client_id LIMIT 1000";
const ALL_IDS: &str = "SELECT client_id FROM clients ORDER BY client_id";
const NAME_AND_END: &str = "SELECT client_name, disabled_at FROM clients WHERE client_id = $1";
// What other tables have of a client, all in one statement: a client that is not cached yet costs two.
macro_rules! others {
    ($kind:literal, $value:literal, $number:literal, $texts:literal, $from:literal) => {
        concat!(
            "SELECT '",
            $kind,
            "' AS kind, ",
            $value,
            " AS value, ",
            $number,
            " AS number, ",
            $texts,
            " FROM ",
            $from
        )
    };
    ($kind:literal, $value:literal, $number:literal, $from:literal) => {
        others!(
            $kind,
            $value,
            $number,
            "'' AS one, '' AS two, '' AS three, '' AS four, '' AS five, '' AS six, '' AS seven",
            $from
        )
    };
}
const OTHERS: &str = concat!(
    others!("secret", "secret_hash", "client_secret_expires_at", "client_secrets WHERE client_id = $1"),
    " UNION ALL ",
    others!("redirect_uri", "redirect_uri", "0", "client_redirect_uris WHERE client_id = $1"),
    " UNION ALL ",
    others!(
        "post_logout_redirect_uri",
        "post_logout_redirect_uri",
        "0",
        "client_post_logout_redirect_uris WHERE client_id = $1"
    ),
    " UNION ALL ",
    others!("audience", "audience", "0", "client_audiences WHERE client_id = $1"),
    " UNION ALL ",
    others!("group", "group_name", "0", "client_groups WHERE client_id = $1"),
    " UNION ALL ",
    others!("role", "role", "rank", "group_name, '', '', '', '', '', ''", "client_roles WHERE client_id = $1"),
    " UNION ALL ",
    others!(
        "claim",
        "claim",
        "0",
        "source, value, shape, scope, places, starts_with, prefix",
        "client_claims WHERE client_id = $1"
    ),
    " UNION ALL ",
    // An organization has a handful of them.
    others!("scope", "scope", "0", "description, claims, '', '', '', '', ''", "scopes"),
    " ORDER BY kind, value"
);
// The one place that takes every column there is: an operator who looks at a row wants to see what a newer version put there.
const COLUMNS: &str = "SELECT * FROM clients WHERE client_id = $1";
const LIST: &str = "SELECT client_id, client_name, application_type, token_endpoint_auth_method, grant_types, consent, origin, disabled_at, \
     access, (SELECT COUNT(*) FROM client_groups WHERE client_groups.client_id = clients.client_id) AS groups, \
     (SELECT COUNT(*) FROM client_secrets WHERE client_secrets.client_id = clients.client_id \
     AND (client_secret_expires_at = 0 OR client_secret_expires_at > $1)) AS secrets FROM clients ORDER BY client_id";
const OPENED: &str = "SELECT client_id, client_name, client_uri FROM clients \
     WHERE client_uri <> '' AND (disabled_at IS NULL OR disabled_at > $1) AND grant_types LIKE '%authorization_code%' \
     AND (access = 'everybody' OR access = 'groups' AND EXISTS (SELECT 1 FROM client_groups \
     JOIN group_members ON group_members.group_name = client_groups.group_name \
     WHERE client_groups.client_id = clients.client_id AND group_members.sub = $2 \
     AND (group_members.until IS NULL OR group_members.until > $1))) \
     ORDER BY client_name, client_id LIMIT 200";
const SECRET_DATES: &str = "SELECT label, created_at, client_secret_expires_at FROM client_secrets WHERE client_id = $1 \
     ORDER BY COALESCE(created_at, 0), CASE WHEN client_secret_expires_at = 0 THEN 1 ELSE 0 END, secret_hash";

macro_rules! words {
    ($($constant:ident = $name:literal, $form:ident of $words:ident;)+) => {
        $(
            const $constant: WordColumn<$words> = WordColumn::new($name, Form::$form);
        )+

        /// Every column of `clients` that holds words.
        pub const WORDS: &[&dyn Column] = &[$(&$constant),+];
    };
}

words! {
    APPLICATION_TYPE = "application_type", One of ApplicationType;
    TOKEN_ENDPOINT_AUTH_METHOD = "token_endpoint_auth_method", One of ClientAuthMethod;
    GRANT_TYPES = "grant_types", Spaces of GrantType;
    RESPONSE_TYPES = "response_types", Commas of ResponseType;
    ID_TOKEN_SIGNED_RESPONSE_ALG = "id_token_signed_response_alg", One of SigningAlgorithm;
    PKCE = "pkce", One of PkcePolicy;
    CONSENT = "consent", One of ConsentPolicy;
    ACCESS_TOKEN_FORMAT = "access_token_format", One of AccessTokenFormat;
    CLAIMS_IN_ID_TOKEN = "claims_in_id_token", One of YesNo;
    SUBJECT_TYPE = "subject_type", One of SubjectType;
    REFRESH_TOKEN_ROTATION = "refresh_token_rotation", One of RotationPolicy;
    ORIGIN = "origin", One of Origin;
    ACCESS = "access", One of AccessPolicy;
    REQUIRE_ACR = "require_acr", One of RequiredAcr;
}

row! {
    struct Row {
        client_id: String,
        client_name: String,
        application_type: String,
        token_endpoint_auth_method: String,
        grant_types: String,
        response_types: String,
        scope: String,
        id_token_signed_response_alg: String,
        pkce: String,
        consent: String,
        access_token_format: String,
        claims_in_id_token: String,
        subject_type: String,
        sector_identifier: Option<String>,
        default_max_age: Option<i64>,
        require_acr: Option<String>,
        code_lifetime: Option<i64>,
        access_token_lifetime: Option<i64>,
        id_token_lifetime: Option<i64>,
        client_uri: Option<String>,
        policy_uri: Option<String>,
        tos_uri: Option<String>,
        initiate_login_uri: Option<String>,
        stale_after: i64,
        tokens_valid_after: Option<i64>,
        disabled_at: Option<i64>,
        refresh_token_idle_lifetime: Option<i64>,
        refresh_token_lifetime: Option<i64>,
        refresh_token_rotation: String,
        resource: Option<String>,
        backchannel_logout_uri: Option<String>,
        frontchannel_logout_uri: Option<String>,
        origin: String,
        access: String,
    }
}

/// What other tables have of a client.
#[derive(Clone, Default)]
pub struct Lists {
    /// `client_redirect_uris`.
    pub redirect_uris: Vec<String>,
    /// `client_post_logout_redirect_uris`.
    pub post_logout_redirect_uris: Vec<String>,
    /// `client_audiences`.
    pub audiences: Vec<String>,
    /// `client_groups`.
    pub groups: Vec<String>,
    /// `client_roles`.
    pub roles: Vec<Role>,
    /// `client_claims`.
    pub claims: Vec<ClaimRow>,
    /// Every row of `scopes`.
    pub scopes: Vec<OwnScope>,
    /// `client_secrets`.
    pub secrets: Vec<HashedSecret>,
}

/// The addresses, APIs and secrets of a client, whatever words its row has.
///
/// # Errors
/// The database failed.
pub async fn lists(db: &Db, client_id: &str) -> Result<Lists, StoreError> {
    Ok(lists_of(sqlx::query_as(OTHERS).bind(client_id).fetch_all(db.statement()).await?))
}

row! {
    struct Other {
        kind: String,
        value: String,
        number: i64,
        one: String,
        two: Option<String>,
        three: String,
        four: Option<String>,
        five: String,
        six: String,
        seven: String,
    }
}

fn lists_of(rows: Vec<Other>) -> Lists {
    let mut lists = Lists::default();
    for Other { kind, value, number, one, two, three, four, five, six, seven } in rows {
        match kind.as_str() {
            "redirect_uri" => lists.redirect_uris.push(value),
            "post_logout_redirect_uri" => lists.post_logout_redirect_uris.push(value),
            "audience" => lists.audiences.push(value),
            "group" => lists.groups.push(value),
            "role" => lists.roles.push(Role { role: value, group: one, rank: number }),
            "claim" => lists.claims.push(ClaimRow {
                claim: value,
                source: one,
                value: two,
                shape: three,
                scope: four,
                places: five,
                starts_with: six,
                prefix: seven,
            }),
            "scope" => lists.scopes.push(OwnScope {
                scope: value,
                description: one,
                claims: two.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            }),
            _ => lists
                .secrets
                .push(HashedSecret { secret_hash: value, expires_at: (number != 0).then_some(NumericDate(number)) }),
        }
    }
    lists
}

/// The ids of all clients, a thousand at most.
///
/// # Errors
/// The database failed.
pub async fn ids(db: &Db) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(IDS).fetch_all(db.statement()).await?)
}

/// The scopes of the organization's own, in the order of their names.
///
/// # Errors
/// The database failed.
pub async fn own_scopes(db: &Db) -> Result<Vec<OwnScope>, StoreError> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(OWN_SCOPES).fetch_all(db.statement()).await?;
    let own = |(scope, description, claims): (String, String, String)| OwnScope {
        scope,
        description,
        claims: claims.split_whitespace().map(str::to_owned).collect(),
    };
    Ok(rows.into_iter().map(own).filter(OwnScope::is_sound).collect())
}

/// What discovery offers beside what every provider does.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    /// The scopes of the organization's own.
    pub scopes: Vec<OwnScope>,
    /// The members that some client's row puts into tokens.
    pub claims: Vec<String>,
}

/// Scopes and claims beside the standard ones: a thousand of each at most.
///
/// # Errors
/// The database failed.
pub async fn offered(db: &Db) -> Result<Offered, StoreError> {
    let scopes = own_scopes(db).await?;
    let rows: Vec<String> = sqlx::query_scalar(CLAIMS).fetch_all(db.statement()).await?;
    let name = |claim: String| path_of(&claim, claim == GROUPS).ok().and_then(|path| path.into_iter().next());
    let mut claims: Vec<String> = rows.into_iter().filter_map(name).collect();
    claims.sort();
    claims.dedup();
    Ok(Offered { scopes, claims })
}

/// Finds a client, disabled or not: two statements, or one where there is none.
///
/// # Errors
/// The database failed; `Inconsistent`: a column holds a word that this version does not know, or the sector of a pairwise
/// client cannot be told.
pub async fn find(db: &Db, client_id: &str) -> Result<Option<Client>, StoreError> {
    let Some(row) = sqlx::query_as::<_, Row>(FIND).bind(client_id).fetch_optional(db.statement()).await? else {
        return Ok(None);
    };
    let lists = lists(db, client_id).await?;
    let client = client_of(row, lists).map_err(|fault| StoreError::Inconsistent {
        table: "clients",
        key: client_id.to_owned(),
        why: fault.why,
        fix: fault.fix,
    });
    client.map(Some)
}

fn client_of(row: Row, lists: Lists) -> Result<Client, RowFault> {
    // Rows of another origin may be under rules that this version does not have.
    ORIGIN.read(&row.origin)?;
    let scope = columns::scope(&row.scope)?;
    let client = Client {
        access: ACCESS.read(&row.access)?,
        groups: lists.groups,
        roles: lists.roles,
        claim_maps: claim_rows::read_all(&lists.claims)?,
        // A row under the name of a standard scope would put other words on the consent page than what is told.
        own_scopes: lists.scopes.into_iter().filter(|own| own.is_sound() && scope.has(&own.scope)).collect(),
        application_type: APPLICATION_TYPE.read(&row.application_type)?,
        token_endpoint_auth_method: TOKEN_ENDPOINT_AUTH_METHOD.read(&row.token_endpoint_auth_method)?,
        grant_types: GRANT_TYPES.read_list(&row.grant_types)?,
        response_types: RESPONSE_TYPES.read_list(&row.response_types)?,
        scope,
        id_token_signed_response_alg: ID_TOKEN_SIGNED_RESPONSE_ALG.read(&row.id_token_signed_response_alg)?,
        pkce: PKCE.read(&row.pkce)?,
        consent: CONSENT.read(&row.consent)?,
        access_token_format: ACCESS_TOKEN_FORMAT.read(&row.access_token_format)?,
        claims_in_id_token: CLAIMS_IN_ID_TOKEN.read(&row.claims_in_id_token)? == YesNo::Yes,
        subject_type: SUBJECT_TYPE.read(&row.subject_type)?,
        sector_identifier: row.sector_identifier,
        default_max_age: row.default_max_age,
        require_acr: row.require_acr.map(|acr| REQUIRE_ACR.read(&acr)).transpose()?,
        lifetimes: Lifetimes {
            code: row.code_lifetime,
            access_token: row.access_token_lifetime,
            id_token: row.id_token_lifetime,
            refresh_token_idle: row.refresh_token_idle_lifetime,
            refresh_token: row.refresh_token_lifetime,
        },
        client_uri: row.client_uri,
        policy_uri: row.policy_uri,
        tos_uri: row.tos_uri,
        backchannel_logout_uri: row.backchannel_logout_uri,
        frontchannel_logout_uri: row.frontchannel_logout_uri,
        initiate_login_uri: row.initiate_login_uri,
        stale_after: row.stale_after.clamp(*STALE_AFTER.start(), *STALE_AFTER.end()),
        refresh_token_rotation: REFRESH_TOKEN_ROTATION.read(&row.refresh_token_rotation)?,
        audiences: lists.audiences,
        resource: row.resource,
        redirect_uris: lists.redirect_uris,
        post_logout_redirect_uris: lists.post_logout_redirect_uris,
        secrets: lists.secrets,
        tokens_valid_after: row.tokens_valid_after.map(NumericDate),
        disabled_at: row.disabled_at.map(NumericDate),
        client_id: row.client_id,
        client_name: row.client_name,
    };
    client.sector_fault().map_or(Ok(client), Err)
}

row! {
    /// A client as a list has it.
    pub struct Listed {
        /// `client_id`.
        pub client_id: String,
        /// `client_name`.
        pub client_name: String,
        /// `application_type`, whatever word is there.
        pub application_type: String,
        /// `token_endpoint_auth_method`, whatever word is there.
        pub token_endpoint_auth_method: String,
        /// `grant_types`.
        pub grant_types: String,
        /// `consent`.
        pub consent: String,
        /// `origin`, whatever word is there.
        pub origin: String,
        /// `disabled_at`.
        pub disabled_at: Option<i64>,
        /// `access`, whatever word is there.
        pub access: String,
        /// How many groups it lets in, where `access` is `groups`.
        pub groups: i64,
        /// How many of its secrets are good.
        pub secrets: i64,
    }
}

impl Listed {
    /// Whether `consent = skip` is without effect: `Client::always_asks`, for a row that may not be readable as one.
    #[must_use]
    pub fn is_skip_ignored(&self) -> bool {
        self.consent == "skip" && self.application_type == "native" && self.token_endpoint_auth_method == "none"
    }
}

/// Every client, disabled or not.
///
/// # Errors
/// The database failed.
pub async fn list(db: &Db, now: NumericDate) -> Result<Vec<Listed>, StoreError> {
    Ok(sqlx::query_as(LIST).bind(now.0).fetch_all(db.statement()).await?)
}

row! {
    /// A service that users can open, as its row has it.
    pub struct Opened {
        /// `client_id`.
        pub client_id: String,
        /// `client_name`.
        pub client_name: String,
        /// `client_uri`.
        pub client_uri: String,
    }
}

/// The clients that a user may enter and that have a `client_uri`, by their names; those that are disabled are left out, and
/// two hundred are the most.
///
/// # Errors
/// The database failed.
pub async fn opened(db: &Db, sub: &str, now: NumericDate) -> Result<Vec<Opened>, StoreError> {
    Ok(sqlx::query_as(OPENED).bind(now.0).bind(sub).fetch_all(db.statement()).await?)
}

row! {
    /// When a secret was made and when it ends; never its hash.
    pub struct SecretDates {
        /// `label`.
        pub label: Option<String>,
        /// `created_at`.
        pub created_at: Option<i64>,
        /// `client_secret_expires_at`; 0: never.
        pub client_secret_expires_at: i64,
    }
}

/// The secrets of a client, the oldest first.
///
/// # Errors
/// The database failed.
pub async fn secret_dates(db: &Db, client_id: &str) -> Result<Vec<SecretDates>, StoreError> {
    Ok(sqlx::query_as(SECRET_DATES).bind(client_id).fetch_all(db.statement()).await?)
}

/// Why the row of a client cannot be served, by its id: of every client, disabled or not.
///
/// # Errors
/// The database failed.
pub async fn faults(db: &Db) -> Result<BTreeMap<String, RowFault>, StoreError> {
    let mut found = BTreeMap::new();
    for id in sqlx::query_scalar::<_, String>(ALL_IDS).fetch_all(db.statement()).await? {
        match find(db, &id).await {
            Ok(_) => {}
            Err(StoreError::Inconsistent { why, fix, .. }) => {
                found.insert(id, RowFault { why, fix });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Name and `disabled_at` of a client, whatever words its row has.
///
/// # Errors
/// The database failed.
pub async fn name_and_end(db: &Db, client_id: &str) -> Result<Option<(String, Option<NumericDate>)>, StoreError> {
    let row: Option<(String, Option<i64>)> =
        sqlx::query_as(NAME_AND_END).bind(client_id).fetch_optional(db.statement()).await?;
    Ok(row.map(|(name, at)| (name, at.map(NumericDate))))
}

/// Every column of a client by its name, as text or number.
///
/// # Errors
/// The database failed, or a column is neither.
pub async fn columns(db: &Db, client_id: &str) -> Result<Option<Vec<(String, Value)>>, StoreError> {
    let Some(row) = sqlx::query(COLUMNS).bind(client_id).fetch_optional(db.statement()).await? else {
        return Ok(None);
    };
    let mut columns = Vec::new();
    for column in row.columns() {
        let text = row.try_get::<Option<String>, _>(column.ordinal()).map(|text| json!(text));
        let value = match text {
            Ok(value) => value,
            Err(_) => json!(row.try_get::<Option<i64>, _>(column.ordinal())?),
        };
        columns.push((column.name().to_owned(), value));
    }
    Ok(Some(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_types_are_separated_by_commas_and_the_other_lists_by_spaces() {
        for one in ["code", " code ", "code,", "code , code"] {
            assert!(RESPONSE_TYPES.read_list(one).unwrap().iter().all(|kind| *kind == ResponseType::Code), "{one:?}");
        }
        for none in ["", " ", ",", " , "] {
            assert!(RESPONSE_TYPES.read_list(none).unwrap().is_empty(), "{none:?}");
        }
        let fault = RESPONSE_TYPES.fault("code, code id_token").unwrap();
        assert_eq!(fault.why, "response_types has the unknown word \"code id_token\"");
        assert_eq!(fault.fix, "this version knows code, separated by commas");
        assert_eq!(
            GRANT_TYPES.read_list("authorization_code  refresh_token").unwrap(),
            [GrantType::AuthorizationCode, GrantType::RefreshToken]
        );
        assert!(GRANT_TYPES.fault("authorization_code,refresh_token").is_some());
    }

    #[test]
    fn an_unknown_word_is_named_with_what_may_stand_there() {
        let fault = PKCE.read("Optonal").unwrap_err();
        assert_eq!(fault.why, "pkce has the unknown word \"Optonal\"");
        assert_eq!(fault.fix, "did you mean optional? this version knows one of required, optional");
        let fault = CLAIMS_IN_ID_TOKEN.read(&format!("\n{}", "x".repeat(10_000))).unwrap_err();
        assert!(fault.why.len() < 150 && fault.why.contains("\"\\nxxx") && fault.why.ends_with('…'), "{fault:?}");
        assert!(PKCE.read("").is_err() && PKCE.read(" required").is_err());
    }

    #[test]
    fn every_column_takes_each_of_its_words_and_no_other() {
        for column in WORDS {
            for word in column.words() {
                assert_eq!(column.fault(word), None, "{}", column.name());
                assert!(column.fault(&format!("{word}x")).is_some(), "{}", column.name());
            }
        }
    }
}
