//! `hallpass user …`: the users who can sign in.

mod claim;
mod details;
mod edit;
mod end;
mod export;
mod factor;
mod import;
mod links;
mod sessions;
mod show;

use crate::ambient::Clock;
use crate::commands::page::Page;
use crate::commands::terminal::Report;
use crate::commands::{Outcome, read_secret, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::protocol::claims::User;
use crate::protocol::secret::Password;
use crate::protocol::text::{self, MAX_PASSWORD_BYTES, NameFault};
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::imports::FOR_GOOD;
use crate::store::users::tombstones::{self, Tombstone};
use crate::store::users::{self, Added, Holder, Listed, NewUser};
use crate::{logging, passwords, startup};
use serde_json::{Value, json};

/// The least length of a password that a user chooses (NIST SP 800-63B section 5.1.1.2).
const MIN_PASSWORD_CHARACTERS: usize = 8;

#[derive(clap::Subcommand)]
pub(super) enum UserCommand {
    /// Add a user; the password is asked for
    #[command(after_help = ADD_HELP)]
    Add(Box<Add>),
    /// Show what is known of a user: claims, groups, sign-ins, grants
    #[command(after_help = show::HELP)]
    Show(show::Show),
    /// Change the name, the address or the claims of a user
    #[command(after_help = edit::HELP)]
    Edit(Box<edit::Edit>),
    /// List the users
    #[command(
        after_help = "Examples:\n  hallpass user list\n  hallpass user list --matching example.com --state disabled\n  \
            hallpass user list --limit 100 --after SUB\n  hallpass user list --json | jq -r '.users[].email'"
    )]
    List {
        /// Only those in this state
        #[arg(long)]
        state: Option<State>,
        #[command(flatten)]
        page: Page,
        /// Print a JSON object instead
        #[arg(long)]
        json: bool,
    },
    /// Give a user another password, which ends their sign-ins and refresh tokens
    #[command(
        after_help = "Within ten seconds every sign-in, access token and refresh token of the user has ended, everywhere.\n\n\
            Examples:\n  hallpass user set-password alice\n  hallpass user set-password alice --password-stdin < password.txt"
    )]
    SetPassword {
        /// User name or e-mail address
        username: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        report: Report,
    },
    /// Refuse a user from now on, also where Hallpass runs already
    #[command(
        after_help = "Within ten seconds no sign-in, access token or refresh token of the user counts any more. Nothing is \
            deleted; `hallpass user enable` brings the user back.\n\n\
            Examples:\n  hallpass user disable alice          asks first\n  hallpass user disable alice --yes    in a script"
    )]
    Disable {
        /// User name or e-mail address
        username: String,
        /// Do not ask; a script must say so
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        report: Report,
    },
    /// Let a disabled user sign in again
    #[command(
        after_help = "What ended when the user was disabled stays ended.\n\nExamples:\n  hallpass user enable alice"
    )]
    Enable {
        /// User name or e-mail address
        username: String,
        #[command(flatten)]
        report: Report,
    },
    /// Delete a user, whose sub and user name are never given again
    #[command(after_help = end::DELETE_HELP)]
    Delete(end::Delete),
    /// Print all that is kept of a user, as one JSON document
    #[command(after_help = export::HELP)]
    Export(export::Export),
    /// Delete a user, and erase what the audit and refusals say of the person
    #[command(after_help = end::ERASE_HELP)]
    Erase(end::Erase),
    /// List where a user is signed in, and end it
    #[command(subcommand, after_help = sessions::HELP)]
    Sessions(sessions::SessionsCommand),
    /// List the second factors of a user, and remove them
    #[command(subcommand, after_help = factor::HELP)]
    Factor(factor::FactorCommand),
    /// Say what else is known of a user, and services may be told
    #[command(subcommand, after_help = claim::HELP)]
    Claim(claim::ClaimCommand),
    /// Make a one-time link by which a user sets another password
    #[command(after_help = links::RESET_HELP)]
    ResetLink(links::UserLink),
    /// Make a one-time link by which a new user chooses a password, and perhaps a user name
    #[command(after_help = links::INVITE_HELP)]
    Invite(Box<links::Invite>),
    /// List the invitations that are open, or end one
    #[command(after_help = links::INVITATIONS_HELP)]
    Invitations(links::Invitations),
    /// Bring users over from elsewhere, with the hashes of their passwords
    #[command(after_help = import::help())]
    Import(import::Import),
}

const ADD_HELP: &str =
    "Your word is proof: services are told that the address is verified, unless --email-unverified says \
otherwise. An address that another user has is refused: while two users have it, neither can sign in by it, and \
services, which link accounts by verified addresses, are told that it is not verified.

Examples:
  hallpass user add alice --email alice@example.com --name \"Alice Example\"
  hallpass user add alice --email alice@example.com --password-stdin < password.txt
  hallpass user add desk --email office@example.com --shared-email

The user's sub goes to standard output.";

#[derive(clap::Args)]
pub(super) struct Add {
    /// What the user types at sign-in
    username: String,
    /// E-mail address
    #[arg(long)]
    email: String,
    #[command(flatten)]
    address: details::Address,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    report: Report,
    #[command(flatten)]
    details: details::Details,
}

pub(super) async fn run(config: Config, command: UserCommand) -> Outcome {
    logging::start("warn");
    match command {
        UserCommand::Add(person) => add(config, &person).await,
        UserCommand::List { state, page, json } => list(config, state, &page, json).await,
        UserCommand::SetPassword { username, password_stdin, report } => {
            set_password(config, &username, password_stdin, report).await
        }
        UserCommand::Disable { username, yes, report } => disable(config, &username, yes, report).await,
        UserCommand::Enable { username, report } => enable(config, &username, report).await,
        UserCommand::Show(show) => show::run(config, &show).await,
        UserCommand::Edit(edit) => edit::run(config, &edit).await,
        UserCommand::Delete(delete) => end::delete(config, &delete).await,
        UserCommand::Export(export) => export::run(config, &export).await,
        UserCommand::Erase(erase) => end::erase(config, &erase).await,
        UserCommand::Sessions(command) => sessions::run(config, command).await,
        UserCommand::Factor(command) => factor::run(config, command).await,
        UserCommand::Claim(command) => claim::run(config, command).await,
        UserCommand::ResetLink(link) => links::reset_link(config, &link).await,
        UserCommand::Invite(invite) => links::invite(config, &invite).await,
        UserCommand::Invitations(invitations) => links::invitations(config, &invitations).await,
        UserCommand::Import(import) => import::run(config, import).await,
    }
}

/// Why no user can have that user name.
fn username_fault(username: &str, email: &str) -> Option<Failure> {
    text::check_new_username(username, email).err().map(name_fault)
}

/// The same of a user who is brought over, with the name that they type elsewhere: whose address it is, is found out there.
fn import_name_fault(username: &str) -> Option<Failure> {
    text::check_known_username(username).err().map(name_fault)
}

fn name_fault(why: NameFault) -> Failure {
    match why {
        NameFault::Length | NameFault::AnothersAddress => {
            Failure::new("the user name cannot be used").with_source(why).with_fix("take another one")
        }
        NameFault::Refused(why) => Failure::new("the user name cannot be used").with_source(why).with_fix(
            "take letters, digits, ASCII signs such as . - _ ', and single spaces; the full name (name) may have anything",
        ),
    }
}

/// Why an address that an operator says cannot be one.
fn address_fault(email: &str) -> Option<Failure> {
    (!text::is_email(email)).then(|| {
        Failure::new("that is not an e-mail address")
            .with_fix("write it as alice@example.com, without a name, quotes or brackets around it")
    })
}

/// Why a user name is not given: a deleted user had it.
fn name_gone(username: &str, gone: &Tombstone) -> Failure {
    let at = terminal::instant(NumericDate(gone.deleted_at));
    let what = format!(
        "{:?} was the name of a user who was deleted {at}, and is not given again",
        terminal::one_line(username)
    );
    Failure::new(what).with_fix("take another user name")
}

/// Asks for a new password or reads it; gives its hash.
fn new_password(command: &str, password_stdin: bool) -> Result<String, Failure> {
    if !password_stdin && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Err(Failure::new("there is no terminal to ask for the password")
            .with_fix(format!("hallpass user {command} … --password-stdin < FILE")));
    }
    let password = Password::received(read_secret("Password", true)?.as_str());
    let password = text::prepare(&password).map_err(|why| {
        Failure::new("the password cannot be used")
            .with_source(why)
            .with_fix(format!("take one of letters, digits, signs and spaces, {MAX_PASSWORD_BYTES} bytes at most"))
    })?;
    if password.expose().chars().count() < MIN_PASSWORD_CHARACTERS {
        return Err(Failure::new(format!("the password must have at least {MIN_PASSWORD_CHARACTERS} characters")));
    }
    passwords::hash(password.expose()).map_err(terminal::not_hashed)
}

async fn add(config: Config, person: &Add) -> Outcome {
    let Add { username, email, .. } = person;
    if let Some(why) = username_fault(username, email) {
        return Err(why);
    }
    if let Some(why) = address_fault(email) {
        return Err(why.about("--email"));
    }
    let details = person.details.read()?;
    // Before a password is typed in vain; where there is no database yet, no user can have the address.
    if let Ok(db) = terminal::open_database(&config).await {
        others_with_address(&db, person).await?;
        db.close().await;
    }
    let password_hash = new_password("add", person.password_stdin)?;
    let db = startup::open_database(&config).await?;
    let others = others_with_address(&db, person).await?;
    let sub = users::new_sub();
    let user = NewUser {
        sub: &sub,
        username,
        email,
        email_verified: person.address.is_verified(true) == Some(true),
        may_share_address: person.address.may_be_shared(),
        details,
        password_hash: &password_hash,
        now: Clock::System.now(),
    };
    let added = users::add(&db, &user).await?;
    db.close().await;
    match added {
        Added::Done => {}
        Added::Taken => return Err(Failure::new(format!("there is a user {username:?} already"))),
        Added::Gone(gone) => return Err(name_gone(username, &gone)),
        Added::AddressTaken => {
            return Err(Failure::new(format!("{email} became the address of another user just now")));
        }
    }
    let document = json!({
        "sub": sub,
        "username": username,
        "email": email,
        "email_verified": user.email_verified && others.is_empty(),
        "email_shared": !others.is_empty(),
    });
    person.report.print(&document, Some(&sub))?;
    eprintln!("added {username}");
    if !others.is_empty() {
        eprintln!(
            "hallpass: {email} is the address of {} too: no user can be found by it alone, and services are told that it is not verified",
            names_of(&others)
        );
    }
    Ok(())
}

/// Who has the address of a user about to be added already.
///
/// # Errors
/// The user name is taken or was a deleted user's, or the address is taken and it was not said that it may be shared.
async fn others_with_address(db: &Db, person: &Add) -> Result<Vec<Holder>, Failure> {
    let Add { username, email, address, .. } = person;
    let others = users::with_address(db, email).await?;
    if others.iter().any(|other| is_same(other.username.as_deref(), username)) {
        return Err(Failure::new(format!("there is a user {username:?} already")));
    }
    if let Some(gone) = tombstones::find(db, "", username).await? {
        return Err(name_gone(username, &gone));
    }
    shared_address(db, email, "", address.may_be_shared()).await
}

/// Who beside the user of that `sub` has an address.
///
/// # Errors
/// Another user has it, and it was not said that it may be shared.
async fn shared_address(db: &Db, email: &str, sub: &str, may_be_shared: bool) -> Result<Vec<Holder>, Failure> {
    let mut others = users::with_address(db, email).await?;
    others.retain(|other| other.sub != sub);
    if others.is_empty() || may_be_shared {
        return Ok(others);
    }
    let what = format!(
        "{email} is the address of {} already: neither could sign in by it, and services would be told that it is not verified",
        names_of(&others)
    );
    Err(Failure::new(what).with_fix("give each user an address of their own, or say --shared-email"))
}

/// Whether a user name is that one, in whatever letters.
fn is_same(known: Option<&str>, username: &str) -> bool {
    known.is_some_and(|known| text::fold_username(known) == text::fold_username(username))
}

/// Those who have an address, as a message has them.
fn names_of(holders: &[Holder]) -> String {
    terminal::one_line(&holders.iter().map(Holder::name).collect::<Vec<_>>().join(", "))
}

/// What a user is, as the list has it.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum State {
    /// Can sign in.
    Active,
    /// Was disabled.
    Disabled,
    /// Cannot sign in for now, or for good.
    Locked,
    /// Has no password.
    WithoutPassword,
}

impl State {
    fn of(user: &Listed, now: NumericDate) -> Self {
        match user.disabled_at {
            Some(_) => Self::Disabled,
            None if user.locked_until.is_some_and(|until| until > now.0) => Self::Locked,
            None if user.has_password == 0 => Self::WithoutPassword,
            None => Self::Active,
        }
    }
}

async fn list(config: Config, state: Option<State>, page: &Page, json: bool) -> Outcome {
    let db = terminal::open_database(&config).await?;
    let mut found = users::list(&db).await?;
    db.close().await;
    let there_are_none = found.is_empty();
    let now = Clock::System.now();
    found.retain(|user| state.is_none_or(|state| State::of(user, now) == state));
    let words = |user: &Listed| [&user.username, &user.email, &user.name].into_iter().flatten().cloned().collect();
    let (found, next) = page.of(found, |user| &user.sub, words)?;
    if json {
        let people = found.iter().map(|user| {
            json!({
                "sub": user.sub,
                "username": user.username,
                "email": user.email,
                "email_verified": user.email_verified_at.is_some() && user.shares_address == 0,
                "email_shared": user.shares_address != 0,
                "name": user.name,
                "has_password": user.has_password != 0,
                "created_at": user.created_at.map(NumericDate).map(terminal::instant),
                "disabled_at": user.disabled_at.map(NumericDate).map(terminal::instant),
                "locked_until": user.locked_until.map(NumericDate).map(terminal::instant),
                "deletion_requested_at": user.deletion_requested_at.map(NumericDate).map(terminal::instant),
            })
        });
        return terminal::print_json(&json!({ "users": people.collect::<Vec<_>>(), "next": next }));
    }
    let cell = |text: &Option<String>| terminal::one_line(text.as_deref().unwrap_or_default());
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|user| {
            let at = |at: Option<i64>| at.map(NumericDate).map(terminal::instant).unwrap_or_default();
            let state = match State::of(user, now) {
                State::Disabled => format!("disabled {}", at(user.disabled_at)),
                State::Locked if user.locked_until == Some(FOR_GOOD) => "locked".to_owned(),
                State::Locked => format!("locked until {}", at(user.locked_until)),
                State::WithoutPassword => "without a password".to_owned(),
                State::Active => "active".to_owned(),
            };
            let asks = if user.deletion_requested_at.is_some() { ", asks to be deleted" } else { "" };
            vec![
                cell(&user.username),
                cell(&user.email),
                cell(&user.name),
                terminal::one_line(&user.sub),
                format!("{state}{asks}"),
            ]
        })
        .collect();
    print!("{}", terminal::table(&["USERNAME", "EMAIL", "NAME", "SUB", "STATE"], &rows));
    terminal::say_next(next.as_deref());
    if there_are_none {
        eprintln!("There are no users yet. `hallpass user add NAME --email ADDRESS` adds one.");
    }
    Ok(())
}

/// Finds whom a user name or an e-mail address means.
pub(super) async fn find(db: &Db, username: &str) -> Result<User, Failure> {
    if let Some(found) = users::find_by_login(db, username).await?.one() {
        return Ok(found);
    }
    let several = users::with_address(db, username).await?;
    let (whose, fix) = if several.is_empty() {
        (String::new(), "`hallpass user list` names them".to_owned())
    } else {
        (format!(", but {}", names_of(&several)), "say the user name of the one that you mean".to_owned())
    };
    let what = format!("no single user has the user name or the e-mail address {username:?}{whose}");
    Err(Failure::new(what).with_fix(fix))
}

/// A user as a question names them.
pub(super) fn named(user: &User) -> String {
    let username = user.username.as_deref().unwrap_or(&user.sub);
    terminal::one_line(&format!("{username} ({})", user.display_name()))
}

/// So many of them.
fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Asks whether something is to be done to a user, before which a script must have said so; gives the database and the user.
async fn confirmed(
    config: &Config,
    path: &[&str],
    username: &str,
    yes: bool,
    question: impl FnOnce(&str) -> String,
) -> Result<(Db, User), Failure> {
    if !yes && !terminal::is_there() {
        terminal::confirm(path, "", false)?;
    }
    let db = terminal::open_database(config).await?;
    let user = find(&db, username).await?;
    terminal::confirm(path, &question(&named(&user)), yes)?;
    Ok((db, user))
}

/// What became of a user, beside what a document has of its own: the members that name the user.
pub(super) fn document_of(user: &User, own: Value) -> Value {
    let mut document = own;
    document["sub"] = user.sub.as_str().into();
    document["username"] = user.username.as_deref().into();
    document
}

async fn set_password(config: Config, username: &str, password_stdin: bool, report: Report) -> Outcome {
    let db = terminal::open_database(&config).await?;
    // Before a password is typed for no user.
    let user = find(&db, username).await?;
    let password_hash = new_password("set-password", password_stdin)?;
    let ended = users::set_password(&db, &user.sub, &password_hash, Clock::System.now()).await?;
    db.close().await;
    report.print(&document_of(&user, json!({ "refresh_families_ended": ended })), None)?;
    let families =
        if ended == 1 { "1 refresh token family".to_owned() } else { format!("{ended} refresh token families") };
    eprintln!(
        "set the password of {}; {families} ended, and every sign-in and access token ends within ten seconds",
        named(&user)
    );
    if user.disabled_at.is_some() {
        eprintln!("hallpass: this user is disabled, and cannot sign in with it");
    }
    Ok(())
}

async fn disable(config: Config, username: &str, yes: bool, report: Report) -> Outcome {
    const PATH: &[&str] = &["user", "disable"];
    if !yes && !terminal::is_there() {
        terminal::confirm(PATH, "", false)?;
    }
    let db = terminal::open_database(&config).await?;
    let user = find(&db, username).await?;
    let ends = end::ends_of(&config, &db, &user.sub, Clock::System.now()).await?;
    let changed = |is_changed: bool| {
        let (sessions, families) = if is_changed { (ends.sessions, ends.refresh_families) } else { (0, 0) };
        document_of(
            &user,
            json!({
                "change": "disable",
                "is_changed": is_changed,
                "sessions_ended": sessions,
                "refresh_families_refused": families,
            }),
        )
    };
    if let Some(since) = user.disabled_at {
        report.print(&changed(false), None)?;
        eprintln!("{} is disabled since {}; nothing was changed", named(&user), terminal::instant(since));
        return Ok(());
    }
    let what = format!("Disable {}? Sign-ins and tokens of this user end everywhere.", named(&user));
    terminal::confirm(PATH, &what, yes)?;
    users::disable(&db, &user.sub, Clock::System.now()).await?;
    db.close().await;
    report.print(&changed(true), None)?;
    eprintln!(
        "disabled {}; within ten seconds no sign-in and no token of this user counts any more.\n\
         To bring the user back: hallpass user enable {}",
        named(&user),
        terminal::one_line(user.username.as_deref().unwrap_or(username))
    );
    Ok(())
}

async fn enable(config: Config, username: &str, report: Report) -> Outcome {
    let db = terminal::open_database(&config).await?;
    let user = find(&db, username).await?;
    let is_enabled = users::enable(&db, &user.sub, Clock::System.now()).await?;
    db.close().await;
    report.print(&document_of(&user, json!({ "change": "enable", "is_changed": is_enabled })), None)?;
    if is_enabled {
        eprintln!("enabled {}; the user signs in anew", named(&user));
    } else {
        eprintln!("{} is enabled; nothing was changed", named(&user));
    }
    Ok(())
}
