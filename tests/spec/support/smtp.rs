//! The mail server of `tests/parties/smtp/`, on a port of its own, and what providers and tests do with it.

use super::party;
use super::postgres::{Watchdog, free_port, temporary_folder, wait_until};
use super::provider::TestProvider;
use super::tls_front;
use hallpass::mailing;
use hallpass::store::mail_outbox;
use serde_json::Value;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

/// The user and the password that it asks for.
pub const USER: &str = "hallpass@example.com";
pub const PASSWORD: &str = "a/p@ss:word";

/// How the way to it is protected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Plain,
    StartTls,
    Tls,
}

/// A mail server that runs; ended when dropped, or with this process.
pub struct MailServer {
    pub port: u16,
    folder: PathBuf,
    way: Way,
    has_user: bool,
    _watchdog: Watchdog,
}

impl MailServer {
    /// Without TLS, and for all who come.
    pub fn start() -> Self {
        Self::of(Way::Plain, false)
    }

    pub fn of(way: Way, has_user: bool) -> Self {
        Self::at(free_port(), way, has_user)
    }

    /// On a port that was kept for it.
    pub fn at(port: u16, way: Way, has_user: bool) -> Self {
        let folder = temporary_folder("hallpass-smtp-", None).keep();
        let (certificate, key) = tls_front::pem();
        fs::write(folder.join("certificate.pem"), certificate).unwrap();
        fs::write(folder.join("key.pem"), key).unwrap();
        let mode = match way {
            Way::Plain => "plain",
            Way::StartTls => "starttls",
            Way::Tls => "tls",
        };
        let (user, password) = if has_user { (USER, PASSWORD) } else { ("", "") };
        let mut server = vec![party::smtp().into(), party::source("smtp/server.py").into()];
        server.extend([port.to_string().as_str(), mode, user, password].map(Into::into));
        let watchdog = Watchdog::start(&folder, None, "TERM", &server);
        wait_until("the mail server takes connections", &folder, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { port, folder, way, has_user, _watchdog: watchdog }
    }

    /// As `HALLPASS_SMTP_URL` has it.
    pub fn url(&self) -> String {
        let user = if self.has_user { "hallpass%40example.com:a%2Fp%40ss%3Aword@" } else { "" };
        let port = self.port;
        match self.way {
            Way::Plain => format!("smtp://{user}127.0.0.1:{port}?tls=none"),
            Way::StartTls => format!("smtp://{user}localhost:{port}?tls=required"),
            Way::Tls => format!("smtps://{user}localhost:{port}"),
        }
    }

    /// The file of its certificate.
    pub fn certificate(&self) -> String {
        self.folder.join("certificate.pem").display().to_string()
    }

    /// What it answers to every recipient from now on; empty: it takes the mail.
    pub fn answers(&self, text: &str) {
        let file = self.folder.join("answer");
        if text.is_empty() {
            let _ = fs::remove_file(file);
        } else {
            fs::write(file, text).unwrap();
        }
    }

    /// The same to every sender.
    pub fn answers_to_sender(&self, text: &str) {
        let file = self.folder.join("answer-mail");
        if text.is_empty() {
            let _ = fs::remove_file(file);
        } else {
            fs::write(file, text).unwrap();
        }
    }

    /// The mails that it took, the oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        let text = fs::read_to_string(self.folder.join("mails")).unwrap_or_default();
        text.lines().map(|line| Mail(serde_json::from_str(line).unwrap())).collect()
    }

    /// The mails that are there once there are so many.
    pub async fn wait_for(&self, count: usize) -> Vec<Mail> {
        for _ in 0..500 {
            let mails = self.mails();
            if mails.len() >= count {
                return mails;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        panic!("{count} mails were waited for: {:?}", self.mails());
    }
}

/// A mail as the server took it.
#[derive(Clone, Debug)]
pub struct Mail(pub Value);

impl Mail {
    pub fn to(&self) -> &str {
        assert_eq!(self.0["to"].as_array().unwrap().len(), 1, "{self:?}");
        self.0["to"][0].as_str().unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.0["headers"][name].as_str().unwrap_or_default()
    }

    pub fn subject(&self) -> &str {
        self.header("subject")
    }

    pub fn plain(&self) -> &str {
        self.0["plain"].as_str().unwrap()
    }

    pub fn html(&self) -> &str {
        self.0["html"].as_str().unwrap()
    }

    /// The link of ours that it has.
    pub fn link(&self) -> &str {
        let links: Vec<&str> = self.plain().lines().filter(|line| line.contains("?link=hp_ln_")).collect();
        assert_eq!(links.len(), 1, "{self:?}");
        links[0]
    }
}

impl TestProvider {
    /// A provider that sends mails by that server, and says so.
    pub async fn mailing(server: &MailServer, settings: &[(&str, &str)]) -> Self {
        let url = server.url();
        // Of two of one name the first counts.
        let own = [("smtp_url", url.as_str()), ("mail_from", "id@example.com")];
        let all: Vec<(&str, &str)> = settings.iter().copied().chain(own).collect();
        let provider = Self::with(&all).await;
        mail_outbox::sender_is_here(&provider.provider.db, provider.provider.now()).await.unwrap();
        provider
    }

    /// A second node beside this one, which sends mails by the same server.
    pub async fn second_mailing_node(&self, server: &MailServer, settings: &[(&str, &str)]) -> Self {
        let url = server.url();
        let own = [("smtp_url", url.as_str()), ("mail_from", "id@example.com")];
        let all: Vec<(&str, &str)> = settings.iter().copied().chain(own).collect();
        self.node_with(&all).await
    }

    /// One round of the task that sends mails, when all that was asked for is queued.
    pub async fn send_mails(&self) {
        self.mails_are_queued().await;
        mailing::send_due(&self.provider).await;
        self.provider.audit.flush().await;
    }

    /// Waits until all that was asked for is queued.
    pub async fn mails_are_queued(&self) {
        assert!(self.provider.outgoing.settled().await, "what was asked for is queued");
        self.provider.audit.flush().await;
    }
}
