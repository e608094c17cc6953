//! What a browser calls itself, in words a person recognizes: *Firefox on Linux*. Shown, and never decided on.

use crate::texts::{Catalog, Text, text};
use axum::http::{HeaderMap, HeaderValue, header};

/// What is looked for, in the order in which it tells one from the other: each claims to be some of those behind it.
const BROWSERS: [(&str, &str); 10] = [
    ("EdgA/", "Edge"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];
const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];
/// The most of the header that is looked at, in bytes.
const MOST: usize = 512;

/// The browser and what it runs on; `another browser` where neither is known.
#[must_use]
pub fn described(headers: &HeaderMap) -> String {
    let text = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(text.get(..MOST).unwrap_or(text));
    let known =
        |list: &[(&str, &'static str)]| list.iter().find(|(mark, _)| text.contains(mark)).map(|(_, name)| *name);
    match (known(&BROWSERS), known(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => format!("{ANOTHER} on {system}"),
        (None, None) => ANOTHER.to_owned(),
    }
}

/// What a browser is called where none of ours is known, in what `described` gives.
const ANOTHER: &str = "another browser";

/// What `described` gave, as a text.
#[must_use]
pub fn told(described: &str) -> Text<'_> {
    match described.split_once(" on ") {
        Some((ANOTHER, system)) => text("browser-another-on").with("system", system),
        Some((browser, system)) => text("browser-on").with("browser", browser).with("system", system),
        None if described == ANOTHER => text("browser-another"),
        None => text("browser").with("browser", described),
    }
}

/// What `described` gave as a name for a passkey to begin with, in the language of the page: empty where it tells nothing.
#[must_use]
pub fn as_name(described: &str, texts: &Catalog) -> String {
    if described.starts_with(ANOTHER) { String::new() } else { told(described).of(texts).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_told_from_those_it_claims_to_be() {
        for (sent, shown) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            ("Links (2.29; Linux 6.1)", "another browser on Linux"),
            ("curl/8.0", "another browser"),
            ("", "another browser"),
        ] {
            let headers = HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_str(sent).unwrap())]);
            assert_eq!(described(&headers), shown, "{sent}");
        }
        assert_eq!(described(&HeaderMap::new()), "another browser");
        let long = HeaderValue::from_bytes(&[b"\xff".repeat(5000), b"Firefox/1".to_vec()].concat()).unwrap();
        assert_eq!(described(&HeaderMap::from_iter([(header::USER_AGENT, long)])), "another browser");
    }
}
