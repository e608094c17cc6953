//! What `hallpass client new` asks an operator for: only what no flag has said, each with its default.

use super::new::New;
use super::products::{Product, base_of};
use super::settings::Stack;
use crate::commands::acceptance::{Acceptance, address_fault, audience_fault, client_id_fault};
use crate::commands::terminal::{self, ask_until, yes_or_no};
use crate::failure::Failure;
use crate::protocol::response::{ApplicationType, ClientAuthMethod, ConsentPolicy, GrantType, PkcePolicy, YesNo};
use clap::ValueEnum as _;

/// Where a service runs, which decides several columns at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server,
    Browser,
    Native,
    Machine,
}

pub(super) fn ask(new: &mut New) -> Result<(), Failure> {
    // An operator who has said all that is usually said is not held up by questions.
    if !new.redirect_uri.is_empty() && new.name.is_some() && new.consent.is_some() {
        return Ok(());
    }
    if let Some(fault) = client_id_fault(&new.id).filter(|fault| !fault.is_accepted_by(&new.accept)) {
        return Err(fault.failure());
    }
    eprintln!("Registering the client {}. Enter takes what is in brackets; Ctrl-C leaves nothing behind.\n", new.id);
    if new.name.is_none() {
        new.name = Some(terminal::ask("Name, as users read it", Some(&new.id))?);
    }
    let kind = kind(new)?;
    if kind == Kind::Machine {
        if new.audience.is_empty() {
            let api = ask_until("The API that it calls, its URI", Some("none"), |text| match text {
                "none" => Ok(None),
                uri => match audience_fault(uri).filter(|fault| !fault.is_accepted_by(&new.accept)) {
                    Some(fault) => Err(fault.failure()),
                    None => Ok(Some(uri.to_owned())),
                },
            })?;
            new.audience.extend(api);
        }
        return settings(new);
    }
    // The answer would be ignored (RFC 8252 section 8.6).
    let always_asks = kind == Kind::Native && is_public(new);
    if new.consent.is_none() && !always_asks {
        new.consent = Some(consent()?);
    }
    let application_type = new.application_type.unwrap_or(ApplicationType::Web);
    if new.redirect_uri.is_empty() && new.resource.is_none() {
        redirect_uris(new, application_type)?;
    }
    if new.post_logout_redirect_uri.is_empty() {
        let question = "Post-logout redirect URI, where the browser may go after a sign-out";
        new.post_logout_redirect_uri.extend(optional_uri(question, application_type, &new.accept)?);
    }
    if kind == Kind::Server && new.backchannel_logout_uri.is_none() && new.frontchannel_logout_uri.is_none() {
        let question = "Back-channel logout URI, where it is told that a user signed out elsewhere";
        new.backchannel_logout_uri = optional_uri(question, ApplicationType::Web, &new.accept)?;
    }
    if kind == Kind::Server && new.initiate_login_uri.is_none() {
        let question =
            "Login initiation URI, where it starts a sign-in by itself, for those who sat long at the login page";
        new.initiate_login_uri = optional_uri(question, ApplicationType::Web, &new.accept)?;
    }
    if kind == Kind::Server && new.pkce.is_none() {
        let can = ask_until("Its library can do PKCE (S256), as nearly all can (yes, no)", Some("yes"), yes_or_no)?;
        new.pkce = Some(if can { PkcePolicy::Required } else { PkcePolicy::Optional });
    }
    if new.claims_in_id_token.is_none() {
        let question = "Name and e-mail in the id_token too, where most libraries look for them (yes, no)";
        let is_wanted = ask_until(question, Some("yes"), yes_or_no)?;
        new.claims_in_id_token = Some(if is_wanted { YesNo::Yes } else { YesNo::No });
    }
    settings(new)
}

/// Whether a client with the name of a product, of which nothing more was said, is that product.
pub(super) fn is_meant(new: &New, product: &Product) -> Result<bool, Failure> {
    let is_said = !new.redirect_uri.is_empty() || !new.grant.is_empty() || new.resource.is_some() || is_public(new);
    if is_said || new.settings.is_some() {
        return Ok(false);
    }
    let question = format!("It is {}, whose addresses and settings are known (yes, no)", product.name);
    ask_until(&question, Some("yes"), yes_or_no)
}

/// What no table knows of a product: where it is, and who runs it.
pub(super) fn ask_of_product(new: &mut New, product: &Product) -> Result<(), Failure> {
    if let Some(fault) = client_id_fault(&new.id).filter(|fault| !fault.is_accepted_by(&new.accept)) {
        return Err(fault.failure());
    }
    if product.needs_url(new) {
        let question = format!("Where browsers find {}, such as https://{}.example.com", product.name, new.id);
        new.url = Some(ask_until(&question, None, base_of)?);
    }
    if new.consent.is_none() {
        new.consent = Some(consent()?);
    }
    eprintln!();
    Ok(())
}

fn consent() -> Result<ConsentPolicy, Failure> {
    let question = "One of your own services, so that users are not asked for consent (yes, no)";
    let own = ask_until(question, Some("no"), yes_or_no)?;
    Ok(if own { ConsentPolicy::Skip } else { ConsentPolicy::Ask })
}

fn is_public(new: &New) -> bool {
    new.public || new.auth_method == Some(ClientAuthMethod::None)
}

/// What the flags say it is, or the answer, written where the flags would be.
fn kind(new: &mut New) -> Result<Kind, Failure> {
    let is_public = is_public(new);
    let said = match new.application_type {
        _ if !new.redirect_uri.is_empty() && !is_public => Some(Kind::Server),
        _ if new.grant == [GrantType::ClientCredentials] => Some(Kind::Machine),
        Some(ApplicationType::Native) => Some(Kind::Native),
        _ if is_public => Some(Kind::Browser),
        _ if new.auth_method.is_some() || !new.grant.is_empty() || new.resource.is_some() => Some(Kind::Server),
        _ => None,
    };
    if let Some(kind) = said {
        return Ok(kind);
    }
    let question = "Where it runs: server, browser (no server behind it), native (on the user's own machine), machine (without users)";
    let kind = ask_until(question, Some("server"), |text| match text {
        "server" => Ok(Kind::Server),
        "browser" => Ok(Kind::Browser),
        "native" => Ok(Kind::Native),
        "machine" => Ok(Kind::Machine),
        _ => Err(Failure::new("answer server, browser, native or machine")),
    })?;
    match kind {
        Kind::Server => {}
        Kind::Browser => new.public = true,
        Kind::Native => {
            new.public = true;
            new.application_type = Some(ApplicationType::Native);
        }
        Kind::Machine => new.grant = vec![GrantType::ClientCredentials],
    }
    Ok(kind)
}

fn redirect_uris(new: &mut New, application_type: ApplicationType) -> Result<(), Failure> {
    let example = match application_type {
        ApplicationType::Web => format!("https://{}.example.com/signin-oidc", new.id),
        ApplicationType::Native => "http://127.0.0.1/callback".to_owned(),
    };
    let question = format!("Redirect URI, where answers are sent; compared exactly, such as {example}");
    let first = ask_until(&question, None, |text| checked(text, application_type, &new.accept))?;
    new.redirect_uri.push(first);
    while let Some(another) = optional_uri("Another redirect URI", application_type, &new.accept)? {
        new.redirect_uri.push(another);
    }
    Ok(())
}

fn optional_uri(
    question: &str,
    application_type: ApplicationType,
    accepted: &[Acceptance],
) -> Result<Option<String>, Failure> {
    ask_until(question, Some("none"), |text| match text {
        "none" => Ok(None),
        uri => checked(uri, application_type, accepted).map(Some),
    })
}

fn checked(uri: &str, application_type: ApplicationType, accepted: &[Acceptance]) -> Result<String, Failure> {
    if uri.is_empty() {
        return Err(Failure::new("this one is needed: users could not come back from signing in"));
    }
    match address_fault(uri, application_type).filter(|fault| !fault.is_accepted_by(accepted)) {
        Some(fault) => Err(fault.failure()),
        None => Ok(uri.to_owned()),
    }
}

fn settings(new: &mut New) -> Result<(), Failure> {
    if new.settings.is_none() && !new.json {
        let names: Vec<String> = Stack::value_variants().iter().map(|stack| stack.name().to_owned()).collect();
        let question = format!("Settings to print ({})", names.join(", "));
        let stack = ask_until(&question, Some("env"), |text| {
            Stack::from_str(text, true).map_err(|_| Failure::new(format!("answer one of {}", names.join(", "))))
        })?;
        new.settings = Some(stack);
    }
    eprintln!();
    Ok(())
}
