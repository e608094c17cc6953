//! `hallpass user add`: a person who can sign in.

use crate::commands::{Outcome, read_secret};
use crate::config::Config;
use crate::protocol::secret::Handle;
use crate::provider::{Clock, random};
use crate::store::users::{self, NewUser};
use crate::{logging, passwords, startup};

/// The least length of a password that a person chooses (NIST SP 800-63B section 5.1.1.2).
const MIN_PASSWORD_CHARACTERS: usize = 8;

#[derive(clap::Subcommand)]
pub(super) enum UserCommand {
    /// Add a person; the password is asked for
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
}

pub(super) async fn run(config: Config, command: UserCommand) -> Outcome {
    logging::start("warn");
    let UserCommand::Add { username, email, name, password_stdin } = command;
    if username.trim() != username
        || username.is_empty()
        || username.chars().any(char::is_control)
        || username.len() > 255
    {
        return Err("the user name must have 1 to 255 bytes, without control characters and spaces around it".into());
    }
    if username.contains('@') && !username.eq_ignore_ascii_case(&email) {
        return Err(
            "a user name with @ would be taken for somebody's e-mail address; it must be the person's own".into()
        );
    }
    if !email.contains('@') || email.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("--email: that is not an e-mail address".into());
    }
    if !password_stdin && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Err(
            "there is no terminal to ask for the password\n  Mend: hallpass user add … --password-stdin < FILE".into(),
        );
    }
    let password = read_secret("Password", true)?;
    if password.chars().count() < MIN_PASSWORD_CHARACTERS {
        return Err(format!("the password must have at least {MIN_PASSWORD_CHARACTERS} characters"));
    }
    let password_hash = passwords::hash(&password).map_err(|error| error.to_string())?;
    let db = startup::open_database(&config).await.map_err(|error| error.to_string())?;
    let sub = Handle(random()).text();
    let user = NewUser {
        sub: &sub,
        username: &username,
        email: &email,
        name: name.as_deref(),
        password_hash: &password_hash,
        now: Clock::System.now(),
    };
    let added = users::add(&db, &user).await.map_err(|error| error.to_string())?;
    db.close().await;
    if !added {
        return Err(format!("there is a user {username:?} already"));
    }
    println!("{sub}");
    eprintln!("added {username}");
    Ok(())
}
