//! All that is kept of one person as one document, for a request under the General Data Protection Regulation (article 15). Of
//! passwords and tokens it has no hash, no digest and no salt.

use super::record::{self, INSTANTS};
use crate::protocol::audit::Record;
use crate::protocol::time::NumericDate;
use crate::store::audit_events::{self, Wanted};
use crate::store::db::Db;
use crate::store::{
    StoreError, consents, facts, groups, imports, logout_outbox, mail_outbox, refresh_families, refusals, user_factors,
    user_links, user_passkeys, user_sessions,
};
use serde_json::{Value, json};

/// The most refusals that are told; as many as are kept at all.
const MOST_REFUSALS: i64 = 50_000;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Of whom.
    pub sub: &'a str,
    /// How long a family of refresh tokens that is not used lasts, in seconds, as the setting has it.
    pub family_idle_lifetime: i64,
    /// How many events of the audit at most, the newest.
    pub most_events: i64,
    /// The clock.
    pub now: NumericDate,
}

/// An instant as the document has it.
fn instant(at: NumericDate) -> String {
    jiff::Timestamp::from_second(at.0).map_or_else(|_| at.to_string(), |timestamp| timestamp.to_string())
}

/// The document; of a user who was deleted it has what is left.
///
/// # Errors
/// The database failed.
pub async fn document_of(db: &Db, asked: Asked<'_>) -> Result<Value, StoreError> {
    let Asked { sub, now, .. } = asked;
    let at = |at: i64| instant(NumericDate(at));
    let user = record::find(db, sub).await?.map(|mut row| {
        for column in INSTANTS {
            if let Some(Value::Number(seconds)) = row.get(column) {
                let told = seconds.as_i64().map(at);
                row.insert(column.to_owned(), told.into());
            }
        }
        row
    });
    let memberships = groups::of_user(db, sub)
        .await?
        .into_iter()
        .map(|row| json!({ "group": row.group_name, "until": row.until.map(at), "added_at": row.added_at.map(at) }));
    let claims = facts::find(db, sub)
        .await?
        .claims
        .into_iter()
        .map(|fact| json!({ "claim": fact.claim, "value": fact.value, "group": fact.of.map(|of| of.group) }));
    let sessions = user_sessions::of_user(db, sub).await?.into_iter().map(|row| {
        json!({
            "session": row.session,
            "browser": row.browser,
            "network": row.network,
            "started_at": at(row.started_at),
            "auth_time": at(row.auth_time),
            "last_used_at": at(row.seen_at),
            "expires_at": at(row.expires_at),
            "ended_at": row.ended_at.map(at),
        })
    });
    let consents = consents::of_user(db, sub).await?.into_iter().map(|row| {
        json!({ "client_id": row.client_id, "scope": row.scope, "claims": row.claims, "granted_at": at(row.granted_at) })
    });
    let families = refresh_families::of_user(db, sub, asked.family_idle_lifetime, now).await?;
    let families = families.iter().map(|row| {
        json!({
            "client_id": row.client_id,
            "scope": row.scope(),
            "issued_at": at(row.issued_at),
            "used_at": at(row.used_at),
            "expires_at": at(row.expires_at),
            "revoked_at": row.revoked_at.map(at),
        })
    });
    let messages = logout_outbox::of_user(db, sub).await?.into_iter().map(|row| {
        json!({
            "client_id": row.client_id,
            "created_at": at(row.created_at),
            "tries": row.tries,
            "last_result": row.last_result,
            "delivered_at": row.delivered_at.map(at),
            "given_up_at": row.given_up_at.map(at),
        })
    });
    let sources = imports::sources_of(db, sub).await?.into_iter().map(
        |row| json!({ "source": row.source, "source_key": row.source_key, "imported_at": row.imported_at.map(at) }),
    );
    let wanted = Wanted { sub: Some(sub.to_owned()), ..Wanted::default() };
    let events = audit_events::latest(db, &wanted, NumericDate(0), asked.most_events).await?;
    let refusals = refusals::of_user(db, sub, MOST_REFUSALS).await?;
    let refusals = refusals.iter().map(|refusal| {
        let mut told = json!(refusal);
        told["at"] = at(refusal.at).into();
        told
    });
    Ok(json!({
        "sub": sub,
        "deleted_at": null,
        "user": user,
        "memberships": memberships.collect::<Vec<_>>(),
        "claims": claims.collect::<Vec<_>>(),
        "sessions": sessions.collect::<Vec<_>>(),
        "consents": consents.collect::<Vec<_>>(),
        "refresh_families": families.collect::<Vec<_>>(),
        "factors": factors_of(db, sub).await?,
        "passkeys": passkeys_of(db, sub).await?,
        "links": links_of(db, sub).await?,
        "mails": mails_of(db, sub).await?,
        "logout_messages": messages.collect::<Vec<_>>(),
        "sources": sources.collect::<Vec<_>>(),
        "events": events.iter().rev().map(event).collect::<Vec<_>>(),
        "refusals": refusals.collect::<Vec<_>>(),
    }))
}

/// Authenticators and recovery codes, without their secrets.
async fn factors_of(db: &Db, sub: &str) -> Result<Vec<Value>, StoreError> {
    let at = |at: i64| instant(NumericDate(at));
    let factors = user_factors::of_user(db, sub).await?.into_iter().map(|row| {
        json!({
            "factor": row.factor_id,
            "kind": row.kind,
            "name": row.name,
            "created_at": at(row.created_at),
            "used_at": row.used_at.map(at),
        })
    });
    Ok(factors.collect())
}

/// Passkeys, with what authenticators know the user by.
async fn passkeys_of(db: &Db, sub: &str) -> Result<Vec<Value>, StoreError> {
    let at = |at: i64| instant(NumericDate(at));
    let passkeys = user_passkeys::of_user(db, sub).await?.into_iter().map(|row| {
        json!({
            "passkey": row.passkey_id,
            "name": row.name,
            "host": row.rp_id,
            "user_handle": row.user_handle,
            "credential_id": row.credential_id,
            "is_synced": row.backup_eligible != 0,
            "created_at": at(row.created_at),
            "used_at": row.used_at.map(at),
        })
    });
    Ok(passkeys.collect())
}

/// The links that were not used, without what opens them.
async fn links_of(db: &Db, sub: &str) -> Result<Vec<Value>, StoreError> {
    let at = |at: i64| instant(NumericDate(at));
    let links = user_links::of_user(db, sub).await?.into_iter().map(|row| {
        json!({
            "purpose": row.purpose,
            "made_by": row.made_by,
            "created_at": at(row.created_at),
            "expires_at": at(row.expires_at),
        })
    });
    Ok(links.collect())
}

/// The mails that are on their way.
async fn mails_of(db: &Db, sub: &str) -> Result<Vec<Value>, StoreError> {
    let at = |at: i64| instant(NumericDate(at));
    let mails = mail_outbox::of_user(db, sub).await?.into_iter().map(|row| {
        json!({
            "kind": row.kind,
            "address": row.address,
            "detail": serde_json::from_str::<Value>(&row.detail).ok(),
            "created_at": at(row.created_at),
            "due_at": at(row.due_at),
            "tries": row.tries,
            "last_result": row.last_result,
        })
    });
    Ok(mails.collect())
}

/// An event without its place in a chain.
fn event(record: &Record) -> Value {
    let detail = record.detail.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "at": instant(NumericDate(record.at)),
        "event": record.event,
        "client_id": record.client_id,
        "network": record.network,
        "reference": record.reference,
        "detail": detail,
        "personal": record.personal,
    })
}
