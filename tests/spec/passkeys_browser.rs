//! Passkeys in a real browser, by its virtual authenticator: our script, what the browser makes of the options, and pages as their users
//! see them. What does not hold is tried in `passkeys.rs`.

use crate::support::chromium::{Browser, Options, VirtualAuthenticator};
use crate::support::provider::PASSWORD;
use crate::support::{Authorization, NewClient, Receiver, TestClient, TestProvider, claims_of};
use serde_json::{Value, json};

const PATH: &str = "/account/passkeys";
/// A browser without passkeys where user names are typed.
const NO_CONDITIONAL: &str = "if (window.PublicKeyCredential) { \
     PublicKeyCredential.isConditionalMediationAvailable = function () { return Promise.resolve(false); }; }";

struct Here {
    provider: TestProvider,
    client: TestClient,
    receiver: Receiver,
    browser: Browser,
}

async fn ready() -> Here {
    let provider = TestProvider::with(&[("issuer", "//localhost")]).await;
    let receiver = Receiver::start().await;
    let client = NewClient::new("reports").with("client_name", "Reports").with("consent", "skip");
    let client = provider.add(client.at(&[&receiver.redirect_uri])).await;
    provider.alice().await;
    Here { provider, client, receiver, browser: Browser::open(Options::default()).await }
}

impl Here {
    async fn type_in(&self) {
        self.browser.fill("#username", "alice").await;
        self.browser.fill("#password", PASSWORD).await;
        self.browser.click("button[value=sign_in]").await;
    }

    /// Signs alice in by the password, opens the page of the passkeys and adds one.
    async fn add(&self) {
        self.browser.goto(&self.provider.url(PATH)).await;
        self.type_in().await;
        // Where one is offered first: not there, as this page has the offer itself.
        assert_eq!(self.browser.text("h1").await, "Passkeys");
        self.browser.fill("#name", "my laptop").await;
        self.press().await;
    }

    /// Presses the button, which leads to another page only where the authenticator answers.
    async fn press(&self) {
        self.browser.ask("document.querySelector('#passkey button').click()").await;
    }

    async fn wait_for_heading(&self, heading: &str) {
        for _ in 0..200 {
            if self.browser.text("h1").await == heading {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{heading:?} was waited for: {}", self.browser.text("main").await);
    }

    async fn forget(&self) {
        self.browser.client().delete_all_cookies().await.unwrap();
    }

    /// Leaves for the provider with a request of the service.
    async fn request(&self, acr_values: &str) {
        let request = Authorization::of(&self.client).with("acr_values", acr_values);
        self.browser.goto(&request.url(&self.provider)).await;
    }

    /// What the service is told.
    async fn arrived(&self) -> Value {
        self.browser.wait_for_url_containing("/callback").await;
        let (_, answer) = self.receiver.next().await;
        claims_of(&self.provider.redeem(&self.client, answer.code()).await.ok().text("id_token"))
    }

    async fn complaints(&self) -> Vec<String> {
        let all = self.browser.console_errors().await;
        all.into_iter().filter(|line| !line.contains("the server responded with a status of 4")).collect()
    }

    /// Waits until the script has said something, and gives it.
    async fn said(&self) -> String {
        for _ in 0..200 {
            let text = self.browser.ask("return document.querySelector('#passkey-said p').textContent").await;
            if text != "" {
                return text.as_str().unwrap().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the script said nothing");
    }
}

#[tokio::test]
async fn a_passkey_is_added_and_offered_where_user_names_are_typed() {
    let here = ready().await;
    let authenticator = here.browser.add_authenticator(VirtualAuthenticator::default()).await;
    here.add().await;
    here.wait_for_heading("Your recovery codes").await;
    let kept = here.browser.passkeys_of(&authenticator).await;
    assert_eq!(
        (kept.len(), &kept[0]["rpId"], &kept[0]["isResidentCredential"]),
        (1, &json!("localhost"), &json!(true))
    );
    let rows = here.provider.rows("SELECT name, user_handle FROM user_passkeys").await;
    assert_eq!(rows[0][0].as_deref(), Some("my laptop"));
    assert_eq!(kept[0]["userHandle"].as_str(), rows[0][1].as_deref());
    here.forget().await;
    // The browser's user consents at once, so that the page is left without a key pressed.
    here.request("1 2").await;
    let claims = here.arrived().await;
    assert_eq!((&claims["amr"], &claims["acr"]), (&json!(["hwk", "user", "mfa"]), &json!("2")));
    assert_eq!(here.complaints().await, Vec::<String>::new());
    here.browser.close().await;
}

#[tokio::test]
async fn there_is_a_button_where_the_browser_offers_nothing_while_typing() {
    let here = ready().await;
    here.browser.before_each_page(NO_CONDITIONAL).await;
    let synced = VirtualAuthenticator {
        default_backup_eligibility: true,
        default_backup_state: true,
        ..VirtualAuthenticator::default()
    };
    here.browser.add_authenticator(synced).await;
    here.add().await;
    here.wait_for_heading("Your recovery codes").await;
    here.forget().await;
    here.request("1 2").await;
    assert_eq!(here.browser.text("#passkey button").await, "Sign in with a passkey");
    here.browser.screenshot("login-passkey.png").await;
    here.browser.click("#passkey button").await;
    assert_eq!(here.arrived().await["amr"], json!(["swk", "user", "mfa"]));
    // After the password it is the second factor.
    here.forget().await;
    here.request("1 2").await;
    here.type_in().await;
    assert_eq!(here.browser.text("h1").await, "Confirm that it is you");
    here.browser.screenshot("second-factor-passkey.png").await;
    here.browser.click("#passkey button").await;
    assert_eq!(here.arrived().await["amr"], json!(["pwd", "swk", "user", "mfa"]));
    assert_eq!(here.complaints().await, Vec::<String>::new());
    here.browser.close().await;
}

#[tokio::test]
async fn who_is_not_verified_adds_none_and_signs_in_by_none() {
    let here = ready().await;
    here.browser.before_each_page(NO_CONDITIONAL).await;
    let authenticator = here.browser.add_authenticator(VirtualAuthenticator::default()).await;
    here.browser.verify_user(&authenticator, false).await;
    here.add().await;
    assert!(here.said().await.contains("did not work"), "{}", here.browser.text("main").await);
    // It can be pressed again.
    here.browser.verify_user(&authenticator, true).await;
    here.browser.click("#passkey button").await;
    assert_eq!(here.browser.text("h1").await, "Your recovery codes");
    here.forget().await;
    here.browser.verify_user(&authenticator, false).await;
    here.request("1 2").await;
    here.press().await;
    assert!(here.said().await.contains("did not work"));
    assert_eq!(here.browser.text("h1").await, "Sign in to continue to Reports");
    here.browser.close().await;
}

#[tokio::test]
async fn an_authenticator_that_keeps_none_or_has_one_is_told_so() {
    let here = ready().await;
    let keeps_none =
        VirtualAuthenticator { has_resident_key: false, transport: "usb", ..VirtualAuthenticator::default() };
    here.browser.add_authenticator(keeps_none).await;
    here.add().await;
    assert!(here.said().await.contains("did not work"));
    assert!(here.provider.rows("SELECT passkey_id FROM user_passkeys").await.is_empty());
    here.browser.close().await;

    let here = ready().await;
    here.browser.add_authenticator(VirtualAuthenticator::default()).await;
    here.add().await;
    here.wait_for_heading("Your recovery codes").await;
    here.forget().await;
    here.browser.goto(&here.provider.url(PATH)).await;
    here.browser.wait_for_url_containing(PATH).await;
    here.press().await;
    assert_eq!(here.said().await, "This device has a passkey for your account already.");
    here.browser.screenshot("account-passkeys.png").await;
    here.browser.close().await;
}

#[tokio::test]
async fn a_copy_is_refused_by_its_counter() {
    let here = ready().await;
    here.browser.before_each_page(NO_CONDITIONAL).await;
    let authenticator = here.browser.add_authenticator(VirtualAuthenticator::default()).await;
    here.add().await;
    here.wait_for_heading("Your recovery codes").await;
    let copy = here.browser.passkeys_of(&authenticator).await.remove(0);
    here.forget().await;
    for _ in 0..2 {
        here.forget().await;
        here.request("1 2").await;
        here.browser.click("#passkey button").await;
        let _ = here.arrived().await;
    }
    here.browser.remove_passkeys(&authenticator).await;
    here.browser.put_passkey(&authenticator, &copy).await;
    here.forget().await;
    here.request("1 2").await;
    here.browser.click("#passkey button").await;
    assert!(here.browser.text("#passkey-said").await.contains("there may be a copy of it"));
    here.browser.close().await;
}

#[tokio::test]
async fn it_is_offered_once_after_a_password() {
    let here = ready().await;
    here.browser.before_each_page(NO_CONDITIONAL).await;
    here.browser.add_authenticator(VirtualAuthenticator::default()).await;
    here.request("").await;
    here.type_in().await;
    assert_eq!(here.browser.text("h1").await, "Sign in without a password?");
    here.browser.screenshot("passkey-offer.png").await;
    here.browser.click("#passkey button").await;
    assert_eq!(here.browser.text("h1").await, "Your recovery codes");
    here.browser.screenshot("passkey-codes.png").await;
    here.browser.click("main a.primary").await;
    assert_eq!(here.arrived().await["amr"], json!(["pwd"]));
    here.forget().await;
    here.request("").await;
    here.browser.click("#passkey button").await;
    assert_eq!(here.arrived().await["amr"], json!(["hwk", "user", "mfa"]));
    assert_eq!(here.complaints().await, Vec::<String>::new());
    here.browser.close().await;
}

#[tokio::test]
async fn without_scripts_pages_have_no_part_that_does_nothing() {
    let here = ready().await;
    let plain = Browser::open(Options { javascript: false, ..Options::default() }).await;
    plain.goto(&Authorization::of(&here.client).url(&here.provider)).await;
    let main = plain.text("main").await;
    assert!(!main.contains("passkey"), "{main}");
    plain.fill("#username", "alice").await;
    plain.fill("#password", PASSWORD).await;
    plain.click("button[value=sign_in]").await;
    plain.wait_for_url_containing("/callback").await;
    plain.goto(&here.provider.url(PATH)).await;
    let main = plain.text("main").await;
    assert!(main.contains("use a browser that knows passkeys and runs scripts"), "{main}");
    assert!(!main.contains("Add a passkey"), "{main}");
    plain.close().await;
    here.browser.close().await;
}
