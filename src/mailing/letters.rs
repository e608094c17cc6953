//! What mails say: plain and with markup, from the catalog. No word of one is from a request, but for the network and, in words of ours,
//! the browser; and none of a subject is from a user.

use crate::config::Config;
use crate::mail::Letter;
use crate::protocol::claims::User;
use crate::protocol::mail::MailKind;
use crate::protocol::secret::LinkSecret;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::mail_outbox::Mail;
use crate::store::user_links::LIFETIME;
use crate::texts::{Catalog, Text, text};
use crate::web::pages::account::Moment;
use crate::web::user_agent;
use askama::Template;
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

/// What the button of a mail is written on, where the organization has no color: `--accent` of `templates/hallpass.css`.
const ACCENT: &str = "#0d5e4d";

/// A link of a mail.
pub struct MailLink {
    /// What it does.
    pub action: String,
    /// Where it leads.
    pub address: String,
}

/// When, from where or by which browser.
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
    /// BCP 47.
    pub language: &'static str,
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
    let page = page(provider, mail, kind, user, link);
    Letter {
        // A notice that comes twice can be told by it; one with a link has another one each time.
        id: if link.is_some() { format!("{}.{}", mail.id, mail.tries) } else { mail.id.clone() },
        to: mail.address.clone(),
        is_to_typed_address: kind.is_to_typed_address(),
        plain: page.plain(),
        html: page.render().unwrap_or_default(),
        subject: page.subject,
    }
}

/// The texts of a mail: in the language of the user, else in that of the request that it is about.
fn texts(config: &Config, user: Option<&User>, mail: &Mail) -> Arc<Catalog> {
    let wishes = mail.circumstances.languages.iter().map(String::as_str);
    config.languages.best(user.and_then(User::locale).into_iter().chain(wishes))
}

fn page(provider: &Provider, mail: &Mail, kind: MailKind, user: Option<&User>, link: Option<&LinkSecret>) -> MailPage {
    let config = &provider.config;
    let texts = &*texts(config, user, mail);
    let said = |text: Text<'_>| text.of(texts).to_string();
    let account = user.map(|user| user.username.as_deref().unwrap_or_else(|| user.display_name()));
    let account = account.unwrap_or(&mail.address);
    let host = config.host();
    let (subject, words) = about(kind, account, host, &mail.address);
    let link = link.and_then(|link| {
        let (action, page) = action(kind)?;
        let address = format!("{}?link={}", provider.url(page), link.expose());
        Some(MailLink { action: said(action), address })
    });
    let good = link.as_ref().map(|_| said(text("mail-link-good").counting("minutes", LIFETIME / 60)));
    let change = provider.url(RESET_PAGE);
    let passkeys = provider.url(PASSKEYS_PAGE);
    let advice = match kind {
        MailKind::PasswordLink => text("mail-password-link-advice"),
        MailKind::FactorLink => text("mail-factor-link-advice").with("address", &change),
        MailKind::EmailLink => text("mail-email-link-advice"),
        MailKind::SignUpLink => text("mail-sign-up-link-advice"),
        MailKind::HasAccount => text("mail-has-account-advice").with("address", &change),
        MailKind::EmailChanged => text("mail-email-changed-advice"),
        MailKind::PasskeyCloned => text("mail-passkey-cloned-advice").with("address", &passkeys),
        _ => text("mail-advice").with("address", &change),
    };
    let sender = match &config.organization.name {
        Some(name) => text("footer-of").with("organization", name),
        None => text("footer"),
    };
    MailPage {
        language: texts.language(),
        subject: said(subject),
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
        MailKind::PasswordLink => {
            (text("mail-password-link-subject"), text("mail-password-link").with("account", account).with("host", host))
        }
        MailKind::FactorLink => {
            (text("mail-factor-link-subject"), text("mail-factor-link").with("account", account).with("host", host))
        }
        MailKind::EmailLink => (
            text("mail-email-link-subject"),
            text("mail-email-link").with("account", account).with("host", host).with("address", address),
        ),
        MailKind::SignUpLink => {
            (text("mail-sign-up-link-subject"), text("mail-sign-up-link").with("host", host).with("address", address))
        }
        MailKind::HasAccount => {
            (text("mail-has-account-subject"), text("mail-has-account").with("account", account).with("host", host))
        }
        MailKind::PasswordChanged => (
            text("mail-password-changed-subject"),
            text("mail-password-changed").with("account", account).with("host", host),
        ),
        MailKind::PasswordReset => (
            text("mail-password-reset-subject"),
            text("mail-password-reset").with("account", account).with("host", host),
        ),
        MailKind::PasswordSet => {
            (text("mail-password-set-subject"), text("mail-password-set").with("account", account).with("host", host))
        }
        MailKind::EmailChanged => {
            (text("mail-email-changed-subject"), text("mail-email-changed").with("account", account).with("host", host))
        }
        MailKind::FactorAdded => {
            (text("mail-factor-added-subject"), text("mail-factor-added").with("account", account).with("host", host))
        }
        MailKind::FactorRemoved => (
            text("mail-factor-removed-subject"),
            text("mail-factor-removed").with("account", account).with("host", host),
        ),
        MailKind::PasskeyCloned => (
            text("mail-passkey-cloned-subject"),
            text("mail-passkey-cloned").with("account", account).with("host", host),
        ),
        MailKind::CodesMade => {
            (text("mail-codes-made-subject"), text("mail-codes-made").with("account", account).with("host", host))
        }
        MailKind::NewBrowser => {
            (text("mail-new-browser-subject"), text("mail-new-browser").with("account", account).with("host", host))
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
    let fact = |name: Text<'_>, value: String| Fact { name: name.of(texts).to_string(), value };
    let network = circumstances.network.clone().map(|network| fact(text("mail-network"), network));
    let browser = circumstances.browser.as_deref().map(|agent| user_agent::told(agent).of(texts).to_string());
    let browser = browser.map(|browser| fact(text("mail-browser"), browser));
    std::iter::once(fact(text("mail-at"), at)).chain(network).chain(browser).collect()
}
