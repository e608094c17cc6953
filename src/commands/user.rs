//! `hallpass user …`: people who can sign in.

mod import;

use crate::commands::{Outcome, read_secret, terminal};
use crate::config::Config;
use crate::protocol::claims::User;
use crate::protocol::secret::Handle;
use crate::protocol::time::NumericDate;
use crate::provider::{Clock, random};
use crate::store::db::Db;
use crate::store::users::{self, NewUser};
use crate::{logging, passwords, startup};
use serde_json::json;

/// The least length of a password that a person chooses (NIST SP 800-63B section 5.1.1.2).
const MIN_PASSWORD_CHARACTERS: usize = 8;

#[derive(clap::Subcommand)]
pub(super) enum UserCommand {
    /// Add a person; the password is asked for
    #[command(
        after_help = "Examples:\n  hallpass user add alice --email alice@example.com --name \"Alice Example\"\n  \
            hallpass user add alice --email alice@example.com --password-stdin < password.txt\n\n\
            The person's sub goes to standard output."
    )]
    Add {
        /// What the person types at sign-in
        username: String,
        /// E-mail address
        #[arg(long)]
        email: String,
        /// Full name
        #[arg(long)]
        name: Option<String>,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// List the people
    #[command(after_help = "Examples:\n  hallpass user list\n  hallpass user list --json | jq -r '.[].email'")]
    List {
        /// Print a JSON array instead
        #[arg(long)]
        json: bool,
    },
    /// Give a person another password, which ends their sign-ins and refresh tokens
    #[command(
        after_help = "Within ten seconds every sign-in, access token and refresh token of the person has ended, everywhere.\n\n\
            Examples:\n  hallpass user set-password alice\n  hallpass user set-password alice --password-stdin < password.txt"
    )]
    SetPassword {
        /// User name or e-mail address
        username: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Refuse a person from now on, also where Hallpass runs already
    #[command(
        after_help = "Within ten seconds no sign-in, access token or refresh token of the person counts any more. Nothing is \
            deleted; UPDATE users SET disabled_at = NULL brings the person back.\n\n\
            Examples:\n  hallpass user disable alice          asks first\n  hallpass user disable alice --yes    in a script"
    )]
    Disable {
        /// User name or e-mail address
        username: String,
        /// Do not ask; a script must say so
        #[arg(long)]
        yes: bool,
    },
    /// Add people from a file of JSON lines, with the hashes of their passwords
    #[command(after_help = import::HELP)]
    Import(import::Import),
}

pub(super) async fn run(config: Config, command: UserCommand) -> Outcome {
    logging::start("warn");
    match command {
        UserCommand::Add { username, email, name, password_stdin } => {
            add(config, &username, &email, name.as_deref(), password_stdin).await
        }
        UserCommand::List { json } => list(config, json).await,
        UserCommand::SetPassword { username, password_stdin } => set_password(config, &username, password_stdin).await,
        UserCommand::Disable { username, yes } => disable(config, &username, yes).await,
        UserCommand::Import(import) => import::run(config, import).await,
    }
}

/// Why nobody can have that user name.
fn username_fault(username: &str, email: &str) -> Option<&'static str> {
    let is_sound = username.trim() == username
        && !username.is_empty()
        && !username.chars().any(char::is_control)
        && username.len() <= 255;
    if !is_sound {
        return Some("the user name must have 1 to 255 bytes, without control characters and spaces around it");
    }
    if username.contains('@') && !username.eq_ignore_ascii_case(email) {
        return Some("a user name with @ would be taken for somebody's e-mail address; it must be the person's own");
    }
    None
}

fn is_email(text: &str) -> bool {
    text.contains('@') && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Asks for a new password or reads it; gives its hash.
fn new_password(command: &str, password_stdin: bool) -> Result<String, String> {
    if !password_stdin && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Err(format!(
            "there is no terminal to ask for the password\n  Mend: hallpass user {command} … --password-stdin < FILE"
        ));
    }
    let password = read_secret("Password", true)?;
    if password.chars().count() < MIN_PASSWORD_CHARACTERS {
        return Err(format!("the password must have at least {MIN_PASSWORD_CHARACTERS} characters"));
    }
    passwords::hash(&password).map_err(|error| error.to_string())
}

async fn add(config: Config, username: &str, email: &str, name: Option<&str>, password_stdin: bool) -> Outcome {
    if let Some(why) = username_fault(username, email) {
        return Err(why.into());
    }
    if !is_email(email) {
        return Err("--email: that is not an e-mail address".into());
    }
    let password_hash = new_password("add", password_stdin)?;
    let db = startup::open_database(&config).await.map_err(|error| error.to_string())?;
    let sub = Handle(random()).text();
    let user = NewUser { sub: &sub, username, email, name, password_hash: &password_hash, now: Clock::System.now() };
    let added = users::add(&db, &user).await.map_err(|error| error.to_string())?;
    db.close().await;
    if !added {
        return Err(format!("there is a user {username:?} already"));
    }
    println!("{sub}");
    eprintln!("added {username}");
    Ok(())
}

async fn list(config: Config, json: bool) -> Outcome {
    let db = terminal::open_database(&config).await?;
    let found = users::list(&db).await.map_err(|error| error.to_string())?;
    db.close().await;
    if json {
        let people = found.iter().map(|user| {
            json!({
                "sub": user.sub,
                "username": user.username,
                "email": user.email,
                "email_verified": user.email_verified_at.is_some(),
                "name": user.name,
                "has_password": user.has_password != 0,
                "created_at": user.created_at.map(NumericDate).map(terminal::instant),
                "disabled_at": user.disabled_at.map(NumericDate).map(terminal::instant),
            })
        });
        return terminal::print_json(&people.collect());
    }
    let cell = |text: &Option<String>| terminal::one_line(text.as_deref().unwrap_or_default());
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|user| {
            let state = match user.disabled_at {
                Some(at) => format!("disabled {}", terminal::instant(NumericDate(at))),
                None if user.has_password == 0 => "without a password".to_owned(),
                None => "active".to_owned(),
            };
            vec![cell(&user.username), cell(&user.email), cell(&user.name), terminal::one_line(&user.sub), state]
        })
        .collect();
    print!("{}", terminal::table(&["USERNAME", "EMAIL", "NAME", "SUB", "STATE"], &rows));
    if rows.is_empty() {
        eprintln!("There is nobody yet. `hallpass user add NAME --email ADDRESS` adds a person.");
    }
    Ok(())
}

/// Finds whom a user name or an e-mail address means.
async fn find(db: &Db, username: &str) -> Result<User, String> {
    let found = users::find_by_login(db, username).await.map_err(|error| error.to_string())?;
    found.ok_or_else(|| {
        format!(
            "no single person has the user name or the e-mail address {username:?}.\n  Mend: `hallpass user list` names them"
        )
    })
}

/// A person as a question names them.
fn named(user: &User) -> String {
    let username = user.username.as_deref().unwrap_or(&user.sub);
    terminal::one_line(&format!("{username} ({})", user.display_name()))
}

async fn set_password(config: Config, username: &str, password_stdin: bool) -> Outcome {
    let db = terminal::open_database(&config).await?;
    // Before a password is typed for nobody.
    let user = find(&db, username).await?;
    let password_hash = new_password("set-password", password_stdin)?;
    let ended = users::set_password(&db, &user.sub, &password_hash, Clock::System.now())
        .await
        .map_err(|error| error.to_string())?;
    db.close().await;
    let families =
        if ended == 1 { "1 refresh token family".to_owned() } else { format!("{ended} refresh token families") };
    eprintln!(
        "set the password of {}; {families} ended, and every sign-in and access token ends within ten seconds",
        named(&user)
    );
    if user.disabled_at.is_some() {
        eprintln!("hallpass: this person is disabled, and cannot sign in with it");
    }
    Ok(())
}

async fn disable(config: Config, username: &str, yes: bool) -> Outcome {
    const PATH: &[&str] = &["user", "disable"];
    if !yes && !terminal::is_there() {
        terminal::confirm(PATH, "", false)?;
    }
    let db = terminal::open_database(&config).await?;
    let user = find(&db, username).await?;
    if let Some(since) = user.disabled_at {
        eprintln!("{} is disabled since {}; nothing was changed", named(&user), terminal::instant(since));
        return Ok(());
    }
    let what = format!("Disable {}? Sign-ins and tokens of this person end everywhere.", named(&user));
    terminal::confirm(PATH, &what, yes)?;
    users::disable(&db, &user.sub, Clock::System.now()).await.map_err(|error| error.to_string())?;
    db.close().await;
    eprintln!(
        "disabled {}; within ten seconds no sign-in and no token of this person counts any more.\n\
         To bring the person back: UPDATE users SET disabled_at = NULL WHERE sub = '{}';",
        named(&user),
        user.sub.replace('\'', "''")
    );
    Ok(())
}
