//! A user's row as it is, column by column, for those who look after users: never a hash, a digest or a mark of a password.

use super::edit;
use crate::store::StoreError;
use crate::store::db::Db;
use serde_json::{Map, Value};
use sqlx::Row as _;
use sqlx::any::AnyRow;

const FIND: &str = "SELECT sub, username, email, email_verified_at, name, given_name, family_name, middle_name, nickname, \
     preferred_username, profile, picture, website, gender, birthdate, zoneinfo, locale, phone_number, phone_number_verified_at, \
     address_formatted, address_street_address, address_locality, address_region, address_postal_code, address_country, \
     CASE WHEN password_hash IS NULL THEN 0 ELSE 1 END AS has_password, created_at, updated_at, tokens_valid_after, disabled_at, locked_until, \
     deletion_requested_at, second_factor_asked_at, browsers_untrusted_at, passkey_offered_at \
     FROM users WHERE sub = $1";

/// The columns that are instants.
pub const INSTANTS: [&str; 11] = [
    "email_verified_at",
    "phone_number_verified_at",
    "created_at",
    "updated_at",
    "tokens_valid_after",
    "disabled_at",
    "locked_until",
    "deletion_requested_at",
    "second_factor_asked_at",
    "browsers_untrusted_at",
    "passkey_offered_at",
];

/// The row: texts, instants as Unix seconds, `null` where nothing is; and whether there is a password.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, sub: &str) -> Result<Option<Map<String, Value>>, StoreError> {
    let row: Option<AnyRow> = sqlx::query(FIND).bind(sub).fetch_optional(db.statement()).await?;
    let Some(row) = row else { return Ok(None) };
    let mut record = Map::new();
    for column in ["sub", "username", "email"].iter().chain(edit::COLUMNS) {
        record.insert((*column).to_owned(), row.try_get::<Option<String>, _>(*column)?.into());
    }
    for column in INSTANTS {
        record.insert(column.to_owned(), row.try_get::<Option<i64>, _>(column)?.into());
    }
    record.insert("has_password".to_owned(), (row.try_get::<i64, _>("has_password")? != 0).into());
    Ok(Some(record))
}
