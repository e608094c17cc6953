//! `/invitation`: one who is invited sets a password, and chooses a user name where the operator said none. GET shows the form and
//! spends nothing; POST spends the link and adds the user, who signs in then.
//!
//! As at `/reset`, the link's secret is what the form is proven by.

use crate::caller::{BrowserRequest, check_origin};
use crate::endpoints::new_password::{self, Judged, Said, Typed};
use crate::endpoints::path;
use crate::protocol::secret::LinkSecret;
use crate::protocol::text as prepared;
use crate::provider::Provider;
use crate::store::timely;
use crate::store::user_links::{self, Accepted, Invited};
use crate::store::users::edit::Details;
use crate::store::users::{self, NewUser};
use crate::texts::{Text, text};
use crate::web::answer::{PageError, see_other};
use crate::web::fault::Fault;
use crate::web::pages::links::{LinkUsedPage, NewPasswordPage};
use crate::web::pages::{self, Chrome};
use crate::web::problems::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// The longest user name, in bytes, and the longest full name, in characters.
const MOST_BYTES: usize = 255;
const LONGEST_NAME: usize = 200;

/// The column of the full name.
const NAME: &str = "name";

/// The form behind an invitation.
///
/// # Errors
/// A page: the link was used or has ended, a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
    if asked.params.get("done").is_some() {
        return Ok(pages::render(StatusCode::OK, &used(&provider), None));
    }
    let (link, invited) = open(&provider, &asked).await?;
    Ok(page(&provider, &link, &invited, &Chosen::default(), Said::default()))
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
            username: invited.username.clone().unwrap_or_else(|| typed("username")),
            full_name: if invited.columns.contains_key(NAME) { String::new() } else { typed("name") },
        }
    }

    fn fault(&self, invited: &Invited) -> Option<Text<'static>> {
        let Self { username, full_name } = self;
        let is_name = !username.is_empty() && username.len() <= MOST_BYTES && prepared::username(username).is_ok();
        if !is_name {
            return Some(text("link-username-odd"));
        }
        // It would be taken for another user's address.
        if username.contains('@') && prepared::fold_username(username) != prepared::fold_email(&invited.email) {
            return Some(text("link-username-address"));
        }
        let is_text = full_name.chars().count() <= LONGEST_NAME && !full_name.chars().any(char::is_control);
        (!is_text).then(|| text("link-name-odd"))
    }
}

/// Looks at a password, or adds the user.
///
/// # Errors
/// A page: the form is another site's, the link was used or has ended, a doubled parameter, too much to do, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
    check_origin(&provider, &asked)?;
    let (link, invited) = open(&provider, &asked).await?;
    let (chosen, typed) = (Chosen::of(&asked, &invited), Typed::of(&asked.params, text("link-password-missing")));
    let show = |said: Said| Ok(page(&provider, &link, &invited, &chosen, said));
    let known_names = [chosen.username.clone(), chosen.full_name.clone(), invited.email.clone()];
    let names = known_names.into_iter().chain(invited.columns.values().cloned()).collect();
    let prepared = match new_password::judge(&provider, names, typed).await? {
        Judged::Taken(prepared) => prepared,
        Judged::Said(said) => return show(said),
    };
    if let Some(error) = chosen.fault(&invited) {
        return show(Said::error(error));
    }
    // While two users have an address, neither could sign in by it.
    if !timely(users::with_address(&provider.db, &invited.email)).await?.is_empty() {
        return show(Said::error(text("link-address-taken")));
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
    let sub = user_links::new_sub();
    let user = NewUser {
        sub: &sub,
        username: &chosen.username,
        email: &invited.email,
        email_verified: invited.email_verified,
        details: Details { columns, phone_number_verified: None },
        password_hash: &password_hash,
        now: asked.now,
    };
    let network = asked.network.to_string();
    match timely(user_links::accept(&provider.db, &link, &user, &invited.groups, &network)).await? {
        Accepted::Done => Ok(see_other(&format!("{}?done=1", provider.url(path::INVITATION)))?),
        Accepted::LinkGone => Err(Problem::LinkOver.into()),
        Accepted::NameTaken => show(Said::error(text("link-username-taken"))),
    }
}

/// The link of a request, and who it invites.
async fn open(provider: &Provider, asked: &BrowserRequest) -> Result<(LinkSecret, Invited), PageError> {
    let Some(link) = asked.params.get("link").and_then(user_links::received) else {
        return Err(Problem::LinkOver.into());
    };
    let invited = timely(user_links::find_invitation(&provider.db, &link, asked.now)).await?;
    Ok((link, invited.ok_or(Problem::LinkOver)?))
}

fn page(provider: &Provider, link: &LinkSecret, invited: &Invited, chosen: &Chosen, said: Said) -> Response {
    let heading = text("invitation-heading");
    let status = said.status();
    let page = NewPasswordPage {
        page: Chrome::new(&provider.config, &heading),
        heading,
        lede: None,
        action: path::INVITATION,
        link: link.expose().to_owned(),
        username: invited.username.clone().unwrap_or_else(|| chosen.username.clone()),
        chooses_username: invited.username.is_none(),
        full_name: (!invited.columns.contains_key(NAME)).then(|| chosen.full_name.clone()),
        account: Some(match &invited.username {
            Some(username) => format!("{username} · {}", invited.email),
            None => invited.email.clone(),
        }),
        error: said.error,
        strength: said.strength.map(new_password::told),
        advice: said.strength.map(new_password::advice),
        submit: text("invitation-submit"),
    };
    pages::render(status, &page, None)
}

fn used(provider: &Provider) -> LinkUsedPage {
    let heading = text("invitation-done-heading");
    LinkUsedPage { page: Chrome::new(&provider.config, &heading), heading, message: text("invitation-done") }
}
