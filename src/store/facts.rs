//! What is known of a user beyond their row: groups, and claims of their own and of their groups.

use crate::protocol::claim_names::{UntoldRow, told_of_row};
use crate::protocol::facts::{Fact, Facts, Membership};
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::row::row;

// One statement for all that is known of one user; it is read beside the user's row.
const FIND: &str = "SELECT 'group' AS kind, group_name, '' AS claim, '' AS value, until FROM group_members WHERE sub = $1 \
     UNION ALL SELECT 'claim', '', claim, value, CAST(NULL AS BIGINT) FROM user_claims WHERE sub = $1 \
     UNION ALL SELECT 'group_claim', group_members.group_name, claim, value, until FROM group_members \
     JOIN group_claims ON group_claims.group_name = group_members.group_name WHERE sub = $1";

row! {
    struct Row {
        kind: String,
        group_name: String,
        claim: String,
        value: String,
        until: Option<i64>,
    }
}

/// What is known of a user; nothing where there is no such user.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, sub: &str) -> Result<Facts, StoreError> {
    let mut rows: Vec<Row> = sqlx::query_as(FIND).bind(sub).fetch_all(db.statement()).await?;
    // Databases differ in the order of texts.
    rows.sort_by(|one, other| (&one.group_name, &one.claim).cmp(&(&other.group_name, &other.claim)));
    let mut facts = Facts::default();
    for Row { kind, group_name, claim, value, until } in rows {
        let membership = Membership { group: group_name, until: until.map(NumericDate) };
        if kind == "group" {
            facts.memberships.push(membership);
            continue;
        }
        let of = (kind == "group_claim").then_some(membership);
        if let Some(fact) = fact_of(claim, &value, of) {
            facts.claims.push(fact);
        }
    }
    facts.claims.shrink_to_fit();
    facts.memberships.shrink_to_fit();
    Ok(facts)
}

/// A row that was written by hand may hold what cannot be told: that claim is passed over, and the user signs in.
fn fact_of(claim: String, value: &str, of: Option<Membership>) -> Option<Fact> {
    match told_of_row(&claim, value) {
        Ok(value) => Some(Fact { claim, value, of }),
        Err(UntoldRow(why)) => {
            tracing::warn!(claim, why, "a claim of a user or a group is passed over");
            None
        }
    }
}
