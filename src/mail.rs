//! Mails on their last step: the server of `HALLPASS_SMTP_URL` takes one, or says why it does not. What is in them is
//! `mailing::letters`, when they are sent is `mailing`.
//!
//! [SMTP](https://www.rfc-editor.org/rfc/rfc5321) by lettre, over TLS by OpenSSL, to a server whose certificate is checked against
//! the system's authorities and those of `HALLPASS_OUTBOUND_CA`.

use crate::config::{Config, MailServer, Tls};
use crate::failure::{Failure, in_words};
use crate::protocol::time::NumericDate;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::{Address, Message};
use secrecy::ExposeSecret as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::{Notify, Semaphore};

/// How long the server may take for a mail, which it may look into: less than its lease lasts (`store::mail_outbox`).
const PATIENCE: Duration = Duration::from_mins(3);
/// How long it may take to be connected to, and to close.
const STEP: Duration = Duration::from_secs(10);
/// How many mails may be queued at once after their answer.
const PLACES: u32 = 64;
/// How long a node that stops waits for them.
const LAST_QUEUED: Duration = Duration::from_secs(4);
/// Says that no human wrote it, so that none of their programs answers
/// ([RFC 3834 section 5](https://www.rfc-editor.org/rfc/rfc3834#section-5)).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// A mail as it is sent.
pub struct Letter {
    /// Its name, which no other has.
    pub id: String,
    /// The address of who gets it.
    pub to: String,
    /// Whether that was typed by who asked, and so may be any.
    pub is_to_typed_address: bool,
    /// The subject, in one line.
    pub subject: String,
    /// Its text.
    pub plain: String,
    /// The same for programs that show markup.
    pub html: String,
}

/// Why a mail was not taken.
#[derive(Debug)]
pub enum NotTaken {
    /// It may be later: the server is away or takes no mails from us.
    Yet(Failure),
    /// This one may be later; others may be taken.
    Busy(Failure),
    /// It may have been: the server had all of it and did not answer.
    Perhaps(Failure),
    /// It never will be: the server refuses this mail or the address of who gets it.
    Ever(Failure),
}

/// What hands mails over.
pub struct Mailer {
    server: MailServer,
    tls: Option<TlsParameters>,
    hello: ClientId,
    from: Mailbox,
    host: String,
}

/// A step at which the server did not do what it was asked.
struct Stopped {
    error: smtp::Error,
    /// Whether it is about this mail: who gets it, or what it says.
    is_of_mail: bool,
}

impl From<smtp::Error> for Stopped {
    fn from(error: smtp::Error) -> Self {
        Self { error, is_of_mail: false }
    }
}

impl Stopped {
    /// At the address of who gets it, or at what it says.
    const fn of_mail(error: smtp::Error) -> Self {
        Self { error, is_of_mail: true }
    }
}

impl Mailer {
    /// What hands mails over, if there is a server for them.
    ///
    /// # Errors
    /// A file of authorities cannot be read.
    pub fn of(config: &Config) -> Result<Option<Self>, Failure> {
        config.smtp_url.as_ref().map(|server| Self::new(config, server)).transpose()
    }

    fn new(config: &Config, server: &MailServer) -> Result<Self, Failure> {
        let tls = match server.tls {
            Tls::Always | Tls::Required => Some(parameters(config, server)?),
            Tls::None => None,
        };
        // Of the issuer, and without its port: the name of this machine is not theirs to know.
        let issuer = url::Url::parse(&config.issuer).ok();
        let host = issuer.as_ref().and_then(url::Url::host_str).unwrap_or_default().to_owned();
        let hello = match host.trim_matches(['[', ']']).parse() {
            Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
            Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
            Err(_) => ClientId::Domain(host.clone()),
        };
        let name = config.organization.name.clone().unwrap_or_else(|| "Hallpass".to_owned());
        let from = config.mail_from.parse().map_err(|error| Failure::at("HALLPASS_MAIL_FROM", error))?;
        Ok(Self { server: server.clone(), tls, hello, from: Mailbox::new(Some(name), from), host })
    }

    /// Host and port of the server.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.server.host, self.server.port)
    }

    /// Hands a mail over.
    ///
    /// # Errors
    /// The server did not take it.
    pub async fn send(&self, letter: &Letter, now: NumericDate) -> Result<(), NotTaken> {
        let message = self.message(letter, now).map_err(NotTaken::Ever)?;
        let is_said = AtomicBool::new(false);
        let handed_over = async {
            let mut connection = self.connect().await?;
            let sent = self.hand_over(&mut connection, &message, &is_said).await;
            Ok::<_, Stopped>((connection, sent))
        };
        let sent = match tokio::time::timeout(PATIENCE, handed_over).await {
            Ok(Ok((mut connection, sent))) => {
                // Whether the server answers that as well changes nothing.
                let _ = tokio::time::timeout(STEP, connection.quit()).await;
                sent
            }
            Ok(Err(stopped)) => Err(stopped),
            Err(_) if is_said.load(Ordering::Relaxed) => return Err(NotTaken::Perhaps(self.silent())),
            Err(_) => return Err(NotTaken::Yet(self.silent())),
        };
        match sent {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotTaken::Ever(Failure::new("the mail server has no way for such an address (SMTPUTF8)"))),
            Err(stopped) => Err(self.refused(stopped, letter.is_to_typed_address)),
        }
    }

    fn refused(&self, Stopped { error, is_of_mail }: Stopped, is_to_typed_address: bool) -> NotTaken {
        let code = error.status().map(u16::from);
        match code {
            Some(code) if is_of_mail && is_for_good(code, &in_words(&error)) => {
                NotTaken::Ever(self.told("refuses a mail", error))
            }
            // Where anyone can name the recipient, it says nothing of the server, and must not hold up the mails of others.
            Some(500..=599) if is_of_mail && is_to_typed_address => NotTaken::Ever(self.told("refuses a mail", error)),
            Some(400..=499) if is_of_mail => NotTaken::Busy(self.told("puts a mail off", error)),
            // A connection that breaks off is the server's affair as well.
            _ => NotTaken::Yet(self.told("takes no mail", error)),
        }
    }

    /// Asks whether mails could be handed over: as far as whom they go to.
    ///
    /// # Errors
    /// They could not.
    pub async fn probe(&self) -> Result<(), Failure> {
        let asked = async {
            let mut connection = self.connect().await?;
            connection.command(Mail::new(Some(self.from.email.clone()), Vec::new())).await?;
            // Many servers say only now that they let us send nothing. That there is no such mailbox is no fault.
            let to_ourselves = connection.command(Rcpt::new(self.from.email.clone(), Vec::new())).await;
            let _ = tokio::time::timeout(STEP, connection.quit()).await;
            to_ourselves.map(drop).map_err(Stopped::of_mail)
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(stopped)) => match self.refused(stopped, false) {
                NotTaken::Yet(failure) => Err(failure),
                NotTaken::Ever(_) | NotTaken::Busy(_) | NotTaken::Perhaps(_) => Ok(()),
            },
            Err(_) => Err(self.silent()),
        }
    }

    /// A connection, encrypted and signed in to as the settings have it.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Stopped> {
        let place = (self.server.host.as_str(), self.server.port);
        let from_the_start = self.tls.clone().filter(|_| self.server.tls == Tls::Always);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(place, Some(STEP), &self.hello, from_the_start, None).await?;
        if let (Tls::Required, Some(tls)) = (self.server.tls, &self.tls) {
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some((user, password)) = &self.server.credentials {
            let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
            connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await?;
        }
        Ok(connection)
    }

    /// `false`: the server has no way for an address with letters beyond ASCII before the @
    /// ([RFC 6531](https://www.rfc-editor.org/rfc/rfc6531)).
    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        message: &Message,
        is_said: &AtomicBool,
    ) -> Result<bool, Stopped> {
        let envelope = message.envelope();
        let mut parameters = Vec::new();
        if envelope.to().iter().any(|to| !to.user().is_ascii()) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Ok(false);
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        connection.command(Mail::new(Some(self.from.email.clone()), parameters)).await?;
        for to in envelope.to() {
            connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(Stopped::of_mail)?;
        }
        connection.command(Data).await.map_err(Stopped::of_mail)?;
        is_said.store(true, Ordering::Relaxed);
        connection.message(&message.formatted()).await.map_err(Stopped::of_mail)?;
        Ok(true)
    }

    fn silent(&self) -> Failure {
        let what =
            format!("the mail server {} did not take a mail within {} seconds", self.place(), PATIENCE.as_secs());
        Failure::new(what).with_fix("check port and tls of HALLPASS_SMTP_URL: smtps:// is TLS from the first byte")
    }

    fn message(&self, letter: &Letter, now: NumericDate) -> Result<Message, Failure> {
        let unfit = || Failure::new("no mail can be sent to that address");
        let (local, domain) = letter.to.rsplit_once('@').ok_or_else(unfit)?;
        // What a sign-in compares in its letters travels in ASCII.
        let domain = idna::domain_to_ascii(domain).map_err(|_| unfit())?;
        let to = Address::new(local, domain).map_err(|error| unfit().with_source(error))?;
        let at = UNIX_EPOCH + Duration::from_secs(now.0.try_into().unwrap_or_default());
        Message::builder()
            .message_id(Some(format!("<{}@{}>", letter.id, self.host)))
            .date(at)
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&letter.subject)
            .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(letter.plain.clone(), letter.html.clone()))
            .map_err(|error| Failure::new("a mail could not be put together").with_source(error))
    }

    fn told(&self, what: &str, error: smtp::Error) -> Failure {
        let place = self.place();
        if error.is_timeout() {
            let what = format!("the mail server {place} takes no connection within {} seconds", STEP.as_secs());
            return Failure::new(what).with_fix(CONNECT).with_source(error);
        }
        let code = error.status().map(|code| format!(" ({code})")).unwrap_or_default();
        let words = in_words(&error);
        let is_tls = error.is_tls() || ["certificate", "SSL", "TLS"].iter().any(|word| words.contains(word));
        let fix = match error.status().map(u16::from) {
            Some(530) if is_tls => "write ?tls=required in HALLPASS_SMTP_URL: the server wants STARTTLS",
            Some(530..=538) => "check user and password of HALLPASS_SMTP_URL",
            Some(_) => "look what the server says, and whether it lets HALLPASS_MAIL_FROM send",
            None if is_tls => {
                "check the name in HALLPASS_SMTP_URL; HALLPASS_OUTBOUND_CA takes an authority of your own"
            }
            None => CONNECT,
        };
        Failure::new(format!("the mail server {place} {what}{code}")).with_fix(fix).with_source(error)
    }
}

/// What to do about a server that cannot be reached.
const CONNECT: &str = "check HALLPASS_SMTP_URL, and whether this machine may connect there";

/// Whether a permanent reply is about this mail: who gets it or what it says, by its enhanced code
/// ([RFC 3463 section 3](https://www.rfc-editor.org/rfc/rfc3463#section-3)) or, without one, by its own. That we may send nothing is told at
/// the same steps, and is about all mails.
fn is_for_good(code: u16, words: &str) -> bool {
    let enhanced = words.split([' ', ':', '-']).find(|word| {
        let mut parts = word.split('.');
        parts.next() == Some("5") && parts.clone().count() == 2 && parts.all(|part| part.parse::<u16>().is_ok())
    });
    match enhanced {
        Some("5.1.7" | "5.1.8") => false,
        Some(enhanced) => ["5.1.", "5.2.", "5.3.4", "5.6."].iter().any(|about| enhanced.starts_with(about)),
        None => matches!(code, 501 | 550..=553),
    }
}

/// What a node needs to send mails, and what its requests share of that.
pub struct Outgoing {
    /// What hands mails over; `None`: no mail is sent.
    pub mailer: Option<Mailer>,
    /// Wakes the task that sends them.
    pub queued: Notify,
    /// The places of those that are being queued after their answer.
    pub places: Arc<Semaphore>,
}

impl Outgoing {
    /// As the settings have it.
    ///
    /// # Errors
    /// A file of authorities cannot be read.
    pub fn of(config: &Config) -> Result<Self, Failure> {
        let places = Arc::new(Semaphore::new(usize::try_from(PLACES).unwrap_or_default()));
        Ok(Self { mailer: Mailer::of(config)?, queued: Notify::new(), places })
    }

    /// Waits, bounded, until all that was asked for is queued; whether it is.
    pub async fn settled(&self) -> bool {
        matches!(tokio::time::timeout(LAST_QUEUED, self.places.acquire_many(PLACES)).await, Ok(Ok(_)))
    }
}

fn parameters(config: &Config, server: &MailServer) -> Result<TlsParameters, Failure> {
    let mut builder = TlsParameters::builder(server.host.clone());
    for certificate in config.outbound_ca.as_deref().map(authorities).transpose()?.unwrap_or_default() {
        builder = builder.add_root_certificate(certificate);
    }
    builder
        .build_native()
        .map_err(|error| Failure::new("TLS to the mail server is not possible here").with_source(error))
}

/// Each certificate of a file; `web::outbound` has looked whether there is one.
fn authorities(path: &Path) -> Result<Vec<Certificate>, Failure> {
    const END: &str = "-----END CERTIFICATE-----";
    let place = || format!("HALLPASS_OUTBOUND_CA: {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| Failure::at(place(), error))?;
    let certificates = text.split_inclusive(END).filter(|part| part.contains(END));
    let read = |pem: &str| Certificate::from_pem(pem.as_bytes()).map_err(|error| Failure::at(place(), error));
    certificates.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    fn mailer(url: String) -> Mailer {
        let variables =
            [("HALLPASS_SMTP_URL".to_owned(), url), ("HALLPASS_MAIL_FROM".to_owned(), "id@example.com".to_owned())];
        let config = RawConfig::gather(|_| None, variables.into_iter(), None).unwrap().check().unwrap();
        Mailer::of(&config).unwrap().unwrap()
    }

    fn letter() -> Letter {
        let text = |text: &str| text.to_owned();
        Letter {
            id: text("1"),
            to: text("a@example.com"),
            is_to_typed_address: false,
            subject: text("S"),
            plain: text("P"),
            html: text("<p>H</p>"),
        }
    }

    /// The clock is moved on where nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_holds_no_mail_for_longer_than_its_time() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                held.push(socket);
            }
        });
        let mailer = mailer(format!("smtp://127.0.0.1:{port}?tls=none"));
        let started = tokio::time::Instant::now();
        let refused = mailer.send(&letter(), NumericDate(1_790_000_000)).await.unwrap_err();
        assert!(
            matches!(&refused, NotTaken::Yet(failure) if failure.what().contains("within 180 seconds")),
            "{refused:?}"
        );
        assert!(mailer.probe().await.is_err());
        assert!(started.elapsed() <= 2 * PATIENCE + STEP, "{:?}", started.elapsed());
        silent.abort();
    }

    #[test]
    fn a_refusal_is_about_one_mail_or_about_all_of_them() {
        for words in [
            "permanent error (550): 5.1.1 no such mailbox",
            "550 5.2.2 over quota",
            "552 5.3.4 too large",
            "550-5.1.1 <a@example.com>",
            "550 no such user",
        ] {
            assert!(is_for_good(550, words), "{words}");
        }
        for (code, words) in [
            (554, "permanent error (554): 5.7.1 Relay access denied"),
            (553, "553 5.7.1 not owned by user"),
            (550, "550 5.4.5 daily quota"),
            (550, "550 5.1.8 sender's domain"),
            (554, "554 no"),
            (535, "535 5.7.8 no"),
            (550, "550 5.7.1 no, not for 10.1.1.1 or 5.1.1.1"),
        ] {
            assert!(!is_for_good(code, words), "{words}");
        }
    }

    #[tokio::test]
    async fn an_address_that_no_mail_can_go_to_is_refused_without_a_server() {
        let mailer = mailer("smtp://127.0.0.1:1?tls=none".to_owned());
        for to in ["no address", "a b@example.com", "a@", "a@exa mple.com", "a@example.com\r\nbcc: b@example.com"] {
            let refused = mailer.send(&Letter { to: to.to_owned(), ..letter() }, NumericDate(0)).await.unwrap_err();
            assert!(matches!(refused, NotTaken::Ever(_)), "{to}: {refused:?}");
        }
        let refused = mailer.send(&letter(), NumericDate(0)).await.unwrap_err();
        assert!(matches!(refused, NotTaken::Yet(_)), "{refused:?}");
    }
}
