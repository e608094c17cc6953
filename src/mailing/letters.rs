//! What mails say: plain and with markup, from the catalog. No word of one is from a request, but for the network and, in words of ours,
//! the browser; and none of a subject is from a user.

use super::layout::laid_out;
use crate::config::Config;
use crate::mail::Letter;
use crate::protocol::claims::User;
use crate::protocol::mail::{Circumstances, MailKind};
use crate::protocol::secret::LinkSecret;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::mail_outbox::Mail;
use crate::store::user_links::LIFETIME;
use crate::texts::{Catalog, Text, text};
use crate::web::pages::account::Moment;
use crate::web::user_agent;
use askama::Template;
use serde::Serialize;
use std::sync::Arc;

/// The page of a link that sets a password; without a link it asks for one.
pub const RESET_PAGE: &str = "/reset";
/// The page of a link that sets up a second factor.
pub const ENROLLMENT_PAGE: &str = "/account/enrollment";
/// The page of a link that ends a sign-up; without a link it asks for one.
pub const SIGN_UP_PAGE: &str = "/sign-up";
/// The page of a link for an address.
pub const EMAIL_LINK_PAGE: &str = "/account/email/confirmation";

/// The page on which a user removes passkeys.
pub const PASSKEYS_PAGE: &str = "/account/passkeys";

/// When what a sample tells of has happened, in Unix seconds.
const SAMPLE_TIME: i64 = 1_800_000_000;

/// What the button of a mail is written on, where the organization has no color: `--accent` of `templates/hallpass.css`.
const ACCENT: &str = "#0d5e4d";

/// A link of a mail.
#[derive(Serialize)]
pub struct MailLink {
    /// What it does.
    pub action: String,
    /// Where it leads.
    pub address: String,
}

/// When, from where or by which browser.
#[derive(Serialize)]
pub struct Fact {
    /// Which of them.
    pub name: String,
    /// What it was.
    pub value: String,
}

/// What a mail says.
#[derive(Template)]
#[template(path = "mail.html")]
pub struct MailPage {
    /// What it is about.
    pub kind: MailKind,
    /// BCP 47.
    pub language: String,
    /// `ltr` or `rtl`.
    pub direction: &'static str,
    /// The subject.
    pub subject: String,
    /// What it is about, a paragraph each.
    pub words: Vec<String>,
    /// What opens the page that it is about.
    pub link: Option<MailLink>,
    /// When, from where, and by which browser.
    pub facts: Vec<Fact>,
    /// What to do about it.
    pub advice: String,
    /// Who sends it.
    pub sender: String,
    /// Our own address.
    pub issuer: String,
    /// Where help is.
    pub help: Option<String>,
    /// The color of the button.
    pub color: String,
}

/// The same without markup.
#[derive(Template)]
#[template(path = "mail.txt", escape = "none")]
struct PlainMail<'a> {
    words: &'a [String],
    link: Option<&'a MailLink>,
    facts: &'a [Fact],
    advice: &'a str,
    sender: &'a str,
    issuer: &'a str,
    help: Option<&'a str>,
}

impl MailPage {
    /// As programs show it that know markup.
    #[must_use]
    pub fn html(&self) -> String {
        // Writing into a string does not fail.
        self.render().unwrap_or_default()
    }

    /// The same without markup.
    #[must_use]
    pub fn plain(&self) -> String {
        let plain = PlainMail {
            words: &self.words,
            link: self.link.as_ref(),
            facts: &self.facts,
            advice: &self.advice,
            sender: &self.sender,
            issuer: &self.issuer,
            help: self.help.as_deref(),
        };
        // Writing into a string does not fail.
        plain.render().unwrap_or_default()
    }
}

/// A mail as it is sent.
pub(super) fn written(
    provider: &Provider,
    mail: &Mail,
    kind: MailKind,
    user: Option<&User>,
    link: Option<&LinkSecret>,
) -> Letter {
    let config = &provider.config;
    let account = user.map(|user| user.username.as_deref().unwrap_or_else(|| user.display_name()));
    let page = page(config, &texts(config, user, mail), mail, kind, account, link);
    Letter {
        // A notice that comes twice can be told by it; one with a link has another one each time.
        id: if link.is_some() { format!("{}.{}", mail.id, mail.tries) } else { mail.id.clone() },
        to: mail.address.clone(),
        is_to_typed_address: kind.is_to_typed_address(),
        plain: laid_out(config, config.texts.mail_plain.as_ref(), &page).unwrap_or_else(|| page.plain()),
        html: laid_out(config, config.texts.mail_html.as_ref(), &page).unwrap_or_else(|| page.html()),
        subject: page.subject,
    }
}

/// The texts of a mail: in the language of the user, else in that of the request that it is about.
fn texts(config: &Config, user: Option<&User>, mail: &Mail) -> Arc<Catalog> {
    let wishes = mail.circumstances.languages.iter().map(String::as_str);
    config.languages.best(user.and_then(User::locale).into_iter().chain(wishes))
}

/// A mail with made-up facts, to try how it looks: with network and browser where they are known.
pub(super) fn sample(config: &Config, texts: &Catalog, kind: MailKind, (network, browser): (bool, bool)) -> MailPage {
    let known = |is_known: bool, value: &str| is_known.then(|| value.to_owned());
    let circumstances = Circumstances {
        at: SAMPLE_TIME,
        network: known(network, "203.0.113.0/24"),
        browser: known(browser, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        languages: Vec::new(),
    };
    let mail = Mail {
        id: "sample".to_owned(),
        kind: Some(kind),
        sub: None,
        address: "alice@example.com".to_owned(),
        circumstances,
        created_at: NumericDate(SAMPLE_TIME),
        tries: 1,
    };
    let link = kind.has_link().then(|| LinkSecret::from_random(&[0; 32]));
    page(config, texts, &mail, kind, Some("alice"), link.as_ref())
}

fn page(
    config: &Config,
    texts: &Catalog,
    mail: &Mail,
    kind: MailKind,
    account: Option<&str>,
    link: Option<&LinkSecret>,
) -> MailPage {
    let said = |text: Text<'_>| text.of(texts).to_string();
    let url = |page: &str| format!("{}{page}", config.issuer);
    let account = account.unwrap_or(&mail.address);
    let host = config.host();
    let (subject, words) = about(kind, account, host, &mail.address);
    let link = link.and_then(|link| {
        let (action, page) = action(kind)?;
        let address = format!("{}?link={}", url(page), link.expose());
        Some(MailLink { action: said(action), address })
    });
    let good = link.as_ref().map(|_| said(text("mail-link-good").counting("minutes", LIFETIME / 60)));
    let change = url(RESET_PAGE);
    let passkeys = url(PASSKEYS_PAGE);
    let advice = match kind {
        MailKind::PasswordLink => text("mail-password-link-advice"),
        MailKind::FactorLink => text("mail-factor-link-advice").leading("address", &change),
        MailKind::EmailLink => text("mail-email-link-advice"),
        MailKind::SignUpLink => text("mail-sign-up-link-advice"),
        MailKind::HasAccount => text("mail-has-account-advice").leading("address", &change),
        MailKind::EmailChanged => text("mail-email-changed-advice"),
        MailKind::PasskeyCloned => text("mail-passkey-cloned-advice").leading("address", &passkeys),
        _ => text("mail-advice").leading("address", &change),
    };
    let sender = match &config.organization.name {
        Some(name) => text("footer-of").with("organization", name),
        None => text("footer"),
    };
    MailPage {
        kind,
        language: texts.language().to_owned(),
        direction: texts.direction().as_str(),
        // A header is one line, whatever an operator's catalog says.
        subject: said(subject).split_whitespace().collect::<Vec<_>>().join(" "),
        words: std::iter::once(said(words)).chain(good).collect(),
        link,
        facts: facts(mail, texts),
        advice: said(advice),
        sender: said(sender),
        issuer: config.issuer.clone(),
        help: config.organization.help_url.clone(),
        color: config.organization.accent.map_or_else(|| ACCENT.to_owned(), |accent| accent.on_light().to_string()),
    }
}

/// What it is about: the subject, and the first sentences.
fn about<'a>(kind: MailKind, account: &'a str, host: &'a str, address: &'a str) -> (Text<'static>, Text<'a>) {
    match kind {
        MailKind::PasswordLink => (
            text("mail-password-link-subject"),
            text("mail-password-link").with("account", account).leading("host", host),
        ),
        MailKind::FactorLink => {
            (text("mail-factor-link-subject"), text("mail-factor-link").with("account", account).leading("host", host))
        }
        MailKind::EmailLink => (
            text("mail-email-link-subject"),
            text("mail-email-link").with("account", account).leading("host", host).leading("address", address),
        ),
        MailKind::SignUpLink => (
            text("mail-sign-up-link-subject"),
            text("mail-sign-up-link").leading("host", host).leading("address", address),
        ),
        MailKind::HasAccount => {
            (text("mail-has-account-subject"), text("mail-has-account").with("account", account).leading("host", host))
        }
        MailKind::PasswordChanged => (
            text("mail-password-changed-subject"),
            text("mail-password-changed").with("account", account).leading("host", host),
        ),
        MailKind::PasswordReset => (
            text("mail-password-reset-subject"),
            text("mail-password-reset").with("account", account).leading("host", host),
        ),
        MailKind::PasswordSet => (
            text("mail-password-set-subject"),
            text("mail-password-set").with("account", account).leading("host", host),
        ),
        MailKind::EmailChanged => (
            text("mail-email-changed-subject"),
            text("mail-email-changed").with("account", account).leading("host", host),
        ),
        MailKind::FactorAdded => (
            text("mail-factor-added-subject"),
            text("mail-factor-added").with("account", account).leading("host", host),
        ),
        MailKind::FactorRemoved => (
            text("mail-factor-removed-subject"),
            text("mail-factor-removed").with("account", account).leading("host", host),
        ),
        MailKind::PasskeyCloned => (
            text("mail-passkey-cloned-subject"),
            text("mail-passkey-cloned").with("account", account).leading("host", host),
        ),
        MailKind::CodesMade => {
            (text("mail-codes-made-subject"), text("mail-codes-made").with("account", account).leading("host", host))
        }
        MailKind::NewBrowser => {
            (text("mail-new-browser-subject"), text("mail-new-browser").with("account", account).leading("host", host))
        }
    }
}

/// What the link of a mail does, and the page that it opens.
fn action(kind: MailKind) -> Option<(Text<'static>, &'static str)> {
    match kind {
        MailKind::PasswordLink => Some((text("mail-password-link-action"), RESET_PAGE)),
        MailKind::FactorLink => Some((text("mail-factor-link-action"), ENROLLMENT_PAGE)),
        MailKind::EmailLink => Some((text("mail-email-link-action"), EMAIL_LINK_PAGE)),
        MailKind::SignUpLink => Some((text("mail-sign-up-link-action"), SIGN_UP_PAGE)),
        _ => None,
    }
}

fn facts(mail: &Mail, texts: &Catalog) -> Vec<Fact> {
    let circumstances = &mail.circumstances;
    let at = Moment::of(NumericDate(circumstances.at)).shown;
    let fact = |name: Text<'_>, value: &str| Fact {
        name: name.of(texts).to_string(),
        value: texts.beside(value).into_owned(),
    };
    let network = circumstances.network.as_deref().map(|network| fact(text("mail-network"), network));
    let browser = circumstances.browser.as_deref().map(|agent| user_agent::told(agent).of(texts).to_string());
    let browser = browser.map(|browser| fact(text("mail-browser"), &browser));
    std::iter::once(fact(text("mail-at"), &at)).chain(network).chain(browser).collect()
}
