//! Debian's Dovecot as an API that mail programs bring their access tokens to: it asks Hallpass about a token, by introspection
//! (RFC 7662) or at userinfo (OIDC Core 5.3), and lets in whom the answer names. SASL OAUTHBEARER (RFC 7628) and XOAUTH2.

use crate::support::documents::root;
use crate::support::postgres::temporary_folder;
use crate::support::{Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};
use tempfile::TempDir;

const API: &str = "https://mail.example.com/";
const SECRET: &str = "dovecots-secret-0123456789abcdef";

/// A server that runs until it is dropped.
struct Dovecot {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Dovecot {
    /// Starts it with that `oauth2.conf`.
    fn start(oauth2: &str) -> Self {
        let folder = temporary_folder("hallpass-dovecot-", None);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let of = |flag: &str| {
            let output = Command::new("id").arg(flag).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        // Started by root its processes are those of its package's users, as they must be; else all are ours.
        let own = (of("-un"), of("-un"), of("-gn"));
        let (login, user, group) =
            if own.0 == "root" { ("dovenull".to_owned(), "dovecot".to_owned(), "dovecot".to_owned()) } else { own };
        let template = fs::read_to_string(root().join("tests/parties/dovecot/dovecot.conf")).unwrap();
        let path = folder.path().to_str().unwrap();
        let configuration = template
            .replace("%FOLDER%", path)
            .replace("%PORT%", &port.to_string())
            .replace("%USER%", &user)
            .replace("%LOGIN%", &login)
            .replace("%GROUP%", &group)
            .replace("%%u", "%u");
        fs::write(folder.path().join("dovecot.conf"), configuration).unwrap();
        fs::write(folder.path().join("oauth2.conf"), oauth2).unwrap();
        for name in ["run", "state", "mail"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let open = |name: &str, mode: u32| {
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        open("", 0o711);
        open("mail", 0o777);
        let program = if fs::exists("/usr/sbin/dovecot").unwrap() { "/usr/sbin/dovecot" } else { "dovecot" };
        let process = Command::new(program)
            .args(["-F", "-c"])
            .arg(folder.path().join("dovecot.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; `tests/run` installs it"));
        let dovecot = Self { folder, port, process };
        let listens = || {
            thread::sleep(Duration::from_millis(50));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        };
        assert!((0..400).any(|_| listens()), "Dovecot does not listen: {}", dovecot.log());
        dovecot
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("dovecot.log")).unwrap_or_default()
    }

    /// Whether a mail program gets in as that user with that token, by that mechanism.
    fn lets_in(&self, mechanism: &str, username: &str, token: &str) -> bool {
        let said = match mechanism {
            "XOAUTH2" => format!("user={username}\u{1}auth=Bearer {token}\u{1}\u{1}"),
            _ => format!("n,a={username},\u{1}host=127.0.0.1\u{1}port={}\u{1}auth=Bearer {token}\u{1}\u{1}", self.port),
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert!(line.starts_with("* OK"), "{line}");
        write!(stream, "a AUTHENTICATE {mechanism} {}\r\n", STANDARD.encode(said)).unwrap();
        loop {
            line.clear();
            lines.read_line(&mut line).unwrap_or_else(|error| panic!("{error}: {}", self.log()));
            if line.starts_with('+') {
                // The server's reason, which a client acknowledges.
                write!(stream, "{}\r\n", STANDARD.encode("\u{1}")).unwrap();
            } else if line.starts_with("a ") {
                break;
            }
            assert!(!line.is_empty(), "the connection ended: {}", self.log());
        }
        let is_in = line.starts_with("a OK");
        assert!(is_in || line.starts_with("a NO"), "{line}\n{}", self.log());
        if is_in {
            // It is a mailbox, and this user's.
            write!(stream, "b CREATE box-of-{username}\r\n").unwrap();
            line.clear();
            while !line.starts_with("b ") {
                line.clear();
                assert_ne!(lines.read_line(&mut line).unwrap(), 0, "{}", self.log());
            }
            assert!(self.folder.path().join(format!("mail/{username}/.box-of-{username}")).is_dir(), "{}", self.log());
            fs::remove_dir_all(self.folder.path().join(format!("mail/{username}"))).unwrap();
        }
        is_in
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// alice and bob with a mail program, whose access tokens are for Dovecot, and another service, whose are not.
async fn stage() -> (TestProvider, TestClient, TestClient) {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    provider.add(NewClient::new("dovecot").with("resource", API).secret(SECRET)).await;
    let mail = provider.add(NewClient::new("mail").with("consent", "skip")).await;
    provider.sql(&format!("INSERT INTO client_audiences VALUES ('mail', '{API}')")).await;
    let other = provider.add(NewClient::new("other").with("consent", "skip")).await;
    (provider, mail, other)
}

async fn token(provider: &TestProvider, client: &TestClient, username: &str) -> String {
    let browser = UserAgent::new();
    let page = Authorization::of(client).open(provider, &browser).await;
    let page = provider.type_in(&browser, &page, username, crate::support::provider::PASSWORD).await;
    let code = page.query_parameter("code").unwrap();
    provider.redeem(client, &code).await.ok().text("access_token")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dovecot_lets_a_user_in_by_introspection_and_no_other() {
    let (provider, mail, other) = stage().await;
    let address = provider.url("/introspect").replace("://", &format!("://dovecot:{SECRET}@"));
    let dovecot = Dovecot::start(&format!(
        "introspection_mode = post\nintrospection_url = {address}\nforce_introspection = yes\n\
         active_attribute = active\nactive_value = true\nusername_attribute = username\n"
    ));
    whom_it_lets_in(&provider, &dovecot, &mail).await;
    let foreign = token(&provider, &other, "alice").await;
    assert!(!dovecot.lets_in("XOAUTH2", "alice", &foreign), "a token for another service: {}", dovecot.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dovecot_lets_a_user_in_by_userinfo_and_no_other() {
    let (provider, mail, _other) = stage().await;
    let dovecot = Dovecot::start(&format!(
        "introspection_mode = auth\nintrospection_url = {}\nforce_introspection = yes\n\
         username_attribute = preferred_username\n",
        provider.url("/userinfo")
    ));
    whom_it_lets_in(&provider, &dovecot, &mail).await;
}

async fn whom_it_lets_in(provider: &TestProvider, dovecot: &Dovecot, mail: &TestClient) {
    let (alice, bob) = (token(provider, mail, "alice").await, token(provider, mail, "bob").await);
    for mechanism in ["XOAUTH2", "OAUTHBEARER"] {
        assert!(dovecot.lets_in(mechanism, "alice", &alice), "{mechanism}: {}", dovecot.log());
        assert!(dovecot.lets_in(mechanism, "bob", &bob), "{mechanism}: {}", dovecot.log());
        for (username, token) in [("alice", bob.as_str()), ("bob", &alice), ("alice", "hp_at_x"), ("root", &alice)] {
            assert!(!dovecot.lets_in(mechanism, username, token), "{mechanism} {username}: {}", dovecot.log());
        }
    }
    let revoke = [("token", alice.as_str())];
    let _ = provider.post("/revoke", mail.auth(), &revoke).await.ok();
    assert!(!dovecot.lets_in("XOAUTH2", "alice", &alice), "a token that was given back: {}", dovecot.log());
    // A user who may not use the mail program any more.
    provider.sql("UPDATE clients SET access = 'groups' WHERE client_id = 'mail'").await;
    provider.travel(10);
    assert!(!dovecot.lets_in("OAUTHBEARER", "bob", &bob), "outside: {}", dovecot.log());
}
