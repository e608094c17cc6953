//! `hallpass user reset-link`, `factor link`, `invite`, `invitations`: one-time links, by which users set passwords and second factors
//! themselves.

use super::import::csv_file::CsvFile;
use super::{address_fault, details, document_of, find, is_same, name_gone, named, shared_address, username_fault};
use crate::ambient::{Clock, random};
use crate::commands::terminal::{Report, instant, one_line, wrong_usage};
use crate::commands::{Outcome, group, terminal};
use crate::config::Config;
use crate::endpoints::path;
use crate::failure::Failure;
use crate::protocol::claims::User;
use crate::protocol::difference::most_like;
use crate::protocol::secret::LinkSecret;
use crate::protocol::text;
use crate::protocol::time::NumericDate;
use crate::startup;
use crate::store::db::Db;
use crate::store::groups;
use crate::store::user_links::{self, Invited, LIFETIME, NewLink, Purpose};
use crate::store::users::edit::COLUMNS;
use crate::store::users::{self, tombstones};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub(super) const RESET_HELP: &str =
    "It is good for half an hour and for one use, and opens no sign-in: the user sets a password with it, and signs in with that \
one. All sign-ins and refresh tokens of the user end then, and so does every other link. A second link takes the place of the first. \
Hand it to the user alone: who has it sets the password.

Examples:
  hallpass user reset-link alice
  hallpass user reset-link alice --json | jq -r .link
  hallpass user reset-link alice --revoke      end it before it is used";

pub(super) const FACTOR_HELP: &str =
    "It is good for half an hour and for one use, and only together with the user's password, which is asked for first. It opens no \
sign-in: the user signs in afterwards, by both. Make sure who asks you for it. A new password ends it.

Examples:
  hallpass user factor link alice
  hallpass user factor link alice --revoke      end it before it is used";

pub(super) const INVITE_HELP: &str =
    "There is no account until the link is used: the user chooses a password then, and a user name where none is said. It is good for a \
week and for one use. Another invitation of the same address takes the place of the first. Your word is proof: services are told \
that the address is verified, unless --email-unverified says otherwise.

A CSV file has a column email, and at will username, groups (separated by |), name, given_name, family_name and every other \
standard claim that has a column. What cannot be taken is named, and the rest is invited; the status is 1 then. Addresses and \
links go to standard output.

Examples:
  hallpass user invite alice@example.com --name \"Alice Example\" --group staff
  hallpass user invite --csv new-people.csv > links.csv";

pub(super) const INVITATIONS_HELP: &str = "Links are shown once, when they are made.

Examples:
  hallpass user invitations
  hallpass user invitations --revoke alice@example.com";

/// How long an invitation is good for, in days, where nothing else is said; and at the most.
const DAYS: i64 = 7;
const MOST_DAYS: i64 = 30;
/// How many can be invited at once.
const MOST_INVITED: usize = 10_000;
/// What stands between groups in CSV.
const BETWEEN_GROUPS: char = '|';

#[derive(clap::Args)]
pub(in crate::commands) struct UserLink {
    /// User name or e-mail address
    username: String,
    /// End the link of the user instead
    #[arg(long)]
    revoke: bool,
    #[command(flatten)]
    report: Report,
}

#[derive(clap::Args)]
pub(in crate::commands) struct Invite {
    /// The address of whom is invited
    #[arg(required_unless_present = "csv", conflicts_with = "csv")]
    email: Option<String>,
    /// What the user types at sign-in; the user chooses it where nothing is said
    #[arg(long, conflicts_with = "csv")]
    username: Option<String>,
    /// A group that the user is to be in; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Invite all of a CSV file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// The addresses are not verified to be theirs
    #[arg(long)]
    email_unverified: bool,
    /// For how many days the link is good, 1 to 30
    #[arg(long, value_name = "DAYS", default_value_t = DAYS, value_parser = clap::value_parser!(i64).range(1..=MOST_DAYS))]
    days: i64,
    #[command(flatten)]
    report: Report,
    #[command(flatten)]
    details: details::Details,
}

#[derive(clap::Args)]
pub(in crate::commands) struct Invitations {
    /// End the invitation of that address
    #[arg(long, value_name = "EMAIL")]
    revoke: Option<String>,
    #[command(flatten)]
    report: Report,
}

fn new_link() -> LinkSecret {
    LinkSecret::from_random(&random::<32>())
}

/// The address of a page that a link opens.
fn address(config: &Config, page: &str, link: &LinkSecret) -> String {
    format!("{}{page}?link={}", config.issuer, link.expose())
}

fn disabled(user: &User, username: &str) -> Failure {
    let what = format!("{} is disabled, and a link would not work", named(user));
    Failure::new(what).with_fix(format!("hallpass user enable {}", terminal::shell(username)))
}

/// A link of a user is made, or ended.
async fn of_user(
    config: Config,
    UserLink { username, revoke, report }: &UserLink,
    purpose: Purpose,
    page: &str,
    refused: impl FnOnce(&User) -> Option<Failure>,
) -> Outcome {
    let db = terminal::open_database(&config).await?;
    let user = find(&db, username).await?;
    let now = Clock::System.now();
    if *revoke {
        let ended = user_links::revoke(&db, &user.sub, purpose, now).await?;
        db.close().await;
        let own = json!({ "link": null, "expires_at": null, "links_ended": ended });
        report.print(&document_of(&user, own), None)?;
        eprintln!("ended {} of {}", super::counted(ended, "link"), named(&user));
        return Ok(());
    }
    if user.disabled_at.is_some() {
        return Err(disabled(&user, username));
    }
    if let Some(failure) = refused(&user) {
        return Err(failure);
    }
    let link = new_link();
    let new = NewLink { link: &link, sub: &user.sub, credential: &user.credential, purpose, now };
    let Some(replaced) = user_links::make(&db, &new).await? else { return Err(disabled(&user, username)) };
    db.close().await;
    let (shown, until) = (address(&config, page, &link), now.plus(LIFETIME));
    let own = json!({ "link": shown, "expires_at": instant(until), "links_ended": u64::from(replaced) });
    report.print(&document_of(&user, own), Some(&shown))?;
    let before = if replaced { "; the one that was made before ends" } else { "" };
    eprintln!("a link for {}, good until {} and for one use{before}", named(&user), instant(until));
    Ok(())
}

pub(super) async fn reset_link(config: Config, arguments: &UserLink) -> Outcome {
    of_user(config, arguments, Purpose::Password, path::RESET, |_| None).await
}

pub(super) async fn factor_link(config: Config, arguments: &UserLink) -> Outcome {
    let refused = |user: &User| {
        let name = terminal::shell(&arguments.username);
        if user.has_second_factor() {
            let what = format!("{} has a second factor, and adds another one at /account", named(user));
            let fix = format!("if it is lost: `hallpass user factor remove {name} --all`, and then the link");
            return Some(Failure::new(what).with_fix(fix));
        }
        user.password_hash.is_none().then(|| {
            let what = format!("{} has no password, and a link would not work without it", named(user));
            Failure::new(what).with_fix(format!("`hallpass user reset-link {name}` first"))
        })
    };
    of_user(config, arguments, Purpose::Factor, path::ENROLLMENT, refused).await
}

pub(super) async fn invite(config: Config, arguments: &Invite) -> Outcome {
    const PATH: &[&str] = &["user", "invite"];
    let db = startup::open_database(&config).await?;
    let mut faults = Vec::new();
    let invited = match (&arguments.csv, &arguments.email) {
        (Some(file), _) => {
            let details = arguments.details.read()?;
            if !details.columns.is_empty() || details.phone_number_verified.is_some() {
                wrong_usage(PATH, "--csv: claims are columns of the file");
            }
            of_csv(&db, arguments, file, &mut faults).await?
        }
        (None, Some(email)) => {
            let details = arguments.details.read()?;
            let text = |(column, text): &(&str, Option<&str>)| Some(((*column).to_owned(), (*text)?.to_owned()));
            let invited = Invited {
                email: email.clone(),
                email_verified: !arguments.email_unverified,
                phone_number_verified: details.phone_number_verified,
                username: arguments.username.clone(),
                columns: details.columns.iter().filter_map(text).collect(),
                groups: arguments.groups.clone(),
            };
            if let Some(fault) = fault(&db, &invited, &promised(&db).await?).await? {
                return Err(fault);
            }
            vec![invited]
        }
        (None, None) => Vec::new(),
    };
    let now = Clock::System.now();
    let lifetime = arguments.days * 86_400;
    let made: Vec<(LinkSecret, Invited)> = invited.into_iter().map(|invited| (new_link(), invited)).collect();
    if !made.is_empty() {
        user_links::invite(&db, &made, lifetime, now).await?;
    }
    db.close().await;
    told(&config, arguments, &made, &faults, now.plus(lifetime))
}

fn told(
    config: &Config,
    arguments: &Invite,
    made: &[(LinkSecret, Invited)],
    faults: &[(u64, Failure)],
    until: NumericDate,
) -> Outcome {
    let link = |link: &LinkSecret| address(config, path::INVITATION, link);
    let invitations = made.iter().map(|(secret, invited)| {
        json!({ "email": invited.email, "username": invited.username, "groups": invited.groups, "link": link(secret), "expires_at": instant(until) })
    });
    let told = faults.iter().map(|(line, fault)| json!({ "line": line, "why": fault.to_string(), "fix": fault.fix() }));
    let document =
        json!({ "invitations": invitations.collect::<Vec<Value>>(), "faults": told.collect::<Vec<Value>>() });
    if arguments.report.is_json() {
        terminal::print_json(&document)?;
    } else if arguments.csv.is_some() {
        let mut writer = csv::Writer::from_writer(std::io::stdout());
        let rows = std::iter::once(["email".to_owned(), "link".to_owned()])
            .chain(made.iter().map(|(secret, invited)| [one_line(&invited.email), link(secret)]));
        for row in rows {
            writer.write_record(row).map_err(|error| Failure::at("standard output", error))?;
        }
        writer.flush().map_err(|error| Failure::at("standard output", error))?;
    } else if let Some((secret, _)) = made.first() {
        println!("{}", link(secret));
    }
    if !arguments.report.is_json() {
        for (line, fault) in faults {
            eprintln!("line {line}: {}", fault.told());
        }
    }
    let invited = super::counted(made.len() as u64, "invitation");
    if !faults.is_empty() {
        let what = format!("{invited} made; {} with faults", super::counted(faults.len() as u64, "line"));
        return Err(Failure::new(what).with_fix("correct the lines above, and leave out the others"));
    }
    eprintln!("{invited} made, good until {} and for one use each", instant(until));
    Ok(())
}

/// The user names that are promised in invitations, each with the address of who is invited, both as they are compared.
type Promised = BTreeMap<String, String>;

async fn promised(db: &Db) -> Result<Promised, Failure> {
    let open = user_links::invitations(db, Clock::System.now()).await?;
    let named = open.into_iter().filter_map(|it| Some((it.invited.username?, it.invited.email)));
    Ok(named.map(|(name, email)| (text::fold_username(&name), text::fold_email(&email))).collect())
}

/// Why there is no invitation of that address, with that name and those groups.
async fn fault(db: &Db, invited: &Invited, promised: &Promised) -> Result<Option<Failure>, Failure> {
    if let Some(why) = address_fault(&invited.email) {
        return Ok(Some(why));
    }
    if let Err(why) = shared_address(db, &invited.email, "", false).await {
        return Ok(Some(why.with_fix("`hallpass user reset-link` makes a link for a user who is here")));
    }
    if let Some(username) = &invited.username {
        if let Some(why) = username_fault(username, &invited.email) {
            return Ok(Some(why));
        }
        if let Some(gone) = tombstones::find(db, "", username).await? {
            return Ok(Some(name_gone(username, &gone)));
        }
        let found = users::find_by_login(db, username).await?.one();
        if found.is_some_and(|user| is_same(user.username.as_deref(), username)) {
            let what = format!("there is a user {:?} already", one_line(username));
            return Ok(Some(Failure::new(what).with_fix("choose another user name, or let the user choose")));
        }
        let other = promised.get(&text::fold_username(username)).filter(|of| **of != text::fold_email(&invited.email));
        if let Some(other) = other {
            let what = format!("the user name {:?} is promised to {} already", one_line(username), one_line(other));
            return Ok(Some(Failure::new(what).with_fix("`hallpass user invitations` names those that are open")));
        }
    }
    for name in &invited.groups {
        if groups::find(db, name, Clock::System.now()).await?.is_none() {
            let what = format!("there is no group {:?}", one_line(name));
            return Ok(Some(Failure::new(what).with_fix(format!("hallpass group new {}", terminal::shell(name)))));
        }
    }
    Ok(None)
}

/// All of a file, and why a line is left out.
async fn of_csv(
    db: &Db,
    arguments: &Invite,
    file: &std::path::Path,
    faults: &mut Vec<(u64, Failure)>,
) -> Result<Vec<Invited>, Failure> {
    let mut rows = CsvFile::open(file)?;
    let headings = rows.headings().to_vec();
    let known = || ["email", "username", "groups"].into_iter().chain(COLUMNS.iter().copied());
    for name in &headings {
        if !known().any(|known| known == name) {
            let near = most_like(name, known(), |name| name, 3);
            let fix =
                near.map_or_else(|| known().collect::<Vec<_>>().join(", "), |near| format!("did you mean {near}?"));
            let what = format!("{}:1: {:?} is no column of an invitation", file.display(), one_line(name));
            return Err(Failure::new(what).with_fix(fix));
        }
    }
    if let Some(twice) = headings.iter().enumerate().find(|(at, name)| headings[..*at].contains(name)) {
        let what = format!("{}:1: the column {} is there twice", file.display(), twice.1);
        return Err(Failure::new(what).with_fix("leave one of them out"));
    }
    if !headings.iter().any(|name| name == "email") {
        let what = format!("{}:1: there is no column email", file.display());
        return Err(Failure::new(what).with_fix("the first line names the columns: email,username,groups,name"));
    }
    let promised = promised(db).await?;
    let (mut invited, mut record) = (Vec::new(), csv::ByteRecord::new());
    let (mut addresses, mut names) = (BTreeSet::new(), BTreeSet::new());
    while let Some(row) = rows.next(&mut record)? {
        let read = row.fault.map_or_else(|| of_record(&headings, &record), Err);
        let mut read = match read {
            Ok(read) => read,
            Err(why) => {
                faults.push((row.line, why));
                continue;
            }
        };
        read.email_verified = !arguments.email_unverified;
        let more = arguments.groups.iter().filter(|group| !read.groups.contains(group)).cloned().collect::<Vec<_>>();
        read.groups.extend(more);
        let mut why = fault(db, &read, &promised).await?;
        if why.is_none() && !arguments.report.is_json() && read.email.starts_with(['=', '+', '-']) {
            let what = format!("{} begins with what a spreadsheet takes for a formula", one_line(&read.email));
            why = Some(Failure::new(what).with_fix("--json prints no file for spreadsheets"));
        }
        if why.is_none() && !addresses.insert(text::fold_email(&read.email)) {
            why = Some(Failure::new("the address is in the file twice"));
        }
        let folded = read.username.as_deref().map(text::fold_username);
        if why.is_none() && folded.is_some_and(|name| !names.insert(name)) {
            why = Some(Failure::new("the user name is in the file twice"));
        }
        match why {
            Some(why) => faults.push((row.line, why)),
            None if invited.len() >= MOST_INVITED => {
                let what = format!("more than {MOST_INVITED} invitations in one file");
                return Err(Failure::new(what).with_fix("divide the file"));
            }
            None => invited.push(read),
        }
    }
    Ok(invited)
}

fn of_record(headings: &[String], record: &csv::ByteRecord) -> Result<Invited, Failure> {
    let mut invited = Invited::default();
    for (name, field) in headings.iter().zip(record) {
        let field =
            std::str::from_utf8(field).map_err(|error| Failure::new(format!("{name} is no UTF-8")).behind(error))?;
        let field = field.trim();
        match name.as_str() {
            _ if field.is_empty() => {}
            "email" => field.clone_into(&mut invited.email),
            "username" => invited.username = Some(field.to_owned()),
            "groups" => {
                let named = field.split(BETWEEN_GROUPS).map(str::trim).filter(|name| !name.is_empty());
                invited.groups = named.map(str::to_owned).collect();
                if let Some(fault) = invited.groups.iter().find_map(|name| group::name_fault(name)) {
                    return Err(fault.about("groups"));
                }
            }
            _ => {
                if let Some(fault) = details::fault(name, field) {
                    return Err(fault.about(name));
                }
                invited.columns.insert(name.clone(), field.to_owned());
            }
        }
    }
    if invited.email.is_empty() {
        return Err(Failure::new("email is missing"));
    }
    Ok(invited)
}

pub(super) async fn invitations(config: Config, arguments: &Invitations) -> Outcome {
    let db = terminal::open_database(&config).await?;
    if let Some(email) = &arguments.revoke {
        let is_changed = user_links::revoke_invitation(&db, email, Clock::System.now()).await?;
        db.close().await;
        if !is_changed {
            let what = format!("{} has no invitation that is open", one_line(email));
            return Err(Failure::new(what).with_fix("`hallpass user invitations` names them"));
        }
        arguments.report.print(&json!({ "email": email, "is_changed": true, "invitations": [] }), None)?;
        eprintln!("the invitation of {} has ended", one_line(email));
        return Ok(());
    }
    let found = user_links::invitations(&db, Clock::System.now()).await?;
    db.close().await;
    let at = |at: i64| instant(NumericDate(at));
    if arguments.report.is_json() {
        let listed = found.iter().map(|it| {
            json!({
                "email": it.invited.email,
                "username": it.invited.username,
                "groups": it.invited.groups,
                "created_at": at(it.created_at),
                "expires_at": at(it.expires_at),
            })
        });
        return terminal::print_json(&json!({ "invitations": listed.collect::<Vec<_>>(), "is_changed": false }));
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|it| {
            let username = it.invited.username.as_deref().unwrap_or("-");
            let groups = it.invited.groups.join(", ");
            let texts = [it.invited.email.as_str(), username, &groups].map(one_line);
            texts.into_iter().chain([at(it.created_at), at(it.expires_at)]).collect()
        })
        .collect();
    print!("{}", terminal::table(&["EMAIL", "USERNAME", "GROUPS", "MADE", "GOOD UNTIL"], &rows));
    if rows.is_empty() {
        eprintln!("No invitation is open. `hallpass user invite EMAIL` makes one.");
    }
    Ok(())
}
