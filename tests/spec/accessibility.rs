//! Every page that `hallpass preview page` can show, looked at by [axe-core](https://github.com/dequelabs/axe-core) in
//! Chromium: in light and dark, on a desktop and on a phone.

use crate::support::chromium::{Browser, Options};
use crate::support::folder;
use crate::support::party::node_modules;
use crate::support::program::{LANGUAGES, PreviewPages};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::fs;

/// What axe-core finds wrong in the page that is open: the rules, and the elements that break them.
async fn violations(browser: &Browser, axe: &str) -> Value {
    browser.ask(axe).await;
    let run = "const done = arguments[arguments.length - 1];
               axe.run().then(found => done({
                   violations: found.violations.map(rule => [rule.id, rule.nodes.map(node => node.html)]),
                   passes: found.passes.map(rule => rule.id) }),
                   error => done({ error: String(error) }))";
    let found = browser.client().execute_async(run, vec![]).await.unwrap();
    // A page on which it looks at nothing has no violations either.
    let passes = found["passes"].as_array().unwrap_or_else(|| panic!("{found}"));
    for rule in ["color-contrast", "document-title", "html-has-lang", "page-has-heading-one"] {
        assert!(passes.contains(&json!(rule)) || found["violations"] != json!([]), "{rule} was not tried: {found}");
    }
    found["violations"].clone()
}

#[tokio::test]
async fn axe_finds_nothing_on_any_page_in_light_and_dark_on_desktop_and_phone() {
    let axe = fs::read_to_string(node_modules().join("axe-core/axe.min.js")).unwrap();
    let folder = folder();
    let settings = [
        ("HALLPASS_REMEMBER", "ask"),
        ("HALLPASS_SMTP_URL", "smtps://smtp.example.org"),
        ("HALLPASS_MAIL_FROM", "id@example.org"),
        ("HALLPASS_SIGN_UP", "domain:example.org"),
    ];
    let pages = PreviewPages::start(folder.path(), &settings);
    let all = [(false, false), (false, true), (true, false), (true, true)];
    join_all(all.map(async |(dark, phone)| {
        let (width, height) = if phone { (390, 844) } else { (1280, 800) };
        let browser = Browser::open(Options { dark, width, height, ..Options::default() }).await;
        // Colors are the same in each language, and sizes are not; what is written from right to left is so at each size.
        let languages = match (dark, phone) {
            (true, _) => &LANGUAGES[..1],
            (false, false) => &LANGUAGES[..2],
            (false, true) => &LANGUAGES,
        };
        for (language, name) in languages.iter().flat_map(|language| pages.names.iter().map(move |it| (language, it))) {
            let page = pages.url_in(language, name);
            browser.goto(&page).await;
            assert_eq!(browser.ask("return document.documentElement.lang").await, json!(language));
            let found = violations(&browser, &axe).await;
            assert_eq!(browser.url().await.as_str(), page, "it was looked at to the end");
            assert_eq!(found, json!([]), "{name}, {language}, dark: {dark}, phone: {phone}");
        }
        // It does find what is wrong.
        browser.goto(&pages.login).await;
        browser.ask("document.querySelector('label[for=username]').remove()").await;
        let found = violations(&browser, &axe).await;
        assert_eq!(found[0][0], "label", "{found}");
        browser.close().await;
    }))
    .await;
}
