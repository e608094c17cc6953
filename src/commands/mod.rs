//! The commands of the binary. Data goes to standard output, everything else to standard error; the status is
//! 0 for done, 1 for refused or failed checks, 2 for wrong usage.

mod acceptance;
mod access;
mod audit;
mod client;
mod demo;
mod doctor;
mod explain;
mod further_claims;
mod group;
mod init;
mod judge;
mod key;
mod manual;
mod migrate;
mod page;
mod preview;
mod scope;
mod secret;
mod serve;
mod terminal;
mod texts;
mod unthrottle;
mod user;

use crate::config::{Config, RawConfig, SETTINGS, Setting};
use crate::failure::Failure;
use clap::{Arg, ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The version, in a release with the commit that it is made of.
const VERSION: &str = env!("BUILD_VERSION");

/// One sign-in for all services of an organization: an OpenID Connect provider.
#[derive(Parser)]
#[command(name = "hallpass", version = VERSION, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Settings come from flags, then HALLPASS_… variables, then hallpass.toml.\n\
    \n\
    Try it:        hallpass demo\n\
    Run it:        hallpass user add alice --email alice@example.com && hallpass serve\n\
    Add a service: hallpass client new reports, and hallpass migrate")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Settings file; hallpass.toml in this folder if it exists
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the provider
    #[command(after_help = "Examples:\n  hallpass serve\n  \
            HALLPASS_ISSUER=https://id.example.com HALLPASS_DATABASE_URL=postgres://… hallpass serve\n  \
            hallpass serve --config /etc/hallpass/hallpass.toml")]
    Serve,
    /// Write a production set-up to begin with: hallpass.toml, signing keys, the folder for migrations, the first client
    #[command(after_help = init::HELP)]
    Init(init::Init),
    /// Show a whole single sign-on: the provider, a user and two sample services, gone at Ctrl-C
    Demo(demo::Arguments),
    /// Apply pending migrations, also while the provider runs
    #[command(after_help = migrate::HELP)]
    Migrate(migrate::Arguments),
    /// Register services, review their migrations, change their secrets, end them
    #[command(
        subcommand,
        after_help = "Examples:\n  hallpass client new reports --redirect-uri https://reports.example.com/signin-oidc\n  hallpass client lint\n  hallpass client show reports"
    )]
    Client(Box<client::ClientCommand>),
    /// Add users, look after them, delete them
    #[command(
        subcommand,
        after_help = "Examples:\n  hallpass user add alice --email alice@example.com\n  hallpass user show alice\n  hallpass user sessions list alice"
    )]
    User(user::UserCommand),
    /// Make groups, put users into them, say it for all of them in a file
    #[command(subcommand, after_help = group::HELP)]
    Group(group::GroupCommand),
    /// Describe scopes of your own, and say which claims each opens
    #[command(subcommand, after_help = scope::HELP)]
    Scope(scope::ScopeCommand),
    /// Say who may enter which service, and why
    Access(access::Arguments),
    /// Make, show and retire signing keys and factor keys
    #[command(subcommand, after_help = "Examples:\n  hallpass key plan\n  hallpass key new --alg RS256")]
    Key(key::KeyCommand),
    /// Say why a request was refused, by the reference of its error page or log record
    Explain(explain::Arguments),
    /// Read, export and check what happened
    #[command(subcommand, after_help = "Examples:\n  hallpass audit list --since 1h\n  hallpass audit verify")]
    Audit(audit::AuditCommand),
    /// Check our own set-up, any provider, any service, or a token
    Doctor(doctor::Arguments),
    /// Free a user, a network or a client from the throttle
    #[command(subcommand, after_help = unthrottle::HELP)]
    Unthrottle(unthrottle::UnthrottleCommand),
    /// Print the claims that a client would get about a user, without a token
    Preview(preview::Arguments),
    /// Print the texts of pages and mails, for who writes their own
    #[command(subcommand, after_help = texts::HELP)]
    Texts(texts::TextsCommand),
    /// Read a secret from standard input and print its argon2id hash
    #[command(after_help = "Examples:\n  hallpass hash-secret\n  hallpass hash-secret < secret.txt\n\n\
        The hash goes into client_secrets.secret_hash of a migration, or to `hallpass client new --secret-hash`.")]
    HashSecret(terminal::Report),
    /// Print completions for a shell
    #[command(after_help = manual::COMPLETIONS_HELP)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command
    #[command(after_help = "Examples:\n  hallpass man | man -l -\n  hallpass man --output /usr/local/share/man/man1")]
    Man {
        /// The folder to write a page for each command into
        #[arg(long, value_name = "FOLDER")]
        output: Option<PathBuf>,
    },
}

/// What a command comes to; a failure ends it with status 1.
type Outcome = Result<(), Failure>;

/// The command line as it is parsed, completed and documented: the commands, and every setting as a flag.
fn command() -> clap::Command {
    let settings = SETTINGS.iter().map(|setting| {
        let default =
            if setting.default.is_empty() { String::new() } else { format!(" [default: {}]", setting.default) };
        // Some commands have a `name` of their own: the id is one that no argument of theirs has.
        Arg::new(setting.variable())
            .long(setting.flag())
            .value_name("VALUE")
            .help(format!("{}{default} [env: {}]", setting.meaning, setting.variable()))
            .help_heading("Settings")
            .global(true)
            .hide_short_help(true)
    });
    Cli::command().args(settings)
}

/// Parses the command line, runs the command, gives the status.
#[must_use]
pub fn main() -> ExitCode {
    end_quietly_on_a_closed_pipe();
    let matches = command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match run(cli, &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hallpass: {}", failure.told());
            ExitCode::FAILURE
        }
    }
}

/// A reader that has read enough, such as `head`, is no fault: the command ends with the status that the signal SIGPIPE
/// would give it in a shell, and without a word. (Rust's `print!` panics instead, as it ignores that signal.)
fn end_quietly_on_a_closed_pipe() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_closed_pipe = panic
            .payload_as_str()
            .is_some_and(|text| text.starts_with("failed printing to stdout") && text.contains("os error 32"));
        if is_closed_pipe {
            std::process::exit(128 + 13);
        }
        usual(panic);
    }));
}

fn run(cli: Cli, matches: &ArgMatches) -> Outcome {
    let settings = || settings(matches, cli.config.as_deref());
    match cli.command {
        Command::Serve => with_runtime(serve::run(settings()?)),
        Command::Init(arguments) => {
            let raw = raw_settings(matches, cli.config.as_deref())?;
            let given: Vec<(&'static Setting, String)> = init::given(&raw);
            init::run(&raw.check()?, &given, arguments)
        }
        Command::Demo(arguments) => {
            refuse_settings(matches, cli.config.as_deref())?;
            with_runtime(demo::run(arguments))
        }
        Command::Migrate(arguments) => with_runtime(migrate::run(settings()?, arguments)),
        Command::Client(command) => client::run(settings()?, *command),
        Command::User(command) => with_runtime(user::run(settings()?, command)),
        Command::Group(command) => with_runtime(group::run(settings()?, command)),
        Command::Scope(command) => scope::run(settings()?, command),
        Command::Access(arguments) => with_runtime(access::run(settings()?, arguments)),
        Command::Key(command) => with_runtime(key::run(settings()?, command)),
        Command::Explain(arguments) => with_runtime(explain::run(settings()?, arguments)),
        Command::Audit(command) => with_runtime(audit::run(settings()?, command)),
        Command::Doctor(arguments) => with_runtime(doctor::run(settings()?, cli.config.clone(), arguments)),
        Command::Unthrottle(command) => with_runtime(unthrottle::run(settings()?, command)),
        Command::Preview(arguments) => with_runtime(preview::run(settings()?, arguments)),
        Command::Texts(command) => texts::run(settings, &command),
        Command::HashSecret(report) => {
            refuse_settings(matches, cli.config.as_deref())?;
            secret::run(report)
        }
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { output } => manual::pages(output.as_deref()),
    }
}

fn with_runtime(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("the runtime cannot be started").with_source(error))?;
    let outcome = runtime.block_on(work);
    // A hash that is still being computed must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

/// The command that was given, which has the flags before it too.
fn deepest(mut matches: &ArgMatches) -> &ArgMatches {
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    matches
}

/// Refuses a setting on the command line of a command that reads none: it would be believed.
fn refuse_settings(matches: &ArgMatches, file: Option<&Path>) -> Outcome {
    let deepest = deepest(matches);
    let given = SETTINGS.iter().find(|setting| deepest.get_one::<String>(&setting.variable()).is_some());
    let flag = given.map(Setting::flag).or_else(|| file.map(|_| "config".into()));
    match flag {
        Some(flag) => Err(Failure::new(format!("--{flag}: this command reads no settings, so it would do nothing"))
            .with_fix("leave it out")),
        None => Ok(()),
    }
}

/// Gathers the settings: flags (given before or after the command), environment, file.
fn settings(matches: &ArgMatches, file: Option<&Path>) -> Result<Config, Failure> {
    Ok(raw_settings(matches, file)?.check()?)
}

fn raw_settings(matches: &ArgMatches, file: Option<&Path>) -> Result<RawConfig, Failure> {
    let deepest = deepest(matches);
    let path = file.map_or_else(|| PathBuf::from("hallpass.toml"), Path::to_owned);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => None,
        Err(error) => return Err(Failure::at(path.display(), error)),
    };
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(RawConfig::gather(
        |setting| deepest.get_one::<String>(&setting.variable()).cloned(),
        environment,
        text.as_deref().map(|text| (path.as_path(), text)),
    )?)
}

/// Reads a secret: asked for on a terminal without showing it, else the first line of standard input.
fn read_secret(prompt: &str, twice: bool) -> Result<zeroize::Zeroizing<String>, Failure> {
    use std::io::{BufRead as _, IsTerminal as _};
    if !std::io::stdin().is_terminal() {
        let mut line = zeroize::Zeroizing::new(String::new());
        std::io::stdin().lock().read_line(&mut line).map_err(|error| Failure::at("standard input", error))?;
        let text = line.trim_end_matches(['\r', '\n']);
        return if text.is_empty() {
            Err(Failure::new("standard input holds no secret"))
        } else {
            Ok(text.to_owned().into())
        };
    }
    let ask = |prompt: String| {
        rpassword::prompt_password(prompt)
            .map(zeroize::Zeroizing::new)
            .map_err(|error| Failure::at("the terminal", error))
    };
    let first = ask(format!("{prompt}: "))?;
    if first.is_empty() {
        return Err(Failure::new("nothing was typed"));
    }
    if twice && *ask(format!("{prompt}, again: "))? != *first {
        return Err(Failure::new("the two differ; nothing was changed"));
    }
    Ok(first)
}
