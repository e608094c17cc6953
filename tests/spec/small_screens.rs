//! Every page that `hallpass preview page` can show on small screens, measured in Chromium: what fits without scrolling, and
//! what stays in reach where something has to scroll.

use crate::support::chromium::{Browser, Options};
use crate::support::folder;
use crate::support::program::{LANGUAGES, PreviewPages};
use serde_json::json;
use std::fs;
use std::path::Path;

const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 360 96\" width=\"360\" height=\"96\">\n\
    <rect width=\"360\" height=\"96\" rx=\"12\" fill=\"#8a2be2\"/></svg>\n";

/// The pages with as much on them as settings can put there.
fn with_all_settings(folder: &Path) -> PreviewPages {
    let logo = folder.join("logo.svg");
    fs::write(&logo, LOGO).unwrap();
    PreviewPages::start(
        folder,
        &[
            ("HALLPASS_NAME", "Example University of Applied Sciences"),
            ("HALLPASS_LOGO", &logo.display().to_string()),
            ("HALLPASS_HELP_URL", "https://example.org/help"),
            ("HALLPASS_PRIVACY_URL", "https://example.org/privacy"),
            ("HALLPASS_IMPRINT_URL", "https://example.org/imprint"),
            ("HALLPASS_REMEMBER", "ask"),
            ("HALLPASS_SMTP_URL", "smtps://smtp.example.org"),
            ("HALLPASS_MAIL_FROM", "id@example.org"),
            ("HALLPASS_SIGN_UP", "domain:example.org"),
        ],
    )
}

#[tokio::test]
async fn every_page_fits_a_small_notebook_without_scrolling() {
    let folder = folder();
    let browser = Browser::open(Options { width: 1280, height: 657, ..Options::default() }).await;
    browser.fit(1280, 657).await;
    for (kind, pages) in [
        ("settings", with_all_settings(folder.path())),
        ("plain", PreviewPages::start(folder.path(), &[("HALLPASS_NAME", "")])),
    ] {
        let mut taller = Vec::new();
        let languages = if kind == "plain" { &LANGUAGES[..2] } else { &LANGUAGES };
        for (language, name) in languages.iter().flat_map(|language| pages.names.iter().map(move |it| (language, it))) {
            browser.goto(&pages.url_in(language, name)).await;
            let measured = browser
                .ask(
                    "const root = document.documentElement;
                     return { fits: root.scrollHeight <= innerHeight && root.scrollWidth <= innerWidth,
                              height: root.scrollHeight, nothing_cut: [...document.querySelectorAll('main, footer')].every(e => {
                                  const box = e.getBoundingClientRect();
                                  return box.top >= 0 && box.bottom <= innerHeight; }) }",
                )
                .await;
            if measured["fits"] != true || measured["nothing_cut"] != true {
                taller.push(format!("{name}, {language}: {measured}"));
            }
            if *language == "en" && ["consent", "login-confirm", "select-account"].contains(&name.as_str()) {
                browser.screenshot(&format!("notebook-{name}-{kind}.png")).await;
            }
        }
        assert!(taller.is_empty(), "{kind}: {taller:#?}");
    }
    browser.close().await;
}

/// Whether an element is in view as a whole, but for the pixel that scrolling rounds, and nothing lies over its middle.
const IS_SHOWN: &str = "const is_shown = element => {
    const box = element.getBoundingClientRect();
    const at = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
    return box.top >= -1 && box.bottom <= innerHeight + 1 && at !== null && (element.contains(at) || at.contains(element));
};";

#[tokio::test]
async fn the_sign_in_button_is_in_view_while_the_password_is_typed_on_a_phone() {
    let folder = folder();
    let pages = with_all_settings(folder.path());
    // Without and with the keyboard; the page asks for its height to be taken off what the page has.
    for height in [664, 400] {
        let browser = Browser::open(Options { width: 390, height, ..Options::default() }).await;
        let names = pages.names.iter().filter(|name| name.starts_with("login") || *name == "select-account");
        for (language, name) in names.flat_map(|name| LANGUAGES.map(|language| (language, name))) {
            browser.goto(&pages.url_in(language, name)).await;
            let seen = format!(
                "{IS_SHOWN}
                 const password = document.getElementById('password');
                 password.focus();
                 return [is_shown(password), is_shown(document.querySelector('button[value=sign_in]')),
                         document.querySelector('meta[name=viewport]').content.includes('interactive-widget=resizes-content')]"
            );
            assert_eq!(browser.ask(&seen).await, json!([true, true, true]), "{name} in {language} at 390 x {height}");
            browser.screenshot(&format!("phone-{height}-{name}-{language}.png")).await;
        }
        browser.close().await;
    }
}

/// Long names, thirty values to send, and many services.
const MUCH: &str = "
    const list = document.querySelector('.scopes'), line = list && list.firstElementChild;
    for (let i = 0; line && i < 6; i += 1) {
        const copy = line.cloneNode(true), values = copy.querySelector('dl');
        for (let j = 0; values && j < 5; j += 1) values.append(values.firstElementChild.cloneNode(true));
        list.append(copy);
    }
    document.querySelectorAll('bdi').forEach(e => {
        e.textContent = (e.textContent + ' ').repeat(4) + 'Donaudampfschifffahrtsgesellschaft';
    });";

#[tokio::test]
async fn with_much_content_and_large_text_the_decision_stays_in_reach_and_nothing_overlaps() {
    let folder = folder();
    let pages = with_all_settings(folder.path());
    for (width, height, percent) in
        [(1280, 657, 100), (1280, 657, 200), (640, 328, 100), (390, 664, 100), (390, 664, 200)]
    {
        let browser = Browser::open(Options { width, height, ..Options::default() }).await;
        if width > 600 {
            browser.fit(width, height).await;
        }
        let names = ["consent", "consent-app", "logout", "home", "select-account", "login-confirm", "login-throttled"];
        for (language, name) in names.iter().flat_map(|name| LANGUAGES.map(|language| (language, *name))) {
            browser.goto(&pages.url_in(language, name)).await;
            browser.ask(&format!("{MUCH} document.documentElement.style.fontSize = '{percent}%';")).await;
            let seen = format!(
                "{IS_SHOWN}
                 const root = document.documentElement, all = css => [...document.querySelectorAll(css)];
                 const decision = all('.decision button'), is_question = !document.getElementById('password');
                 scrollTo(0, 0);
                 const at_once = decision.every(is_shown);
                 const reached = decision.every(e => {{ e.scrollIntoView({{ block: 'nearest' }}); return is_shown(e); }});
                 // What takes the focus is not behind what stays in view.
                 const hidden = all('main a, main button, main input:not([type=hidden])').filter(e => {{
                     if (e.getClientRects().length === 0) return false;
                     e.focus();
                     return !is_shown(e) && e.getBoundingClientRect().height < innerHeight / 2;
                 }});
                 // The lines of all texts, but those that stay in view while others go below them.
                 const lines = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
                 while (walker.nextNode()) {{
                     if (!walker.currentNode.data.trim() || walker.currentNode.parentElement.closest('.decision')) continue;
                     const range = document.createRange();
                     range.selectNodeContents(walker.currentNode);
                     for (const box of range.getClientRects()) lines.push([box, walker.currentNode.data]);
                 }}
                 const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
                     && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 6;
                 const overlaps = lines.flatMap(([a, text], i) => lines.slice(i + 1)
                     .filter(([b, other]) => over(a, b)).map(([b, other]) => [text, other]));
                 return {{ at_once: at_once || !is_question || {percent} > 100, reached, hidden: hidden.map(e => e.outerHTML),
                           overlaps, wide: root.scrollWidth - root.clientWidth, lines: lines.length > 20 }};"
            );
            let expected =
                json!({ "at_once": true, "reached": true, "hidden": [], "overlaps": [], "wide": 0, "lines": true });
            let what = format!("{name} at {width} x {height}, text {percent} %");
            assert_eq!(browser.ask(&seen).await, expected, "{what}");
        }
        browser.close().await;
    }
}
