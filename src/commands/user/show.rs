//! `hallpass user show`: what is known of one user, on one page.

use super::{factor, find, named};
use crate::ambient::Clock;
use crate::commands::terminal::{instant, one_line, table};
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::protocol::audit::EventKind;
use crate::protocol::claims::User;
use crate::protocol::facts::Facts;
use crate::protocol::time::NumericDate;
use crate::second_factor;
use crate::store::audit_events::{self, Wanted};
use crate::store::db::Db;
use crate::store::imports::{self, FOR_GOOD};
use crate::store::users::record;
use crate::store::{consents, facts, refresh_families, user_sessions};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

pub(super) const HELP: &str = "LAST USED of a sign-in is told to within an hour. Claims are as services are told them.

Examples:
  hallpass user show alice
  hallpass user show alice@example.com --json | jq -r '.groups[]'";

#[derive(clap::Args)]
pub(in crate::commands) struct Show {
    /// User name or e-mail address
    username: String,
    /// Print a JSON object instead
    #[arg(long)]
    json: bool,
}

/// All of it, as it was read.
struct Known {
    user: User,
    record: Map<String, Value>,
    facts: Facts,
    sessions: Vec<user_sessions::Listed>,
    consents: Vec<consents::Given>,
    families: Vec<refresh_families::Listed>,
    factors: Vec<second_factor::Listed>,
    last_sign_in: Option<NumericDate>,
    source: Option<String>,
}

pub(super) async fn run(config: Config, arguments: &Show) -> Outcome {
    let now = Clock::System.now();
    let db = terminal::open_database(&config).await?;
    let user = find(&db, &arguments.username).await?;
    let known = read(&config, &db, user, now).await?;
    db.close().await;
    if arguments.json {
        return terminal::print_json(&known.document(now));
    }
    print!("{}", known.text(now));
    Ok(())
}

async fn read(config: &Config, db: &Db, user: User, now: NumericDate) -> Result<Known, Failure> {
    let sub = user.sub.as_str();
    let mut families = refresh_families::of_user(db, sub, config.refresh_token_idle_lifetime, now).await?;
    families.retain(|family| family.is_live != 0);
    Ok(Known {
        record: record::find(db, sub).await?.unwrap_or_default(),
        facts: facts::find(db, sub).await?,
        sessions: user_sessions::list(db, sub, config.session_idle_lifetime, now).await?,
        consents: consents::of_user(db, sub).await?,
        families,
        factors: factor::of_user(config, db, sub, now).await?,
        last_sign_in: last_sign_in(db, sub).await?,
        source: imports::sources_of(db, sub).await?.into_iter().next().map(|from| from.source),
        user,
    })
}

/// When the user signed in last, by the sign-ins that are kept or by the audit, whichever knows a later one.
async fn last_sign_in(db: &Db, sub: &str) -> Result<Option<NumericDate>, Failure> {
    let event = Some(EventKind::SignIn.as_str().to_owned());
    let wanted = Wanted { event, sub: Some(sub.to_owned()), ..Wanted::default() };
    let told = audit_events::latest(db, &wanted, NumericDate(0), 1).await?;
    let told = told.first().map(|record| NumericDate(record.at));
    Ok(told.max(user_sessions::last_sign_in(db, sub).await?))
}

impl Known {
    fn instant_of(&self, column: &str) -> Option<String> {
        self.record.get(column).and_then(Value::as_i64).map(|at| instant(NumericDate(at)))
    }

    /// The instant at which a lock ends; `None`: there is none, or it does not end by itself.
    fn locked_until(&self, now: NumericDate) -> Option<String> {
        let until = self.user.locked_until.filter(|until| self.user.is_locked(now) && until.0 < FOR_GOOD)?;
        Some(instant(until))
    }

    fn state(&self, now: NumericDate) -> &'static str {
        match self.user.password_hash {
            _ if self.user.disabled_at.is_some() => "disabled",
            _ if self.user.is_locked(now) => "locked",
            None => "without-password",
            Some(_) => "active",
        }
    }

    fn document(&self, now: NumericDate) -> Value {
        let at = |at: i64| instant(NumericDate(at));
        let memberships = self
            .facts
            .memberships
            .iter()
            .map(|membership| json!({ "group": membership.group, "until": membership.until.map(instant) }));
        let further = self.facts.claims.iter().map(|fact| {
            json!({
                "claim": fact.claim,
                "value": fact.value,
                "group": fact.of.as_ref().map(|of| of.group.as_str()),
                "until": fact.of.as_ref().and_then(|of| of.until).map(instant),
            })
        });
        let sessions = self.sessions.iter().map(|row| {
            json!({
                "session": row.session,
                "browser": row.browser,
                "network": row.network,
                "started_at": at(row.started_at),
                "last_used_at": at(row.seen_at),
                "expires_at": at(row.expires_at),
            })
        });
        let consents = self.consents.iter().map(|row| {
            json!({ "client_id": row.client_id, "scope": row.scope, "claims": row.claims, "granted_at": at(row.granted_at) })
        });
        let families = self.families.iter().map(|row| {
            json!({
                "client_id": row.client_id,
                "scope": row.scope(),
                "issued_at": at(row.issued_at),
                "used_at": at(row.used_at),
                "expires_at": at(row.expires_at),
            })
        });
        json!({
            "sub": self.user.sub,
            "username": self.user.username,
            "state": self.state(now),
            "created_at": self.instant_of("created_at"),
            "updated_at": self.instant_of("updated_at"),
            "tokens_valid_after": self.instant_of("tokens_valid_after"),
            "disabled_at": self.instant_of("disabled_at"),
            "deletion_requested_at": self.instant_of("deletion_requested_at"),
            "source": self.source,
            "locked": self.user.is_locked(now),
            "locked_until": self.locked_until(now),
            "last_sign_in_at": self.last_sign_in.map(instant),
            "claims": self.claims(now),
            "groups": self.facts.groups(now).collect::<Vec<_>>(),
            "memberships": memberships.collect::<Vec<_>>(),
            "further_claims": further.collect::<Vec<_>>(),
            "sessions": sessions.collect::<Vec<_>>(),
            "consents": consents.collect::<Vec<_>>(),
            "refresh_families": families.collect::<Vec<_>>(),
            "factors": factor::told(&self.factors),
        })
    }

    /// Every claim with its value now, standard or further.
    fn claims(&self, now: NumericDate) -> Map<String, Value> {
        let mut claims = self.user.claims.clone();
        for fact in &self.facts.claims {
            if let Some(value) = self.facts.claim(&fact.claim, now) {
                claims.insert(fact.claim.clone(), value);
            }
        }
        claims
    }

    fn text(&self, now: NumericDate) -> String {
        let at = |at: i64| instant(NumericDate(at));
        let mut lines = vec![
            ("sub", Some(one_line(&self.user.sub))),
            ("state", Some(self.state(now).replace('-', " a "))),
            ("locked until", self.locked_until(now)),
            ("brought over from", self.source.as_deref().map(one_line)),
            ("created", self.instant_of("created_at")),
            ("changed", self.instant_of("updated_at")),
            ("disabled", self.instant_of("disabled_at")),
            ("deletion asked for", self.instant_of("deletion_requested_at")),
            ("tokens valid after", self.instant_of("tokens_valid_after")),
        ];
        lines.push(("last sign-in", Some(self.last_sign_in.map_or_else(|| "not known".to_owned(), instant))));
        let mut text = format!("{}\n\n", named(&self.user));
        for (label, value) in lines {
            if let Some(value) = value {
                let _ = writeln!(text, "{label:<20}{value}");
            }
        }
        let mut section = |headings: &[&str], rows: Vec<Vec<String>>| {
            if !rows.is_empty() {
                text.push('\n');
                text.push_str(&table(headings, &rows));
            }
        };
        let shown = |value: &Value| one_line(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        section(
            &["CLAIM", "VALUE"],
            self.user.claims.iter().map(|(name, value)| vec![name.clone(), shown(value)]).collect(),
        );
        let further = self.facts.claims.iter().map(|fact| {
            let of = fact.of.as_ref().map_or("", |of| of.group.as_str());
            vec![one_line(&fact.claim), one_line(of), shown(&fact.value)]
        });
        section(&["FURTHER CLAIM", "OF GROUP", "VALUE"], further.collect());
        let groups = self.facts.memberships.iter().map(|membership| {
            let until = membership.until.map(instant).unwrap_or_default();
            let ended = if membership.is_live(now) { "" } else { " (ended)" };
            vec![one_line(&membership.group), format!("{until}{ended}")]
        });
        section(&["GROUP", "UNTIL"], groups.collect());
        let sessions = self.sessions.iter().map(|row| {
            let texts = [&row.session, &row.browser, &row.network].map(|text| one_line(text));
            texts.into_iter().chain([at(row.started_at), at(row.seen_at)]).collect()
        });
        section(&["SESSION", "BROWSER", "NETWORK", "STARTED", "LAST USED"], sessions.collect());
        let consents =
            self.consents.iter().map(|row| vec![one_line(&row.client_id), at(row.granted_at), one_line(&row.scope)]);
        section(&["CONSENT FOR", "SINCE", "SCOPE"], consents.collect());
        let families = self
            .families
            .iter()
            .map(|row| vec![one_line(&row.client_id), at(row.issued_at), at(row.used_at), one_line(&row.scope())]);
        section(&["REFRESH TOKEN OF", "SINCE", "LAST USED", "SCOPE"], families.collect());
        section(factor::HEADINGS, self.factors.iter().map(factor::cells).collect());
        text
    }
}
