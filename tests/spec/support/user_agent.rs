//! A browser without JavaScript, driven by a test: cookies, forms, and redirects one hop at a time.
//!
//! It does what browsers do with cookies, `Origin`, `Referer` and `Sec-Fetch-*`, written by hand so that it shares no
//! mistake with the provider's own code: [RFC 6265bis](https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis).
//! Every host name leads to 127.0.0.1, so that no test leaves this machine. What is surprising is a panic.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use super::leaks;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode, redirect};
use scraper::{ElementRef, Html, Selector};
use url::{Host, Position, Url, form_urlencoded};

/// The site from which [`UserAgent::cross_site_get`] and [`UserAgent::cross_site_post`] come.
pub const ELSEWHERE: &str = "https://elsewhere.example/";

/// A scripted browser with a cookie jar. It can be shared: requests may run at the same time, as in two tabs.
pub struct UserAgent {
    client: Client,
    jar: Mutex<Jar>,
    headers: HeaderMap,
    standing: Mutex<Option<Source>>,
    tls_ends_at: Option<SocketAddr>,
}

#[derive(Default)]
struct Jar {
    cookies: Vec<Cookie>,
    refused: Vec<String>,
}

/// A cookie with its attributes as they were set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub name: String,
    pub value: String,
    /// The host that set it, or its `Domain` attribute.
    pub domain: String,
    /// There was no `Domain` attribute: the cookie goes back to this very host only.
    pub host_only: bool,
    pub path: String,
    pub secure: bool,
    pub http_only: bool,
    /// `None` where the attribute was missing; it is then sent as if it were `Lax`.
    pub same_site: Option<SameSite>,
    /// In seconds.
    pub max_age: Option<i64>,
    pub expires: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    Strict,
    Lax,
    None,
}

/// The document a request comes from, with its `Referrer-Policy`.
#[derive(Clone, Debug)]
struct Source {
    url: Url,
    policy: String,
}

impl UserAgent {
    /// A browser that has never been anywhere.
    pub fn new() -> Self {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(ThisMachine))
            .timeout(Duration::from_secs(30))
            .build()
            .expect("the client has no unusual setting");
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("Mozilla/5.0 (tests of Hallpass)"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"));
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
        Self { client, jar: Mutex::default(), headers, standing: Mutex::default(), tls_ends_at: None }
    }

    /// Sends this header with every request, instead of its own of that name.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        let value = value.parse().expect("the test gives a header value");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// Reaches https through a proxy that ends TLS and forwards to `address` by plain http.
    #[must_use]
    pub fn through_tls_proxy(mut self, address: SocketAddr) -> Self {
        self.tls_ends_at = Some(address);
        self
    }

    /// Opens `url` as if it were typed into the address bar.
    pub async fn get(&self, url: &str) -> Page {
        self.send(Method::GET, parse(url), None, None).await
    }

    /// Posts a form to `url` from the document opened last; before the first, from one of `url`'s own origin.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Page {
        let url = parse(url);
        let standing = self.standing.lock().expect(UNPOISONED).clone();
        let source = standing.unwrap_or_else(|| Source { url: url.clone(), policy: String::new() });
        self.send(Method::POST, url, Some(encode(fields)), Some(source)).await
    }

    /// Follows a link from [`ELSEWHERE`]; this is how an authorization request arrives.
    pub async fn cross_site_get(&self, url: &str) -> Page {
        let source = Source { url: parse(ELSEWHERE), policy: String::new() };
        self.send(Method::GET, parse(url), None, Some(source)).await
    }

    /// Posts a form that is on a page of [`ELSEWHERE`]: neither `Strict` nor `Lax` cookies go along.
    pub async fn cross_site_post(&self, url: &str, fields: &[(&str, &str)]) -> Page {
        let source = Source { url: parse(ELSEWHERE), policy: String::new() };
        self.send(Method::POST, parse(url), Some(encode(fields)), Some(source)).await
    }

    /// Submits a form, with the button of this name and value.
    ///
    /// With `None` as by the Enter key: the form's first button, if there is one, counts as pressed.
    pub async fn submit(&self, form: Form, button: Option<(&str, &str)>) -> Page {
        let pressed = match button {
            Some((name, value)) => {
                let wanted = (name.to_owned(), value.to_owned());
                assert!(form.buttons.contains(&wanted), "the form has no button {wanted:?}, but {:?}", form.buttons);
                Some(wanted)
            }
            None => form.buttons.first().filter(|(name, _)| !name.is_empty()).cloned(),
        };
        let fields: Vec<(&str, &str)> =
            form.fields.iter().chain(&pressed).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let fields = encode(&fields);
        let mut action = form.action;
        if form.method == Method::POST {
            return self.send(Method::POST, action, Some(fields), Some(form.source)).await;
        }
        action.set_query(Some(&fields));
        self.send(Method::GET, action, None, Some(form.source)).await
    }

    /// Follows the redirect that `page` is, one hop.
    pub async fn follow(&self, page: Page) -> Page {
        let location = page.location().unwrap_or_else(|| panic!("this is no redirect: {page}"));
        assert!(
            [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::SEE_OTHER].contains(&page.status),
            // 307 and 308 would send the form, and so a password, on to the next address.
            "this redirect is followed by GET only if it is a 301, 302 or 303: {page}"
        );
        // Cookies and Sec-Fetch-Site go by the site that started the chain, not by the addresses that pass it on.
        self.send(Method::GET, location, None, page.source).await
    }

    /// Every cookie in the jar.
    pub fn cookies(&self) -> Vec<Cookie> {
        self.jar().cookies.clone()
    }

    /// The `Set-Cookie` headers the agent has refused, each with the reason.
    pub fn refused_cookies(&self) -> Vec<String> {
        self.jar().refused.clone()
    }

    /// Takes in a `Set-Cookie` header as if `url` had answered it.
    pub fn set_cookie(&self, url: &str, header: &str) {
        self.jar().take(&parse(url), header);
    }

    fn jar(&self) -> MutexGuard<'_, Jar> {
        self.jar.lock().expect(UNPOISONED)
    }

    async fn send(&self, method: Method, url: Url, body: Option<String>, source: Option<Source>) -> Page {
        let mut headers = HeaderMap::new();
        let mut put = |name: HeaderName, value: &str| {
            headers.insert(name, value.parse().expect("URLs and cookies are ASCII"));
        };
        let relation = Relation::between(source.as_ref(), &url);
        if let Some(source) = &source {
            let referrer = source.referrer(&url);
            if method == Method::POST {
                put(header::ORIGIN, &source.origin(&url));
            }
            if let Some(referrer) = referrer {
                put(header::REFERER, &referrer);
            }
        }
        if is_trustworthy(&url) {
            put(HeaderName::from_static("sec-fetch-site"), relation.as_str());
            put(HeaderName::from_static("sec-fetch-mode"), "navigate");
            put(HeaderName::from_static("sec-fetch-dest"), "document");
        }
        let cookies = self.jar().header(&url, &method, relation);
        if !cookies.is_empty() {
            put(header::COOKIE, &cookies);
        }
        if body.is_some() {
            put(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }

        let mut forwarded = url.clone();
        if let Some(address) = self.tls_ends_at.filter(|_| url.scheme() == "https") {
            headers.insert(header::HOST, url.authority().parse().expect("hosts are ASCII"));
            forwarded = parse(&format!("http://{address}{}", &url[Position::BeforePath..Position::AfterQuery]));
        }
        let request = self.client.request(method.clone(), forwarded).headers(headers);
        let request = if let Some(body) = body { request.body(body) } else { request };
        let response = request.send().await.unwrap_or_else(|error| panic!("{method} {url}: {error:?}"));
        let status = response.status();
        let headers = response.headers().clone();
        {
            let mut jar = self.jar();
            for cookie in headers.get_all(header::SET_COOKIE) {
                jar.take(&url, cookie.to_str().expect("Set-Cookie is ASCII"));
            }
        }
        let body = response.text().await.unwrap_or_else(|error| panic!("the body of {url}: {error:?}"));
        leaks::watch_answer(url.path(), &headers, &body);
        let page = Page { status, headers, url, body, source };
        if page.location().is_none() {
            *self.standing.lock().expect(UNPOISONED) = Some(page.as_source());
        }
        page
    }
}

const UNPOISONED: &str = "nothing panics while it holds this lock";

impl Default for UserAgent {
    fn default() -> Self {
        Self::new()
    }
}

/// An answer: a document or a redirect.
#[derive(Clone, Debug)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Where it was found.
    pub url: Url,
    pub body: String,
    /// The site that asked for it.
    source: Option<Source>,
}

impl Page {
    /// The header's value, if it is there.
    ///
    /// # Panics
    /// When it is there more than once: a test that expects that reads `headers`.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        assert!(values.next().is_none(), "{name} is there more than once: {:?}", self.headers);
        Some(value.to_str().expect("headers are ASCII"))
    }

    /// Where this redirect leads, resolved against the page's own URL.
    pub fn location(&self) -> Option<Url> {
        let location = self.status.is_redirection().then(|| self.header("location")).flatten()?;
        Some(self.url.join(location).unwrap_or_else(|error| panic!("{location:?}: {error}")))
    }

    /// A parameter in the query of [`Page::location`].
    ///
    /// # Panics
    /// When it is there more than once.
    pub fn query_parameter(&self, name: &str) -> Option<String> {
        let location = self.location()?;
        let mut values = location.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let value = values.next()?;
        assert!(values.next().is_none(), "{name} is there more than once: {location}");
        Some(value)
    }

    /// The text of `<title>`.
    pub fn title(&self) -> String {
        let html = self.parse();
        html.select(&selector("title")).next().map(|title| joined(title.text())).unwrap_or_default()
    }

    /// What a person reads: the text of the body with its white space collapsed.
    pub fn text(&self) -> String {
        let html = self.parse();
        let body = html.select(&selector("body")).next();
        let is_read = |element: &ElementRef<'_>| !["script", "style", "template"].contains(&element.value().name());
        let texts = body.iter().flat_map(|body| body.descendants()).filter_map(|node| {
            let text = node.value().as_text()?;
            ElementRef::wrap(node.parent()?).filter(is_read).map(|_| &**text)
        });
        joined(texts)
    }

    /// The first form that the CSS selector finds; `"form"` for the only one.
    pub fn form(&self, css: &str) -> Form {
        let html = self.parse();
        let form = html.select(&selector(css)).next().unwrap_or_else(|| panic!("there is no {css} in {self}"));
        Form::read(form, self)
    }

    /// Every form, in the page's order.
    pub fn forms(&self) -> Vec<Form> {
        self.parse().select(&selector("form")).map(|form| Form::read(form, self)).collect()
    }

    /// Every element that the CSS selector finds, as its text.
    pub fn texts(&self, css: &str) -> Vec<String> {
        self.parse().select(&selector(css)).map(|element| joined(element.text())).collect()
    }

    fn parse(&self) -> Html {
        // To a browser without JavaScript the element might as well not be there; the parser takes it for opaque text.
        Html::parse_document(&self.body.replace("<noscript>", "").replace("</noscript>", ""))
    }

    fn as_source(&self) -> Source {
        let policy = self.header("referrer-policy").unwrap_or_default();
        // Of a list of policies the last one counts.
        let policy = policy.rsplit(',').next().unwrap_or_default().trim().to_owned();
        Source { url: self.url.clone(), policy }
    }
}

/// For the message of a failed assertion: the status, the place and the beginning of the text.
impl fmt::Display for Page {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {}", self.status, self.url)?;
        if let Some(location) = self.location() {
            write!(formatter, ", to {location}")?;
        }
        let text: String = self.text().chars().take(500).collect();
        write!(formatter, ": {text}")
    }
}

/// A form as it would be sent, before a button is pressed.
#[derive(Clone, Debug)]
pub struct Form {
    pub action: Url,
    pub method: Method,
    /// Names and values in the page's order, hidden ones and defaults among them.
    pub fields: Vec<(String, String)>,
    /// The submit buttons; a button without a name has an empty one.
    pub buttons: Vec<(String, String)>,
    source: Source,
}

impl Form {
    fn read(form: ElementRef<'_>, page: &Page) -> Self {
        let action = form.attr("action").unwrap_or_default();
        let mut action = page.url.join(action).unwrap_or_else(|error| panic!("{action:?}: {error}"));
        action.set_fragment(None);
        let is_post = form.attr("method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
        let method = if is_post { Method::POST } else { Method::GET };
        let (mut fields, mut buttons) = (Vec::new(), Vec::new());
        for control in form.select(&selector("input, button, textarea, select")) {
            if control.attr("disabled").is_some() {
                continue;
            }
            let attribute = |name| control.attr(name).map(str::to_owned);
            let name = attribute("name").unwrap_or_default();
            let value = attribute("value");
            let element = control.value().name();
            let kind = attribute("type").unwrap_or_default().to_ascii_lowercase();
            match (element, kind.as_str()) {
                ("input", "submit" | "image") | ("button", "" | "submit") => {
                    buttons.push((name, value.unwrap_or_default()));
                }
                ("button", _) | ("input", "button" | "reset" | "file") => {}
                _ if name.is_empty() => {}
                ("input", "checkbox" | "radio") => {
                    if control.attr("checked").is_some() {
                        fields.push((name, value.unwrap_or_else(|| "on".to_owned())));
                    }
                }
                ("textarea", _) => fields.push((name, control.text().collect())),
                ("select", _) => {
                    let all = selector("option");
                    let mut options = control.select(&all);
                    let chosen = control.select(&selector("option[selected]")).next().or_else(|| options.next());
                    let value = |option: ElementRef<'_>| {
                        option.attr("value").map_or_else(|| joined(option.text()), str::to_owned)
                    };
                    fields.extend(chosen.map(|option| (name, value(option))));
                }
                _ => fields.push((name, value.unwrap_or_default())),
            }
        }
        Self { action, method, fields, buttons, source: page.as_source() }
    }

    /// Fills in the field of this name.
    ///
    /// # Panics
    /// When the form has no such field.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        let names: Vec<String> = self.fields.iter().map(|(name, _)| name.clone()).collect();
        let field = self.fields.iter_mut().find(|(field, _)| field == name);
        let field = field.unwrap_or_else(|| panic!("the form has no field {name}, but {names:?}"));
        value.clone_into(&mut field.1);
        self
    }

    /// The value of the field of this name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// How the site a request comes from relates to where it goes, in the words of `Sec-Fetch-Site`.
#[derive(Clone, Copy, PartialEq)]
enum Relation {
    /// A person typed the URL.
    None,
    SameOrigin,
    SameSite,
    CrossSite,
}

impl Relation {
    fn between(source: Option<&Source>, target: &Url) -> Self {
        let Some(Source { url, .. }) = source else {
            return Self::None;
        };
        if url.origin() == target.origin() {
            Self::SameOrigin
        } else if url.scheme() == target.scheme() && site(url) == site(target) {
            Self::SameSite
        } else {
            Self::CrossSite
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SameOrigin => "same-origin",
            Self::SameSite => "same-site",
            Self::CrossSite => "cross-site",
        }
    }
}

/// The registrable domain: here simply the last two labels, since the tests use no `co.uk`.
fn site(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(domain)) => {
            let labels: Vec<&str> = domain.rsplit('.').take(2).collect();
            labels.join(".")
        }
        host => host.map(|address| address.to_string()).unwrap_or_default(),
    }
}

impl Source {
    /// [Fetch, §3.1 "append a request `Origin` header"](https://fetch.spec.whatwg.org/#append-a-request-origin-header).
    fn origin(&self, target: &Url) -> String {
        let is_hidden = match self.policy.as_str() {
            "no-referrer" => true,
            "same-origin" => self.url.origin() != target.origin(),
            "origin" | "origin-when-cross-origin" | "unsafe-url" => false,
            _ => self.is_downgrade(target),
        };
        if is_hidden { "null".to_owned() } else { self.url.origin().ascii_serialization() }
    }

    /// [Referrer Policy, §8.3](https://www.w3.org/TR/referrer-policy/#determine-requests-referrer).
    fn referrer(&self, target: &Url) -> Option<String> {
        let whole = || {
            let mut url = self.url.clone();
            url.set_fragment(None);
            Some(url.to_string())
        };
        let origin = || Some(format!("{}/", self.url.origin().ascii_serialization()));
        let is_same_origin = self.url.origin() == target.origin();
        match self.policy.as_str() {
            "no-referrer" => None,
            "unsafe-url" => whole(),
            "origin" => origin(),
            "same-origin" => is_same_origin.then(whole).flatten(),
            "origin-when-cross-origin" => {
                if is_same_origin {
                    whole()
                } else {
                    origin()
                }
            }
            _ if self.is_downgrade(target) => None,
            "no-referrer-when-downgrade" => whole(),
            "strict-origin" => origin(),
            // "strict-origin-when-cross-origin" is what browsers do when they are told nothing.
            _ => {
                if is_same_origin {
                    whole()
                } else {
                    origin()
                }
            }
        }
    }

    fn is_downgrade(&self, target: &Url) -> bool {
        self.url.scheme() == "https" && !is_trustworthy(target)
    }
}

/// Whether browsers treat the URL as if it were https: it is, or it leads to this machine.
fn is_trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

impl Jar {
    fn take(&mut self, url: &Url, header: &str) {
        match Cookie::parse(url, header) {
            Ok((cookie, is_deletion)) => {
                let same = |other: &Cookie| {
                    (&other.name, &other.domain, &other.path) == (&cookie.name, &cookie.domain, &cookie.path)
                };
                match (self.cookies.iter().position(same), is_deletion) {
                    (Some(place), true) => drop(self.cookies.remove(place)),
                    (Some(place), false) => self.cookies[place] = cookie,
                    (None, true) => {}
                    (None, false) => self.cookies.push(cookie),
                }
            }
            Err(reason) => self.refused.push(format!("{reason}: {header}")),
        }
    }

    /// The `Cookie` header: the longer paths first, otherwise in the order they came.
    fn header(&self, url: &Url, method: &Method, relation: Relation) -> String {
        let mut cookies: Vec<&Cookie> =
            self.cookies.iter().filter(|cookie| cookie.goes_to(url, method, relation)).collect();
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> = cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        pairs.join("; ")
    }
}

impl Cookie {
    /// Reads a `Set-Cookie` header as `url` sent it, and whether it deletes; or says why browsers refuse it.
    fn parse(url: &Url, header: &str) -> Result<(Self, bool), &'static str> {
        let host = url.host_str().unwrap_or_default();
        let mut parts = header.split(';');
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).ok_or("there is no =")?;
        let mut cookie = Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            domain: host.to_owned(),
            host_only: true,
            path: default_path(url),
            secure: false,
            http_only: false,
            same_site: None,
            max_age: None,
            expires: None,
        };
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match attribute.trim().to_ascii_lowercase().as_str() {
                "domain" if !value.is_empty() => {
                    cookie.domain = value.trim_start_matches('.').to_ascii_lowercase();
                    cookie.host_only = false;
                }
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "secure" => cookie.secure = true,
                "httponly" => cookie.http_only = true,
                "samesite" => {
                    cookie.same_site = match value.to_ascii_lowercase().as_str() {
                        "strict" => Some(SameSite::Strict),
                        "lax" => Some(SameSite::Lax),
                        "none" => Some(SameSite::None),
                        _ => None,
                    };
                }
                "max-age" => cookie.max_age = value.parse().ok(),
                "expires" => cookie.expires = Some(value.to_owned()),
                _ => {}
            }
        }
        if !cookie.host_only && !domain_matches(host, &cookie.domain) {
            return Err("its Domain is not the host's");
        }
        if cookie.secure && !is_trustworthy(url) {
            return Err("it is Secure, but came over http");
        }
        if cookie.same_site == Some(SameSite::None) && !cookie.secure {
            return Err("it is SameSite=None, but not Secure");
        }
        if cookie.name.starts_with("__Secure-") && !cookie.secure {
            return Err("its name begins with __Secure-, but it is not Secure");
        }
        if cookie.name.starts_with("__Host-") && !(cookie.secure && cookie.host_only && cookie.path == "/") {
            return Err("its name begins with __Host-, but it is not Secure, has a Domain, or another Path than /");
        }
        let is_deletion = match (cookie.max_age, &cookie.expires) {
            (Some(seconds), _) => seconds <= 0,
            (None, Some(date)) => is_past(date).ok_or("its Expires is not an HTTP date")?,
            (None, None) => false,
        };
        Ok((cookie, is_deletion))
    }

    fn goes_to(&self, url: &Url, method: &Method, relation: Relation) -> bool {
        let host = url.host_str().unwrap_or_default();
        let is_host = host == self.domain || !self.host_only && domain_matches(host, &self.domain);
        let is_secure = !self.secure || is_trustworthy(url);
        let is_site = relation != Relation::CrossSite
            || match self.same_site {
                Some(SameSite::Strict) => false,
                Some(SameSite::Lax) | None => method == Method::GET,
                Some(SameSite::None) => true,
            };
        is_host && is_secure && is_site && path_matches(url.path(), &self.path)
    }
}

/// RFC 6265bis, §5.1.3.
fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// RFC 6265bis, §5.1.4: the URL's path up to its last slash.
fn default_path(url: &Url) -> String {
    match url.path().rsplit_once('/') {
        None | Some(("", _)) => "/".to_owned(),
        Some((folder, _)) => folder.to_owned(),
    }
}

/// RFC 6265bis, §5.1.4.
fn path_matches(path: &str, cookie: &str) -> bool {
    path.strip_prefix(cookie).is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// Whether a date such as `Thu, 01 Jan 1970 00:00:00 GMT` lies behind us, by the machine's clock, as in a browser.
fn is_past(date: &str) -> Option<bool> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = date.split([' ', '-']).collect();
    let [_weekday, day, month, year, time, "GMT"] = parts[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)?;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let seconds = time.split(':').try_fold(0, |sum, part| Some(sum * 60 + part.parse::<i64>().ok()?))?;
    // The days since 1970, counted in years that begin in March, so that the leap day comes last.
    let month = i64::try_from(month).ok()? + 1;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    let now = SystemTime::UNIX_EPOCH.elapsed().ok()?.as_secs();
    Some(days * 86_400 + seconds <= i64::try_from(now).ok()?)
}

/// Every name leads here.
struct ThisMachine;

impl Resolve for ThisMachine {
    fn resolve(&self, _name: Name) -> Resolving {
        // Port 0 stands for the one in the URL.
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Box::pin(std::future::ready(Ok(Box::new(std::iter::once(here)) as Addrs)))
    }
}

fn parse(url: &str) -> Url {
    Url::parse(url).unwrap_or_else(|error| panic!("{url:?}: {error}"))
}

fn encode(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn selector(css: &str) -> Selector {
    Selector::parse(css).unwrap_or_else(|error| panic!("{css:?} is no CSS selector: {error}"))
}

fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    // Between two elements there is a gap to the eye, if not in the source.
    let words: Vec<&str> = texts.flat_map(str::split_whitespace).collect();
    words.join(" ")
}
