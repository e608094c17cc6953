//! `/invitation`: one who is invited sets a password, and chooses a user name where the operator said none. GET shows the form and
//! spends nothing; POST spends the link and adds the user, who signs in then. So does the link of a sign-up (`sign_up`).
//!
//! As at `/reset`, the link's secret is what the form is proven by.

use crate::caller::{BrowserRequest, check_origin};
use crate::endpoints::new_password::{self, Judged, Said, Typed};
use crate::endpoints::{one_time_link, path};
use crate::protocol::secret::LinkSecret;
use crate::protocol::text::{NameFault, check_new_username, is_claim_in_a_line};
use crate::provider::Provider;
use crate::store::timely;
use crate::store::user_links::{self, Accepted, Entry, Invited};
use crate::store::users::edit::Details;
use crate::store::users::{self, ByLogin, NewUser};
use crate::texts::{Text, text};
use crate::web::answer::PageError;
use crate::web::fault::Fault;
use crate::web::pages::links::{LinkUsedPage, NewPasswordPage};
use crate::web::pages::{self, Chrome};
use crate::web::problems::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// The field of the user name.
const USERNAME: &str = "username";
/// The field and the column of the full name.
const NAME: &str = "name";

/// The form behind an invitation.
///
/// # Errors
/// A page: the link was used or has ended, a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
    show(&provider, &asked, Entry::Invitation).await
}

/// The form behind a link.
///
/// # Errors
/// As `get`.
pub async fn show(provider: &Provider, asked: &BrowserRequest, entry: Entry) -> Result<Response, PageError> {
    let opened = open(provider, asked, entry).await?;
    Ok(page(provider, &opened, &Chosen::default(), Said::default()))
}

/// A link, and whose account it adds.
struct Opened {
    entry: Entry,
    link: LinkSecret,
    invited: Invited,
}

/// What was typed about who it is.
#[derive(Default)]
struct Chosen {
    username: String,
    full_name: String,
}

impl Chosen {
    /// What counts: of what the operator said, nothing can be typed.
    fn of(asked: &BrowserRequest, invited: &Invited) -> Self {
        let typed = |name: &str| asked.params.get(name).unwrap_or_default().trim().to_owned();
        Self {
            username: invited.username.clone().unwrap_or_else(|| typed(USERNAME)),
            full_name: if invited.columns.contains_key(NAME) { String::new() } else { typed(NAME) },
        }
    }

    fn fault(&self, invited: &Invited) -> Option<Said> {
        let Self { username, full_name } = self;
        let why = match check_new_username(username, &invited.email) {
            Ok(()) => None,
            Err(NameFault::AnothersAddress) => Some(text("link-username-address")),
            Err(NameFault::Length | NameFault::Refused(_)) => Some(text("link-username-odd")),
        };
        let is_name = full_name.is_empty() || is_claim_in_a_line(full_name);
        why.map(|why| Said::error(USERNAME, why))
            .or_else(|| (!is_name).then(|| Said::error(NAME, text("link-name-odd"))))
    }
}

/// Looks at a password, or adds the user.
///
/// # Errors
/// A page: the form is another site's, the link was used or has ended, a doubled parameter, too much to do, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
    take(&provider, &asked, Entry::Invitation).await
}

/// Looks at a password, or adds the user.
///
/// # Errors
/// As `post`.
pub async fn take(provider: &Arc<Provider>, asked: &BrowserRequest, entry: Entry) -> Result<Response, PageError> {
    check_origin(provider, asked)?;
    let opened = open(provider, asked, entry).await?;
    let Opened { link, invited, .. } = &opened;
    let (chosen, typed) = (Chosen::of(asked, invited), Typed::of(&asked.params, text("link-password-missing")));
    let show = |said: Said| Ok(page(provider, &opened, &chosen, said));
    let others = invited.columns.values().map(String::as_str).chain([chosen.full_name.as_str()]);
    let names = new_password::names(Some(&chosen.username), Some(&invited.email), others);
    let prepared = match new_password::judge(provider, names, typed).await? {
        Judged::Taken(prepared) => prepared,
        Judged::Said(said) => return show(said),
    };
    if let Some(said) = chosen.fault(invited) {
        return show(said);
    }
    // A name that is taken costs no hash: the link is as good as before, and could be tried without end.
    if invited.username.is_none() {
        let found = timely(users::find_by_login(&provider.db, &chosen.username)).await?;
        if !matches!(found, ByLogin::NoUser) {
            return show(Said::error(USERNAME, text("link-username-taken")));
        }
    }
    let made = provider.passwords.make(prepared).await.map_err(|_| Problem::Busy)?;
    let Some(password_hash) = made else { return Err(Fault::bug("a prepared password was not hashed").into()) };
    let mut columns: Vec<(&'static str, Option<&str>)> = users::edit::COLUMNS
        .iter()
        .filter_map(|column| Some((*column, Some(invited.columns.get(*column)?.as_str()))))
        .collect();
    if !chosen.full_name.is_empty() {
        columns.push((NAME, Some(&chosen.full_name)));
    }
    let sub = users::new_sub();
    let user = NewUser {
        sub: &sub,
        username: &chosen.username,
        email: &invited.email,
        email_verified: invited.email_verified,
        // While two users have an address, neither could sign in by it.
        may_share_address: false,
        details: Details { columns, phone_number_verified: invited.phone_number_verified },
        password_hash: &password_hash,
        now: asked.now,
    };
    let network = asked.network.to_string();
    match timely(user_links::accept(&provider.db, (link, entry), &user, &invited.groups, &network)).await? {
        Accepted::Done => Ok(pages::render(StatusCode::OK, &used(provider), None)),
        Accepted::LinkGone => Err(Problem::LinkOver.into()),
        Accepted::NameTaken if invited.username.is_some() => show(Said::error("", text("link-username-gone"))),
        Accepted::NameTaken => show(Said::error(USERNAME, text("link-username-taken"))),
        Accepted::AddressTaken => show(Said::error("", text("link-address-taken"))),
    }
}

/// The link of a request, and whose account it adds.
async fn open(provider: &Provider, asked: &BrowserRequest, entry: Entry) -> Result<Opened, PageError> {
    let link = one_time_link::secret_of(asked)?;
    let found = timely(user_links::find_entry(&provider.db, &link, entry, asked.now)).await?;
    let invited = found.filter(|invited| match entry {
        Entry::Invitation => true,
        // The setting may have changed since it was mailed.
        Entry::SignUp => provider.config.sign_up.admits(&invited.email),
    });
    Ok(Opened { entry, link, invited: invited.ok_or(Problem::LinkOver)? })
}

/// What the page is about, where its form goes, and what the button says.
#[must_use]
pub fn words(entry: Entry) -> (Text<'static>, &'static str, Text<'static>) {
    match entry {
        Entry::Invitation => (text("invitation-heading"), path::INVITATION, text("invitation-submit")),
        Entry::SignUp => (text("sign-up-account-heading"), path::SIGN_UP, text("sign-up-account-submit")),
    }
}

fn page(provider: &Provider, opened: &Opened, chosen: &Chosen, said: Said) -> Response {
    let Opened { entry, link, invited } = opened;
    let (heading, action, submit) = words(*entry);
    let status = said.status();
    let page = NewPasswordPage {
        page: Chrome::new(&provider.config, &heading),
        heading,
        lede: None,
        action,
        link: link.expose().to_owned(),
        username: invited.username.clone().unwrap_or_else(|| chosen.username.clone()),
        chooses_username: invited.username.is_none(),
        full_name: (!invited.columns.contains_key(NAME)).then(|| chosen.full_name.clone()),
        account: Some(match &invited.username {
            Some(username) => format!("{username} · {}", invited.email),
            None => invited.email.clone(),
        }),
        error: said.error,
        field: said.field,
        strength: said.strength.map(new_password::told),
        advice: said.strength.map(new_password::advice),
        submit,
    };
    pages::render(status, &page, None)
}

fn used(provider: &Provider) -> LinkUsedPage<'static> {
    let heading = text("invitation-done-heading");
    LinkUsedPage { page: Chrome::new(&provider.config, &heading), heading, message: text("invitation-done") }
}
