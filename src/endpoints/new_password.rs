//! A password that a user chooses, whichever page it is typed at: whether it is taken, and what it is worth.

use crate::config::Config;
use crate::passwords::{Strength, Weakness};
use crate::protocol::claims::User;
use crate::protocol::params::Params;
use crate::protocol::secret::{Password, same_text};
use crate::protocol::text::prepare;
use crate::provider::Provider;
use crate::texts::{Text, text};
use crate::web::answer::PageError;
use crate::web::problems::Problem;
use axum::http::StatusCode;
use serde_json::Value;

/// The fields of the form.
const NEW: &str = "new";
const REPEATED: &str = "repeated";

/// What was typed into the form.
pub struct Typed {
    new: Password,
    repeated: Password,
    /// Whether it is only to be looked at.
    checks: bool,
    /// What the page says where a field is empty.
    missing: Text<'static>,
}

impl Typed {
    /// Reads the form. `missing` is what the page says where a field is empty.
    #[must_use]
    pub fn of(params: &Params, missing: Text<'static>) -> Self {
        let typed = |name: &str| Password::received(params.get(name).unwrap_or_default());
        let checks = params.get("action") == Some("check");
        Self { new: typed(NEW), repeated: typed(REPEATED), checks, missing }
    }

    fn is_incomplete(&self) -> bool {
        self.new.expose().is_empty() || (!self.checks && self.repeated.expose().is_empty())
    }
}

/// What the page says beside its form.
#[derive(Clone, Copy, Default)]
pub struct Said {
    /// What is wrong with what was sent.
    pub error: Option<Text<'static>>,
    /// The field that it is wrong with; empty: none of the form.
    pub field: &'static str,
    /// What a password that was looked at is worth.
    pub strength: Option<Strength>,
}

impl Said {
    /// Something is wrong with a field.
    #[must_use]
    pub fn error(field: &'static str, error: Text<'static>) -> Self {
        Self { error: Some(error), field, strength: None }
    }

    /// The status of the page.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        if self.error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }
    }
}

/// What a password that was typed comes to.
pub enum Judged {
    /// It is taken, prepared to be hashed.
    Taken(Password),
    /// It is not, or it was only to be looked at.
    Said(Said),
}

/// What was typed comes to this; `names` are those of the user.
///
/// # Errors
/// A page: too many are looked at already.
pub async fn judge(provider: &Provider, names: Vec<String>, typed: Typed) -> Result<Judged, PageError> {
    let said = |error| Ok(Judged::Said(Said::error(NEW, error)));
    if typed.is_incomplete() {
        return said(typed.missing);
    }
    let Ok(prepared) = prepare(&typed.new) else { return said(text("password-odd")) };
    let names = names.into_iter().chain(ours(&provider.config)).filter(|name| !name.is_empty()).collect();
    let strength = provider.passwords.strength(prepared.clone(), names).await.map_err(|_| Problem::Busy)?;
    match strength.weakness {
        Some(Weakness::Short) => said(text("password-short")),
        Some(Weakness::Common) => said(text("password-common")),
        Some(Weakness::Personal) => said(text("password-personal")),
        None if typed.checks => Ok(Judged::Said(Said { strength: Some(strength), ..Said::default() })),
        None if !same_text(typed.new.expose(), typed.repeated.expose()) => {
            Ok(Judged::Said(Said::error(REPEATED, text("password-differs"))))
        }
        None => Ok(Judged::Taken(prepared)),
    }
}

/// What a user is called, so that the password is not that.
#[must_use]
pub fn names_of(user: &User) -> Vec<String> {
    let claim = |name: &str| user.claims.get(name).and_then(Value::as_str);
    let claims = ["name", "given_name", "family_name", "nickname", "preferred_username"].map(claim);
    names(user.username.as_deref(), claim("email"), claims.into_iter().flatten())
}

/// What a user types at a sign-in: the user name, or where there is none the address.
#[must_use]
pub fn signs_in_as(user: &User) -> Option<&str> {
    user.username.as_deref().or_else(|| user.email())
}

/// The same as `names_of`, of one who is no user yet.
pub fn names<'a>(
    username: Option<&'a str>,
    email: Option<&'a str>,
    others: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let own = [username, email, email.and_then(|it| it.split('@').next())];
    own.into_iter().flatten().chain(others).map(str::to_owned).collect()
}

/// What the organization is called.
fn ours(config: &Config) -> impl Iterator<Item = String> {
    let names =
        [config.organization.name.as_deref(), Some(config.host()), Some(config.issuer.as_str()), Some("hallpass")];
    names.into_iter().flatten().map(str::to_owned)
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const MONTH: u64 = 30 * DAY;
const YEAR: u64 = 365 * DAY;

/// What a password is worth, as people are told it.
#[must_use]
pub fn told(strength: Strength) -> Text<'static> {
    let seconds = strength.seconds;
    let number = |unit: u64| i64::try_from(seconds / unit).unwrap_or(i64::MAX);
    match seconds {
        ..MINUTE => text("strength-at-once"),
        MINUTE..HOUR => text("strength-minutes").counting("number", number(MINUTE)),
        HOUR..DAY => text("strength-hours").counting("number", number(HOUR)),
        DAY..MONTH => text("strength-days").counting("number", number(DAY)),
        MONTH..YEAR => text("strength-months").counting("number", number(MONTH)),
        _ if seconds < 100 * YEAR => text("strength-years").counting("number", number(YEAR)),
        _ => text("strength-centuries"),
    }
}

/// What could be better about it.
#[must_use]
pub fn advice(strength: Strength) -> Text<'static> {
    if strength.seconds < 100 * YEAR { text("strength-advice") } else { text("strength-good") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_password_holds_is_told_in_the_unit_that_people_would_use() {
        for (seconds, words) in [
            (0, "at once"),
            (61, "1 minute "),
            (7200, "2 hours "),
            (DAY, "1 day "),
            (65 * DAY, "2 months "),
            (3 * YEAR, "3 years "),
            (100 * YEAR, "centuries"),
            (u64::MAX, "centuries"),
        ] {
            let told = told(Strength { weakness: None, seconds }).of(crate::texts::english()).to_string();
            assert!(told.contains(words), "{seconds}: {told}");
        }
    }
}
