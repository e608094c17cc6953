//! Changing a user's row: the columns of the standard claims, the address, the user name. Each statement changes its column only
//! where the value is another one, so that an edit says what it has changed.

use super::adding::is_address_taken;
use super::{Transaction, end_all, fold_names, hold, text, tombstones};
use crate::protocol::audit::{Event, EventKind, Impersonal};
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::users::tombstones::Tombstone;
use crate::store::{StoreError, audit_events, mail_outbox, user_links};

macro_rules! columns {
    ($($column:literal),+ $(,)?) => {
        /// The columns that are a text each, and the statement that changes it.
        const TEXTS: &[(&str, &str)] = &[$((
            $column,
            concat!(
                "UPDATE users SET ", $column, " = CAST($2 AS TEXT) WHERE sub = $1 AND ",
                $column, " IS DISTINCT FROM CAST($2 AS TEXT)"
            ),
        )),+];

        /// The columns of standard claims that are a text each ([OIDC Core 5.1](https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims)),
        /// but for the address, which has rules of its own.
        pub const COLUMNS: &[&str] = &[$($column),+];
    };
}

columns!(
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
    "address_formatted",
    "address_street_address",
    "address_locality",
    "address_region",
    "address_postal_code",
    "address_country",
);

const USERNAME: &str = "UPDATE users SET username = CAST($2 AS TEXT), username_folded = CAST($3 AS TEXT), \
     folded_of = CAST($2 AS TEXT) || ' ' || COALESCE(email, '') WHERE sub = $1 AND username IS DISTINCT FROM CAST($2 AS TEXT)";
const EMAIL: &str = "UPDATE users SET email = CAST($2 AS TEXT), email_folded = CAST($3 AS TEXT), \
     folded_of = COALESCE(username, '') || ' ' || CAST($2 AS TEXT) WHERE sub = $1 AND email IS DISTINCT FROM CAST($2 AS TEXT)";
// Another address was verified at another instant.
const VERIFY_EMAIL: &str = "UPDATE users SET email_verified_at = $2 \
     WHERE sub = $1 AND (email_verified_at IS NULL OR CAST($3 AS BIGINT) = 1)";
const UNVERIFY_EMAIL: &str =
    "UPDATE users SET email_verified_at = NULL WHERE sub = $1 AND email_verified_at IS NOT NULL";
const VERIFY_PHONE: &str = "UPDATE users SET phone_number_verified_at = $2 \
     WHERE sub = $1 AND phone_number IS NOT NULL AND (phone_number_verified_at IS NULL OR CAST($3 AS BIGINT) = 1)";
const UNVERIFY_PHONE: &str =
    "UPDATE users SET phone_number_verified_at = NULL WHERE sub = $1 AND phone_number_verified_at IS NOT NULL";
// What was issued before a lock does not count after it, either.
const LOCK: &str = "UPDATE users SET locked_until = CAST($2 AS BIGINT), \
     tokens_valid_after = CASE WHEN CAST($2 AS BIGINT) >= $3 THEN $3 ELSE tokens_valid_after END \
     WHERE sub = $1 AND locked_until IS DISTINCT FROM CAST($2 AS BIGINT)";
const RESTART_DAYS: &str =
    "UPDATE users SET second_factor_asked_at = NULL WHERE sub = $1 AND second_factor_asked_at IS NOT NULL";
const TOUCH: &str = "UPDATE users SET updated_at = $2 WHERE sub = $1";

/// What the standard claims become.
#[derive(Clone, Debug, Default)]
pub struct Details<'a> {
    /// Columns of `COLUMNS`, and their text; `None`: the column is empty from now on.
    pub columns: Vec<(&'static str, Option<&'a str>)>,
    /// Whether the telephone number is verified; `None`: that stays as it is.
    pub phone_number_verified: Option<bool>,
}

/// What a user's row becomes.
#[derive(Clone, Debug, Default)]
pub struct Edit<'a> {
    /// The user name.
    pub username: Option<&'a str>,
    /// The address.
    pub email: Option<&'a str>,
    /// Whether the address may be another user's, too.
    pub may_share_address: bool,
    /// Whether the address is verified; `None`: that stays as it is.
    pub email_verified: Option<bool>,
    /// The other claims.
    pub details: Details<'a>,
    /// The lock.
    pub lock: Lock,
    /// Whether the days to set up a second factor start anew, with the next sign-in.
    pub restarts_factor_days: bool,
}

/// What is done about a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lock {
    /// It stays as it is.
    #[default]
    AsItIs,
    /// There is none any more.
    Lifted,
    /// The user cannot sign in until that instant.
    Until(NumericDate),
}

/// How an edit ended.
#[derive(Debug)]
pub enum Edited {
    /// Those columns have another value now; none: all of it was so before.
    Done(Vec<&'static str>),
    /// Another user has the user name; nothing was changed.
    NameTaken,
    /// A deleted user had the user name; nothing was changed.
    NameGone(Tombstone),
    /// Another user has the address; nothing was changed.
    AddressTaken,
}

/// Changes a row. What services are told of it is new within ten seconds. A lock ends what the user has; nothing else does.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn edit(db: &Db, sub: &str, edit: &Edit<'_>, now: NumericDate) -> Result<Edited, StoreError> {
    // A name that its row does not have any more is free.
    fold_names(db).await?;
    let key = tombstones::key(db).await?;
    let mut transaction = db.begin().await?;
    // The user's row first, as everywhere: two that give one user an address wait for each other in one order.
    hold(&mut transaction, sub).await?;
    if let Some(email) = edit.email.filter(|_| !edit.may_share_address)
        && is_address_taken(&mut transaction, email, sub).await?
    {
        transaction.rollback().await?;
        return Ok(Edited::AddressTaken);
    }
    if let Some(email) = edit.email {
        mail_outbox::note_other_address(&mut transaction, sub, email, None, now).await?;
    }
    let changed = match write(&mut transaction, sub, edit, now).await {
        Ok(changed) => changed,
        Err(StoreError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => {
            transaction.rollback().await?;
            return Ok(Edited::NameTaken);
        }
        Err(error) => return Err(error),
    };
    if let Some(username) = edit.username.filter(|_| changed.contains(&"username"))
        && let Some(gone) = tombstones::find_in(&mut transaction, &key, "", username).await?
    {
        transaction.rollback().await?;
        return Ok(Edited::NameGone(gone));
    }
    if changed.is_empty() {
        transaction.rollback().await?;
        return Ok(Edited::Done(changed));
    }
    note_edited(&mut transaction, Event::new(EventKind::UserEdited, now).of(sub), &changed, sub, now).await?;
    transaction.commit().await?;
    Ok(Edited::Done(changed))
}

/// Notes when the row was changed, and the event of it with the columns.
pub(in crate::store) async fn note_edited(
    transaction: &mut Transaction,
    event: Event,
    changed: &[&str],
    sub: &str,
    now: NumericDate,
) -> Result<(), StoreError> {
    touch(transaction, sub, now).await?;
    let names: Vec<String> = changed.iter().map(|name| (*name).to_owned()).collect();
    audit_events::note_change(transaction, event.with("changed", Impersonal::configured_list(&names)), now).await
}

/// Notes when the row was changed.
pub(in crate::store) async fn touch(
    transaction: &mut Transaction,
    sub: &str,
    now: NumericDate,
) -> Result<(), StoreError> {
    sqlx::query(TOUCH).bind(sub).bind(now.0).execute(&mut **transaction).await?;
    Ok(())
}

/// Writes the row alone, within a transaction; gives the columns that have another value now. A user name that another has
/// violates the index of names.
pub(in crate::store) async fn write(
    transaction: &mut Transaction,
    sub: &str,
    edit: &Edit<'_>,
    now: NumericDate,
) -> Result<Vec<&'static str>, StoreError> {
    let mut changed = Vec::new();
    if let Some(username) = edit.username {
        let renamed = sqlx::query(USERNAME).bind(sub).bind(username).bind(text::fold_username(username));
        let is_renamed = renamed.execute(&mut **transaction).await?.rows_affected() > 0;
        changed.extend(is_renamed.then_some("username"));
    }
    let mut is_another = false;
    if let Some(email) = edit.email {
        let moved = sqlx::query(EMAIL).bind(sub).bind(email).bind(text::fold_email(email));
        is_another = moved.execute(&mut **transaction).await?.rows_affected() > 0;
        changed.extend(is_another.then_some("email"));
        if is_another {
            // Who had the address of before may have them.
            user_links::end_of_user(transaction, sub).await?;
        }
    }
    if let Some(is_verified) = edit.email_verified {
        let statements = [VERIFY_EMAIL, UNVERIFY_EMAIL];
        if verify(transaction, statements, sub, is_verified, is_another, now).await? {
            changed.push("email_verified_at");
        }
    }
    changed.extend(set_details(transaction, sub, &edit.details, now).await?);
    if edit.lock != Lock::AsItIs {
        let until = match edit.lock {
            Lock::Until(until) => Some(until),
            Lock::AsItIs | Lock::Lifted => None,
        };
        let lock = sqlx::query(LOCK).bind(sub).bind(until.map(|until| until.0)).bind(now.0 + 1);
        if lock.execute(&mut **transaction).await?.rows_affected() > 0 {
            changed.push("locked_until");
            // One that has passed already ends nothing.
            if until.is_some_and(|until| until > now) {
                end_all(transaction, sub, now).await?;
            }
        }
    }
    if edit.restarts_factor_days {
        let restarted = sqlx::query(RESTART_DAYS).bind(sub).execute(&mut **transaction).await?.rows_affected() > 0;
        changed.extend(restarted.then_some("second_factor_asked_at"));
    }
    Ok(changed)
}

/// Writes the standard claims; gives the columns that have another value now.
pub(super) async fn set_details(
    transaction: &mut Transaction,
    sub: &str,
    details: &Details<'_>,
    now: NumericDate,
) -> Result<Vec<&'static str>, StoreError> {
    let mut changed = Vec::new();
    for (column, value) in &details.columns {
        let Some((name, statement)) = TEXTS.iter().copied().find(|(name, _)| name == column) else { continue };
        let written = sqlx::query(statement).bind(sub).bind(*value).execute(&mut **transaction).await?;
        changed.extend((written.rows_affected() > 0).then_some(name));
    }
    if let Some(is_verified) = details.phone_number_verified {
        let is_another = changed.contains(&"phone_number");
        let statements = [VERIFY_PHONE, UNVERIFY_PHONE];
        if verify(transaction, statements, sub, is_verified, is_another, now).await? {
            changed.push("phone_number_verified_at");
        }
    }
    Ok(changed)
}

/// Writes since when an address or a number is verified, or that it is not; `statements` are for the one and for the other.
async fn verify(
    transaction: &mut Transaction,
    statements: [&'static str; 2],
    sub: &str,
    is_verified: bool,
    is_another: bool,
    now: NumericDate,
) -> Result<bool, StoreError> {
    let statement = if is_verified {
        sqlx::query(statements[0]).bind(sub).bind(now.0).bind(i64::from(is_another))
    } else {
        sqlx::query(statements[1]).bind(sub)
    };
    Ok(statement.execute(&mut **transaction).await?.rows_affected() > 0)
}
