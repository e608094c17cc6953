//! The standard claims of a user as flags, one for each column that is a text, and what such a text may be.

use crate::failure::Failure;
use crate::protocol::text::MAX_CLAIM_BYTES;
use crate::store::users::edit;
use url::Url;

/// Flags about the address.
#[derive(clap::Args)]
pub(super) struct Address {
    /// The address is verified to be the user's, as it is by default where one is given
    #[arg(long, conflicts_with = "email_unverified")]
    email_verified: bool,
    /// The address is not verified to be the user's
    #[arg(long)]
    email_unverified: bool,
    /// Take an address that another user has, too
    #[arg(long, requires = "email")]
    shared_email: bool,
}

impl Address {
    /// Whether the address is verified: an operator's word is proof. `None`: nothing is said of it.
    pub(super) const fn is_verified(&self, is_given: bool) -> Option<bool> {
        if self.email_unverified {
            Some(false)
        } else if self.email_verified || is_given {
            Some(true)
        } else {
            None
        }
    }

    /// Whether it may be another user's, too.
    pub(super) const fn may_be_shared(&self) -> bool {
        self.shared_email
    }
}

/// Flags of the columns of [OIDC Core 5.1](https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims).
#[derive(clap::Args)]
pub(super) struct Details {
    /// Full name
    #[arg(long)]
    name: Option<String>,
    /// Given name
    #[arg(long)]
    given_name: Option<String>,
    /// Family name
    #[arg(long)]
    family_name: Option<String>,
    /// Middle name
    #[arg(long)]
    middle_name: Option<String>,
    /// Nickname
    #[arg(long)]
    nickname: Option<String>,
    /// What services call the user, where that is not the user name
    #[arg(long)]
    preferred_username: Option<String>,
    /// Address of a page about the user
    #[arg(long, value_name = "URL")]
    profile: Option<String>,
    /// Address of a picture
    #[arg(long, value_name = "URL")]
    picture: Option<String>,
    /// Address of the user's own page
    #[arg(long, value_name = "URL")]
    website: Option<String>,
    /// Gender, in whatever word
    #[arg(long)]
    gender: Option<String>,
    /// Day of birth; 0000 for a year that is not told, or the year alone
    #[arg(long, value_name = "YYYY-MM-DD")]
    birthdate: Option<String>,
    /// Time zone, such as Europe/Berlin
    #[arg(long)]
    zoneinfo: Option<String>,
    /// Language, such as de-CH
    #[arg(long)]
    locale: Option<String>,
    /// Telephone number, such as +49 30 901820; it counts as verified
    #[arg(long)]
    phone_number: Option<String>,
    /// The telephone number is not verified to be the user's
    #[arg(long)]
    phone_number_unverified: bool,
    /// Postal address as it is written on a letter; it may have several lines
    #[arg(long)]
    address_formatted: Option<String>,
    /// Street and number; it may have several lines
    #[arg(long)]
    address_street_address: Option<String>,
    /// City
    #[arg(long)]
    address_locality: Option<String>,
    /// State or region
    #[arg(long)]
    address_region: Option<String>,
    /// Postal code
    #[arg(long)]
    address_postal_code: Option<String>,
    /// Country
    #[arg(long)]
    address_country: Option<String>,
}

impl Details {
    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("name", &self.name),
            ("given_name", &self.given_name),
            ("family_name", &self.family_name),
            ("middle_name", &self.middle_name),
            ("nickname", &self.nickname),
            ("preferred_username", &self.preferred_username),
            ("profile", &self.profile),
            ("picture", &self.picture),
            ("website", &self.website),
            ("gender", &self.gender),
            ("birthdate", &self.birthdate),
            ("zoneinfo", &self.zoneinfo),
            ("locale", &self.locale),
            ("phone_number", &self.phone_number),
            ("address_formatted", &self.address_formatted),
            ("address_street_address", &self.address_street_address),
            ("address_locality", &self.address_locality),
            ("address_region", &self.address_region),
            ("address_postal_code", &self.address_postal_code),
            ("address_country", &self.address_country),
        ];
        all.into_iter().filter_map(|(column, text)| Some((column, text.as_deref()?)))
    }

    /// What the flags say: an operator's word is proof of a telephone number.
    ///
    /// # Errors
    /// A text is not what its claim is.
    pub(super) fn read(&self) -> Result<edit::Details<'_>, Failure> {
        let mut read = edit::Details::default();
        for (column, text) in self.given() {
            if let Some(why) = fault(column, text) {
                return Err(why.about(flag(column)));
            }
            read.columns.push((column, Some(text)));
        }
        read.phone_number_verified = match (&self.phone_number, self.phone_number_unverified) {
            (_, true) => Some(false),
            (Some(_), false) => Some(true),
            (None, false) => None,
        };
        Ok(read)
    }
}

/// The flag of a column.
pub(super) fn flag(column: &str) -> String {
    format!("--{}", column.replace('_', "-"))
}

pub(super) fn fault(column: &str, text: &str) -> Option<Failure> {
    if text.trim().is_empty() {
        return Some(Failure::new("it is empty").with_fix(format!("leave it out, or say --unset {column}")));
    }
    if text.len() > MAX_CLAIM_BYTES {
        return Some(Failure::new(format!("it is longer than {MAX_CLAIM_BYTES} bytes")));
    }
    let has_lines = matches!(column, "address_formatted" | "address_street_address");
    if text.chars().any(|c| c.is_control() && !(has_lines && c == '\n')) {
        return Some(Failure::new("it has a control character"));
    }
    match column {
        "profile" | "picture" | "website" => {
            let is_web = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
            let why = || Failure::new("it is no web address").with_fix("begin with https://");
            (!is_web).then(why)
        }
        "birthdate" if !is_birthdate(text) => Some(Failure::new("it is no day").with_fix("write it as 1990-12-31")),
        _ => None,
    }
}

/// `YYYY-MM-DD`, or `YYYY` alone. The year 0000 is one that is not told.
fn is_birthdate(text: &str) -> bool {
    let is_year = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    let has_form = text.len() == 10 && text.bytes().enumerate().all(|(at, b)| (b == b'-') == matches!(at, 4 | 7));
    is_year || has_form && text.parse::<jiff::civil::Date>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_its_claim_is() {
        for (column, text) in [
            ("name", "Alice Example"),
            ("birthdate", "1990-12-31"),
            ("birthdate", "0000-02-29"),
            ("birthdate", "1990"),
            ("website", "https://alice.example/"),
            ("address_formatted", "1 Street\nTown"),
        ] {
            assert!(fault(column, text).is_none(), "{column} {text:?}");
        }
        for (column, text) in [
            ("name", ""),
            ("name", " "),
            ("name", "Alice\nExample"),
            ("birthdate", "1990-02-30"),
            ("birthdate", "31.12.1990"),
            ("birthdate", "19901231"),
            ("birthdate", "199é-01-01"),
            ("website", "alice.example"),
            ("picture", "javascript:alert(1)"),
        ] {
            assert!(fault(column, text).is_some(), "{column} {text:?}");
        }
        assert!(fault("name", &"x".repeat(MAX_CLAIM_BYTES + 1)).is_some());
    }
}
