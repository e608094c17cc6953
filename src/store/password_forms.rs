//! Which forms of password hashes are stored beside our own: `$pbkdf2-sha1$i=1000,l=32$`, function and cost without salt and
//! hash.
//!
//! The index `users_password_form` has nothing else, so that it is read by jumping from one form to the next: a few reads,
//! however many users there are. A row that was written by hand is in it like any other.

use crate::store::StoreError;
use crate::store::db::Db;

/// The expression and the condition of the index, word by word, or that index is of no use.
macro_rules! form {
    () => {
        "SUBSTR(CASE WHEN SUBSTR(password_hash, 1, 2) = '$2' THEN SUBSTR(password_hash, 1, 7) \
         ELSE RTRIM(RTRIM(RTRIM(password_hash, \
         'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/.=-_'), '$'), \
         'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/.=-_') END, 1, 100)"
    };
}

/// The next form after one, in the order of the index, whatever collation that has.
pub const NEXT: &str = concat!(
    "SELECT ",
    form!(),
    " FROM users WHERE SUBSTR(password_hash, 1, 31) <> '$argon2id$v=19$m=19456,t=2,p=1$' AND ",
    form!(),
    " > $1 ORDER BY ",
    form!(),
    " LIMIT 1"
);

/// The most forms that are read; programs have a handful, and a column full of other texts is read no further.
const MOST: usize = 256;

/// The forms that are stored, but for our own.
///
/// # Errors
/// The database failed.
pub async fn list(db: &Db) -> Result<Vec<String>, StoreError> {
    let mut found: Vec<String> = Vec::new();
    while found.len() < MOST {
        let after = found.last().map_or("", String::as_str);
        let next: Option<String> =
            sqlx::query_scalar(NEXT).bind(after).fetch_optional(db.statement_in_background()).await?;
        match next {
            Some(form) => found.push(form),
            None => break,
        }
    }
    Ok(found)
}
