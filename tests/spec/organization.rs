//! The organization's own face: name, logo, color and links on every page, checked at the start, and `hallpass preview page`.

use crate::support::chromium::{Browser, Options};
use crate::support::program::{PreviewPages, refused, run_with};
use crate::support::provider::PASSWORD;
use crate::support::verbs::{http, send};
use crate::support::{Authorization, NewClient, Page, TestClient, TestProvider, UserAgent, folder};
use reqwest::StatusCode;
use scraper::{Html, Selector};
use std::fs;
use std::path::Path;

const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 120 32\" width=\"120\" height=\"32\">\n\
    <rect width=\"32\" height=\"32\" rx=\"6\" fill=\"#8a2be2\"/><circle cx=\"80\" cy=\"16\" r=\"14\" fill=\"#e2a02b\"/></svg>\n";
const COLORS: &str = "#7a1f9e,#d9a6f0";

// ---- Verbs of this file.

fn logo_in(folder: &Path, content: &str) -> String {
    let file = folder.join("logo.svg");
    fs::write(&file, content).unwrap();
    file.display().to_string()
}

async fn with_a_face(logo: &str) -> TestProvider {
    TestProvider::with(&[
        ("name", "Example & Sons"),
        ("logo", logo),
        ("accent", COLORS),
        ("help_url", "mailto:help@example.com"),
        ("privacy_url", "https://example.com/privacy"),
        ("imprint_url", "mailto:office@example.com"),
    ])
    .await
}

fn attributes(page: &Page, css: &str, name: &str) -> Vec<String> {
    let html = Html::parse_document(&page.body);
    let selector = Selector::parse(css).unwrap();
    html.select(&selector).filter_map(|element| element.attr(name)).map(str::to_owned).collect()
}

/// Pages of several kinds, each with the face of the organization or without one.
async fn pages(provider: &TestProvider, client: &TestClient) -> Vec<Page> {
    let browser = UserAgent::new();
    let login = Authorization::of(client).open(provider, &browser).await;
    let consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    assert!(consent.url.path().ends_with("/consent"), "{consent}");
    let mut pages = vec![login, consent];
    for path in ["/", "/logout", "/nowhere", "/login"] {
        pages.push(browser.get(&provider.url(path)).await);
    }
    pages
}

// ---- On every page.

#[tokio::test]
async fn every_page_has_the_name_logo_color_and_links_of_the_organization() {
    let folder = folder();
    let provider = with_a_face(&logo_in(folder.path(), LOGO)).await;
    provider.alice().await;
    let client = provider.add(NewClient::new("reports")).await;
    for page in pages(&provider, &client).await {
        assert_eq!(attributes(&page, ".brand img", "alt"), ["Example & Sons"], "{page}");
        assert!(!page.text().contains("Hallpass"), "{page}");
        assert!(page.text().contains("Sign-in service of Example & Sons"), "{page}");
        // From a page with a form they open in a tab of their own; a mailbox needs none.
        let has_form = !attributes(&page, "form", "method").is_empty();
        let new_tabs = attributes(&page, "footer a[target=_blank][rel=noopener]", "href");
        assert_eq!(new_tabs, if has_form { vec!["https://example.com/privacy"] } else { Vec::new() }, "{page}");
        assert_eq!(page.texts("footer").concat().contains("(opens in a new tab)"), has_form, "{page}");
        let links = attributes(&page, "footer a", "href");
        assert_eq!(links, ["mailto:help@example.com", "https://example.com/privacy", "mailto:office@example.com"]);
        let icon = attributes(&page, "link[rel=icon]", "href").remove(0);
        assert_eq!(attributes(&page, ".brand img", "src"), [icon.as_str()], "the logo is the icon, too");
        let styles = attributes(&page, "link[rel=stylesheet]", "href");
        assert!(styles.len() == 2 && styles[1].contains("/assets/organization.css?v="), "{styles:?}");
        for asset in styles.iter().chain([&icon]) {
            let found = send(http().get(page.url.join(asset).unwrap())).await;
            assert_eq!(found.status, StatusCode::OK, "{asset}");
            assert!(found.header("cache-control").unwrap().contains("immutable"), "{asset}");
        }
        // Nothing of it is in the page itself, and the policy is the one that it was.
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("style-src 'self'; img-src 'self'") && !page.body.contains("#7a1f9e"), "{policy}");
    }
    let css = send(http().get(provider.url("/assets/organization.css"))).await;
    assert!(css.body.contains("--accent: #7a1f9e;") && css.body.contains("--accent: #d9a6f0;"), "{}", css.body);
}

#[tokio::test]
async fn the_logo_is_served_so_that_nothing_in_it_can_run() {
    let folder = folder();
    let provider = with_a_face(&logo_in(folder.path(), LOGO)).await;
    let logo = send(http().get(provider.url("/assets/logo"))).await;
    assert_eq!((logo.status, logo.body.as_str()), (StatusCode::OK, LOGO));
    assert_eq!(logo.header("content-type"), Some("image/svg+xml"));
    assert_eq!(logo.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(logo.header("cross-origin-resource-policy"), Some("same-origin"));
    let policy = logo.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none';") && policy.contains("sandbox") && !policy.contains("script"),
        "{policy}"
    );
}

#[tokio::test]
async fn without_settings_the_pages_are_hallpass_s_own() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = provider.add(NewClient::new("reports")).await;
    for page in pages(&provider, &client).await {
        assert!(page.text().contains("Hallpass sign-in service"), "{page}");
        assert_eq!(attributes(&page, "footer a", "href"), [""; 0], "{page}");
        assert_eq!(attributes(&page, "link[rel=stylesheet]", "href").len(), 1, "{page}");
    }
    for path in ["/assets/logo", "/assets/organization.css"] {
        assert_eq!(send(http().get(provider.url(path))).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn the_login_page_names_our_host_beside_the_password_and_the_service_s_policy_and_terms() {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("policy_uri", "https://reports.example/privacy");
    let client = provider.add(client.with("tos_uri", "javascript:alert(1)")).await;
    let login = Authorization::of(&client).open(&provider, &UserAgent::new()).await;
    let host = provider.issuer.trim_start_matches("http://");
    assert!(
        login.text().contains(&format!("Your password stays at {host} . It is never shared with The reports service")),
        "{login}"
    );
    let about = |page: &Page| attributes(page, ".about a[target=_blank]", "href");
    assert_eq!(about(&login), ["https://reports.example/privacy"], "{login}");
    let other = provider.add(NewClient::new("other")).await;
    assert_eq!(about(&Authorization::of(&other).open(&provider, &UserAgent::new()).await), [""; 0]);
}

// ---- At the start.

#[test]
fn a_face_that_cannot_be_shown_stops_the_start_with_file_and_line_or_numbers() {
    let folder = folder();
    let name = ("HALLPASS_NAME", "Example");
    let told = |pairs: &[(&str, &str)], texts: &[&str]| {
        for command in ["serve", "migrate"] {
            refused(&run_with(folder.path(), &[command], pairs, ""), texts);
        }
    };
    let logo = logo_in(folder.path(), &LOGO.replace("</svg>", "\n<script>alert(1)</script></svg>"));
    told(&[name, ("HALLPASS_LOGO", &logo)], &["HALLPASS_LOGO", "logo.svg line 3: has <script>"]);
    let logo =
        logo_in(folder.path(), &LOGO.replace("<circle", "\n<image href=\"https://evil.example/x.png\"/><circle"));
    told(&[name, ("HALLPASS_LOGO", &logo)], &["logo.svg line 3: refers to", "https://evil.example/x.png"]);
    told(&[name, ("HALLPASS_LOGO", "none.svg")], &["HALLPASS_LOGO", "none.svg: "]);
    let logo = logo_in(folder.path(), LOGO);
    told(&[("HALLPASS_LOGO", &logo)], &["needs HALLPASS_NAME"]);
    let color = |value| [("HALLPASS_ACCENT", value)];
    told(
        &color("#ffcc00,#ffcc00"),
        &["#ffcc00 has a contrast of 1.3:1 to the light background #f2f0ea", "4.5:1", "Example: "],
    );
    told(&color("#0d5e4d,#0d5e4d"), &["to the dark background #1a201e"]);
    told(&color("green"), &["must be a color such as #0d5e4d"]);
    // A web page of http can be changed on the way to the user.
    told(&[("HALLPASS_PRIVACY_URL", "http://example.com/privacy")], &["HALLPASS_PRIVACY_URL", "an address of https"]);
    let large = logo_in(folder.path(), &LOGO.replace("</svg>", &format!("{}</svg>", " ".repeat(64 * 1024))));
    told(&[name, ("HALLPASS_LOGO", &large)], &["HALLPASS_LOGO", "65536 are the most"]);
}

// ---- To look at.

#[tokio::test]
async fn one_color_is_enough_and_each_scheme_gets_a_shade_that_can_be_read() {
    let provider = TestProvider::with(&[("accent", "#0d5e4d")]).await;
    let css = send(http().get(provider.url("/assets/organization.css"))).await.body;
    let shades: Vec<&str> = css.split("--accent: ").skip(1).map(|rest| &rest[..7]).collect();
    assert!(shades[0] == "#0d5e4d" && shades[1] != "#0d5e4d" && shades.len() == 2, "{css}");
}

#[tokio::test]
async fn the_face_is_seen_in_light_and_dark_on_phone_and_desktop_and_breaks_no_policy() {
    let folder = folder();
    let provider = with_a_face(&logo_in(folder.path(), LOGO)).await;
    provider.alice().await;
    let client =
        NewClient::new("reports").with("client_name", "Reports").with("policy_uri", "https://reports.example/privacy");
    let client = provider.add(client).await;
    for (dark, phone) in [(false, false), (false, true), (true, false), (true, true)] {
        let (width, height) = if phone { (390, 844) } else { (1280, 800) };
        let browser = Browser::open(Options { dark, width, height, ..Options::default() }).await;
        browser.goto(&Authorization::of(&client).url(&provider)).await;
        let seen = "const button = getComputedStyle(document.querySelector('.primary')), logo = document.querySelector('.logo');
                    return [button.backgroundColor, button.color, logo.naturalWidth > 0, logo.getBoundingClientRect().height <= 48]";
        let (color, on) =
            if dark { ("rgb(217, 166, 240)", "rgb(26, 32, 30)") } else { ("rgb(122, 31, 158)", "rgb(255, 255, 255)") };
        assert_eq!(browser.ask(seen).await, serde_json::json!([color, on, true, true]));
        let kind = format!("{}-{}", if dark { "dark" } else { "light" }, if phone { "phone" } else { "desktop" });
        browser.screenshot(&format!("face-login-{kind}.png")).await;
        browser.fill("#username", "alice").await;
        browser.fill("#password", PASSWORD).await;
        browser.click("button[value=sign_in]").await;
        browser.screenshot(&format!("face-consent-{kind}.png")).await;
        assert_eq!(browser.console_errors().await, Vec::<String>::new());
        browser.close().await;
    }
}

#[tokio::test]
async fn preview_page_serves_every_page_with_the_face_and_the_policy_and_needs_no_database() {
    let folder = folder();
    let logo = logo_in(folder.path(), LOGO);
    let variables = [
        ("HALLPASS_ISSUER", "https://id.example.com/auth"),
        ("HALLPASS_DATABASE_URL", "postgres://no.such.host/none"),
        ("HALLPASS_NAME", "Example & Sons"),
        ("HALLPASS_LOGO", &logo),
        ("HALLPASS_REMEMBER", "ask"),
    ];
    let unknown = run_with(folder.path(), &["preview", "page", "lgoin"], &variables, "");
    refused(&unknown, &["there is no page \"lgoin\"", "login"]);
    let pages = PreviewPages::start(folder.path(), &variables);
    let (address, names) = (&pages.login, &pages.names);
    assert!(address.starts_with("http://127.0.0.1:") && address.ends_with("/auth/preview/login"), "{address}");
    for name in [
        "consent",
        "login-disabled",
        "already-answered",
        "another-browser",
        "form-not-ours",
        "wrong-method",
        "signed-out-everywhere",
        "signed-out-not-everywhere",
        "store-failed",
        "node-outdated",
    ] {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
    let browser = UserAgent::new();
    for name in names {
        let page = browser.get(&pages.url(name)).await;
        assert_eq!(attributes(&page, ".brand img", "alt"), ["Example & Sons"], "{name}: {page}");
        assert_eq!(page.texts("h1"), [page.title()], "{page}");
        assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{page}");
        // The scripts come from where the page does, and the policy lets them.
        let scripts = attributes(&page, "script[src]", "src");
        // The script of this one would send its form away at once.
        for script in scripts.iter().filter(|_| name != "form-post") {
            let policy = page.header("content-security-policy").unwrap();
            let source = page.url.join("../assets/").unwrap();
            assert!(policy.ends_with(&format!("script-src {source}")), "{policy}");
            assert_eq!(send(http().get(page.url.join(script).unwrap())).await.status, StatusCode::OK, "{script}");
        }
        let has_box = name.starts_with("login") || name.starts_with("select");
        assert_eq!(page.text().contains("Stay signed in on this device"), has_box, "{name}");
        for asset in attributes(&page, "link[href], script[src], img[src]", "href") {
            assert_eq!(send(http().get(page.url.join(&asset).unwrap())).await.status, StatusCode::OK, "{asset}");
        }
    }
}
