//! The texts of the pages: each is in the catalog once, is named by what shows it, and no name gets markup into a page.
//!
//! A key is a literal in `text("…")`, so that it can be found here.

use askama::Template;
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Message, Pattern, PatternElement, Resource};
use fluent_syntax::parser::parse;
use hallpass::config::Organization;
use hallpass::protocol::own_page::OwnPage;
use hallpass::protocol::scope::SCOPES_SUPPORTED;
use hallpass::protocol::time::NumericDate;
use hallpass::texts::{Catalog, Languages, OwnTexts, english, text};
use hallpass::web::pages::account::{
    AccountPage, DataPage, EmailPage, EventLine, EventsPage, GrantLine, Moment, PasswordPage, ServicesPage,
    SessionLine, SessionsPage, Tabs, TrustLine,
};
use hallpass::web::pages::factors::{AppForm, AuthenticatorPage, FactorLine, FactorsPage, Picture, RecoveryCodesPage};
use hallpass::web::pages::links::{
    EnrollmentAuthenticatorPage, EnrollmentCodesPage, LinkPasswordPage, LinkRequestForm, LinkRequestPage, LinkUsedPage,
    NewPasswordPage,
};
use hallpass::web::pages::passkeys::{PasskeyCodesPage, PasskeyForm, PasskeyLine, PasskeyOfferPage, PasskeysPage};
use hallpass::web::pages::{
    Again, Chrome, ClaimLine, ConsentPage, ErrorPage, FactorNeededPage, FormPostPage, Frame, HomePage, Link, LoginPage,
    LogoutPage, MessagePage, NoEntryPage, ScopeLine, SecondFactorPage, Service, SignedInHere, SignedOutPage,
};
use hallpass::web::problems::Problem;
use scraper::{Html, Selector};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The catalogs, by their languages: the one that is looked at first, and the others.
const CATALOG: &str = include_str!("../../templates/texts/en.ftl");
const OTHERS: [(&str, &str); 1] = [("de", include_str!("../../templates/texts/de.ftl"))];

// ---- What the catalog has.

/// Every message by its key.
fn messages(resource: &Resource<&'static str>) -> BTreeMap<&'static str, Message<&'static str>> {
    let messages = resource.body.iter().filter_map(|entry| match entry {
        Entry::Message(message) => Some((message.id.name, message.clone())),
        _ => None,
    });
    messages.collect()
}

fn catalog() -> BTreeMap<&'static str, Message<&'static str>> {
    read(CATALOG)
}

fn read(source: &'static str) -> BTreeMap<&'static str, Message<&'static str>> {
    let messages = messages(&parse(source).expect("the catalog is sound"));
    assert!(messages.len() > 70, "{}", messages.len());
    messages
}

/// The texts of a language, as pages have them.
fn texts_in(language: &str) -> Arc<Catalog> {
    Languages::of(language, &OwnTexts::default()).unwrap().best(std::iter::empty())
}

/// Each text of a catalog, with the name of its attribute.
fn patterns(
    catalog: &BTreeMap<&'static str, Message<&'static str>>,
) -> BTreeMap<(&'static str, Option<&'static str>), Pattern<&'static str>> {
    let mut all = BTreeMap::new();
    for (key, message) in catalog {
        all.extend(message.value.clone().map(|value| ((*key, None), value)));
        all.extend(message.attributes.iter().map(|it| ((*key, Some(it.id.name)), it.value.clone())));
    }
    all
}

/// The variables of a text.
fn variables_of(pattern: &Pattern<&'static str>) -> BTreeSet<String> {
    fn inline(expression: &InlineExpression<&'static str>, found: &mut BTreeSet<String>) {
        match expression {
            InlineExpression::VariableReference { id } => drop(found.insert(id.name.to_owned())),
            InlineExpression::Placeable { expression } => of(expression, found),
            InlineExpression::StringLiteral { .. } | InlineExpression::NumberLiteral { .. } => {}
            other => panic!("{other:?}: say here which variables such a text has"),
        }
    }
    fn of(expression: &Expression<&'static str>, found: &mut BTreeSet<String>) {
        match expression {
            Expression::Inline(expression) => inline(expression, found),
            Expression::Select { selector, variants } => {
                inline(selector, found);
                found.extend(variants.iter().flat_map(|variant| variables_of(&variant.value)));
            }
        }
    }
    let mut found = BTreeSet::new();
    for element in &pattern.elements {
        if let PatternElement::Placeable { expression } = element {
            of(expression, &mut found);
        }
    }
    found
}

// ---- What templates and code name.

/// Every file of that kind below a folder, by its path from the top, with its text.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    found.retain(|path| path.extension().is_some_and(|it| it == extension));
    found.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    found.into_iter().map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

/// The templates of the provider's pages. `demo.html` plays a service that is not the provider.
fn templates() -> Vec<(String, String)> {
    let mut found = files("templates", "html");
    found.retain(|(file, _)| file != "templates/demo.html");
    assert!(found.len() >= 9, "{found:?}");
    found
}

/// The code without comments and without its tests.
fn sources() -> Vec<(String, String)> {
    let code = |text: &str| {
        let code = text.split("#[cfg(test)]").next().unwrap().lines();
        code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    };
    files("src", "rs").into_iter().map(|(file, text)| (file, code(&text))).collect()
}

/// A place that shows a text: its key, and what is given to it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Place {
    key: String,
    attribute: Option<String>,
    variables: BTreeSet<String>,
}

/// What is in quotes at the beginning.
fn literal(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('"')?.split('"').next()
}

/// What follows the parenthesis that closes the one before `text`.
fn behind_the_call(text: &str) -> &str {
    let (mut depth, mut is_quoted) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' => depth += 1,
            ')' if depth == 0 => return &text[at + 1..],
            ')' => depth -= 1,
            _ => {}
        }
    }
    ""
}

/// The places of some code or of a template, and what else than a literal is given to `text`.
fn places(code: &str) -> (Vec<Place>, Vec<String>) {
    const CALL: &str = "text(";
    let (mut places, mut others) = (Vec::new(), Vec::new());
    for (at, _) in code.match_indices(CALL) {
        let before = &code[..at];
        let is_other = before.ends_with("fn ") || before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let mut rest = &code[at + CALL.len()..];
        if is_other {
            continue;
        }
        let Some(key) = literal(rest) else {
            others.push(rest.split(')').next().unwrap().to_owned());
            continue;
        };
        let mut place = Place { key: key.to_owned(), ..Place::default() };
        rest = behind_the_call(rest).trim_start();
        while let Some((verb, arguments)) = rest.strip_prefix('.').and_then(|rest| rest.split_once('(')) {
            match (verb, literal(arguments)) {
                ("with" | "leading" | "counting", Some(name)) => drop(place.variables.insert(name.to_owned())),
                ("attribute", Some(name)) => place.attribute = Some(name.to_owned()),
                _ => break,
            }
            rest = behind_the_call(arguments).trim_start();
        }
        places.push(place);
    }
    (places, others)
}

/// Every place, with its file. Only who names the catalog can show a text.
fn all_places() -> Vec<(String, Place)> {
    /// Where the key comes from a table, whose texts have a test of their own, or from who calls.
    const FROM_A_TABLE: [(&str, &str); 5] = [
        ("src/commands/preview/pages.rs", "row.text"),
        ("src/endpoints/edge.rs", "row.text"),
        ("src/web/answer.rs", "row.text"),
        ("src/web/pages.rs", "key"),
        ("templates/error.html", "text"),
    ];
    let mut found = Vec::new();
    let names_a_text = |file: &str, code: &str| match file {
        // What is there is the catalog itself, and the text of a setting.
        _ if file.starts_with("src/texts") || file.starts_with("src/config") => false,
        _ => code.contains("use crate::texts"),
    };
    let code = sources().into_iter().filter(|(file, code)| names_a_text(file, code));
    for (file, code) in templates().into_iter().chain(code) {
        let (places, others) = places(&code);
        for other in others {
            assert!(FROM_A_TABLE.contains(&(&file, &other)), "{file}: text({other}): a key is a literal");
        }
        found.extend(places.into_iter().map(|place| (file.clone(), place)));
    }
    assert!(found.len() > 60, "the texts are not where they are looked for: {}", found.len());
    found
}

#[test]
fn every_text_that_is_shown_is_in_the_catalog_with_the_same_variables() {
    let catalog = catalog();
    for (file, place) in all_places() {
        let message = catalog.get(place.key.as_str());
        let pattern = message.and_then(|message| match &place.attribute {
            None => message.value.as_ref(),
            Some(name) => message.attributes.iter().find(|it| it.id.name == name).map(|it| &it.value),
        });
        let pattern = pattern.unwrap_or_else(|| panic!("{file} shows {place:?}, which is not in the catalog"));
        assert_eq!(place.variables, variables_of(pattern), "{file}: {}", place.key);
        assert!(place.variables.len() <= 4, "{}: `src/texts.rs` can tell four names apart", place.key);
    }
}

#[test]
fn every_text_of_the_catalog_is_shown() {
    let mut shown: BTreeSet<String> = all_places().into_iter().map(|(_, place)| place.key).collect();
    shown.extend(Problem::ALL.iter().map(|problem| problem.row().text.to_owned()));
    let code: String = templates().into_iter().chain(sources()).map(|(_, text)| text).collect();
    for (key, message) in catalog() {
        assert!(shown.contains(key), "no page shows {key}");
        for attribute in message.attributes {
            let name = attribute.id.name;
            assert!(code.contains(&format!(".attribute(\"{name}\")")), "no page shows {key}.{name}");
        }
    }
}

#[test]
fn every_problem_and_every_scope_has_its_texts_and_no_variable_beyond_what_it_is_given() {
    let catalog = catalog();
    for problem in Problem::ALL {
        let message = &catalog[problem.row().text];
        let mut names: Vec<&str> = message.attributes.iter().map(|attribute| attribute.id.name).collect();
        names.sort_unstable();
        assert_eq!((names.as_slice(), &message.value), (&["heading", "hint", "message"][..], &None), "{problem:?}");
        for attribute in &message.attributes {
            assert_eq!(variables_of(&attribute.value), BTreeSet::new(), "{problem:?}: {}", attribute.id.name);
        }
    }
    for scope in SCOPES_SUPPORTED.iter().filter(|scope| **scope != "openid") {
        let line = ScopeLine::of(scope, english());
        assert!(line.title != *scope && line.title.starts_with(char::is_uppercase), "{scope}: {}", line.title);
        assert!(line.description.ends_with('.') && line.description.contains(' '), "{scope}: {}", line.description);
    }
}

/// A text that one language lacks would be shown as its key, and one that has it in more words than another is a mistake of either.
#[test]
fn every_language_has_each_text_with_the_same_variables() {
    let english = patterns(&catalog());
    for (language, source) in OTHERS {
        let other = patterns(&read(source));
        let missing: Vec<_> = english.keys().filter(|key| !other.contains_key(*key)).collect();
        let beyond: Vec<_> = other.keys().filter(|key| !english.contains_key(*key)).collect();
        assert!(missing.is_empty() && beyond.is_empty(), "{language} lacks {missing:?} and has besides {beyond:?}");
        for (key, pattern) in &english {
            assert_eq!(variables_of(pattern), variables_of(&other[key]), "{language}: {key:?}");
        }
    }
}

/// The plurals of English and German, [CLDR](https://cldr.unicode.org/index/cldr-spec/plural-rules): `one` and `other`.
#[test]
fn every_number_has_each_plural_of_its_language() {
    let mut found = 0;
    for source in std::iter::once(CATALOG).chain(OTHERS.map(|(_, source)| source)) {
        for (key, pattern) in patterns(&read(source)) {
            for element in &pattern.elements {
                if let PatternElement::Placeable { expression: Expression::Select { variants, .. } } = element {
                    let plurals: Vec<_> = variants.iter().map(|it| (format!("{:?}", it.key), it.default)).collect();
                    assert_eq!(plurals.len(), 2, "{key:?}: {plurals:?}");
                    assert!(
                        plurals[0].0.contains("\"one\"") && plurals[1].0.contains("\"other\""),
                        "{key:?}: {plurals:?}"
                    );
                    assert!(plurals[1].1, "{key:?}");
                    found += 1;
                }
            }
        }
    }
    assert!(found >= 20, "{found}");
}

#[test]
fn a_page_is_in_one_language_throughout() {
    let pages = |language: &str| pages_in(language, "Reports");
    let plain = |pattern: &Pattern<&'static str>| match pattern.elements.as_slice() {
        [PatternElement::TextElement { value }] => Some(*value),
        _ => None,
    };
    for (language, source) in OTHERS {
        let (english, other) = (patterns(&catalog()), patterns(&read(source)));
        let own: BTreeSet<&str> = other.values().filter_map(plain).collect();
        let foreign: BTreeSet<&str> = english.values().filter_map(plain).filter(|text| !own.contains(text)).collect();
        assert!(foreign.len() > 300, "{}", foreign.len());
        let keys: BTreeSet<&str> = english.keys().map(|(key, _)| *key).filter(|key| key.contains('-')).collect();
        let mut seen = 0;
        for (file, page) in pages(language) {
            let html = Html::parse_document(&page);
            assert_eq!(html.root_element().value().attr("lang"), Some(language), "{file}");
            let texts = html.root_element().text().map(str::trim).filter(|text| !text.is_empty());
            for text in texts {
                assert!(!foreign.contains(text), "{file}: {text:?} is not in {language}");
                assert!(!keys.contains(text), "{file}: {text:?} has no text in {language}");
                seen += usize::from(own.contains(text));
            }
        }
        assert!(seen > 200, "{seen}");
        assert!(pages("en").iter().all(|(_, page)| page.contains("<html lang=\"en\" dir=\"ltr\">")));
    }
}

#[test]
fn the_reader_of_places_reads_them() {
    let code = "<p>{{ page.text(\"a\") }}</p> text(\n    \"b\",\n)\n    .with(\"x\", f(\"(\", y))\n    .counting(\"n\", (a + 1) / 2).to_string() \
                text(\"c\").attribute(\"d\"); context(\"e\"); fn text(key); page.text(key)";
    let place = |key: &str, attribute: Option<&str>, variables: &[&str]| Place {
        key: key.to_owned(),
        attribute: attribute.map(str::to_owned),
        variables: variables.iter().map(|name| (*name).to_owned()).collect(),
    };
    let expected = vec![place("a", None, &[]), place("b", None, &["n", "x"]), place("c", Some("d"), &[])];
    assert_eq!(places(code), (expected, vec!["key".to_owned()]));
    let resource = parse("a = { $x } { $n ->\n    [one] { $y }\n   *[other] b\n } { { $z } }\n").unwrap();
    let variables = variables_of(messages(&resource)["a"].value.as_ref().unwrap());
    assert_eq!(variables.into_iter().collect::<Vec<_>>(), ["n", "x", "y", "z"]);
}

/// The template without what askama reads.
fn without_expressions(template: &str) -> String {
    let mut text = template.to_owned();
    for (begin, end) in [("{#", "#}"), ("{{", "}}"), ("{%", "%}")] {
        while let Some(at) = text.find(begin) {
            let length = text[at..].find(end).expect("it is closed") + end.len();
            text.replace_range(at..at + length, "");
        }
    }
    text
}

/// Attributes that people read or are read to.
const READ: &str = "[title], [alt], [aria-label], [aria-description], [aria-roledescription], [placeholder]";

/// What a template says by itself, to be read by people.
fn words_of(template: &str) -> Vec<String> {
    // What is for browsers without scripts is read as text by a parser that has them.
    let html = without_expressions(template).replace("<noscript>", "").replace("</noscript>", "");
    let html = Html::parse_document(&html);
    let texts = html.root_element().text().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let read: BTreeSet<&str> = READ.split(", ").map(|name| name.trim_matches(['[', ']'])).collect();
    let selector = Selector::parse(READ).unwrap();
    let attributes = html.select(&selector).flat_map(|element| element.value().attrs());
    let attributes = attributes.filter(|(name, value)| read.contains(name) && !value.trim().is_empty());
    texts.chain(attributes.map(|(_, value)| value.to_owned())).collect()
}

#[test]
fn no_template_has_words_of_its_own() {
    assert_eq!(words_of("{# a #}<p class=\"b\">{{ c }}</p><img alt=\"\">"), [""; 0]);
    assert_eq!(words_of("<p>A {{ b }}</p><p aria-label=\"C\"></p>"), ["A", "C"]);
    for (file, template) in templates() {
        assert_eq!(words_of(&template), [""; 0], "{file} says so, and the catalog does not");
    }
}

#[test]
fn a_text_is_in_one_line_without_markup_and_invisible_characters() {
    let entries = std::iter::once(CATALOG).chain(OTHERS.map(|(_, source)| source)).flat_map(str::lines);
    for entry in entries.filter(|line| !line.starts_with('#')) {
        let is_odd = |c: char| c == '<' || c == '\t' || ('\u{200b}'..='\u{206f}').contains(&c) || c == '\u{feff}';
        assert!(!entry.contains(is_odd) && !entry.trim_start().contains("  "), "{entry:?}");
    }
    // Fluent makes a line of a page's text of two lines of the catalog, with a line break between them.
    let is_broken = |pattern: &Pattern<&str>| {
        pattern.elements.iter().any(|it| matches!(it, PatternElement::TextElement { value } if value.contains('\n')))
    };
    for (key, message) in catalog().into_iter().chain(OTHERS.iter().flat_map(|(_, source)| read(source))) {
        let patterns = message.value.iter().chain(message.attributes.iter().map(|attribute| &attribute.value));
        assert!(!patterns.into_iter().any(is_broken), "{key}");
    }
}

// ---- Names.

/// The login page with every part it can have.
fn login_with(page: Chrome, name: &str) -> LoginPage {
    let named = || Some(name.to_owned());
    LoginPage {
        page,
        client_name: named(),
        client_id: name.to_owned(),
        interaction: String::new(),
        csrf: String::new(),
        session: String::new(),
        username: name.to_owned(),
        error: Some(text("login-wrong")),
        wait: None,
        continue_as: named(),
        signed_in_as: named(),
        account: named(),
        has_mail: true,
        has_sign_up: true,
        remember: Some(true),
        host: name.to_owned(),
        policy_uri: named(),
        tos_uri: named(),
        passkey: Some(PasskeyForm::default()),
        passkey_error: Some(text("passkey-unknown")),
    }
}

/// The page that asks for a code, with every part it can have.
fn second_factor_with(page: Chrome, name: &str) -> SecondFactorPage {
    SecondFactorPage {
        page,
        asking_client: Some(name.to_owned()),
        client_id: name.to_owned(),
        user_name: name.to_owned(),
        account: Some(name.to_owned()),
        interaction: String::new(),
        csrf: String::new(),
        proven: String::new(),
        session: String::new(),
        counter: String::new(),
        counted: String::new(),
        is_recovery: false,
        asks_for_code: true,
        has_authenticator: true,
        passkey: Some(PasskeyForm::default()),
        passkey_error: Some(text("passkey-unknown")),
        error: Some(text("second-factor-unreadable")),
        wait: None,
        trust: Some(text("second-factor-trust").counting("days", 30)),
        reference: Some("R".into()),
    }
}

/// The page for a user without a second factor, at a client that demands one.
fn factor_needed_with(page: Chrome, name: &str) -> FactorNeededPage<'_> {
    FactorNeededPage {
        page,
        heading: text("factor-missing-heading").with("client", name),
        message: text("factor-missing-message").with("client", name),
        action: "back",
        label: text("factor-missing-back").with("client", name),
        client_id: name.to_owned(),
        user_name: name.to_owned(),
        account: Some(name.to_owned()),
        interaction: String::new(),
        csrf: String::new(),
        reference: Some("R".into()),
    }
}

/// The start page of a user who is signed in.
fn home_with(page: Chrome, name: &str, services: Vec<Service>) -> HomePage {
    let signed_in = SignedInHere {
        user_name: name.to_owned(),
        account: Some(name.to_owned()),
        services,
        request: name.to_owned(),
        csrf: String::new(),
    };
    HomePage { page, signed_in: Some(signed_in) }
}

/// The pages of the account.
fn account_with(page: impl Fn() -> Chrome, name: &str) -> Vec<(&'static str, String)> {
    let tabs = |here| Tabs { here, done: Some(text("password-changed")) };
    let (named, moment) = (|| Some(name.to_owned()), || Moment::of(NumericDate(0)));
    let claims = vec![ClaimLine { name: "Name".into(), value: name.to_owned() }];
    let overview = AccountPage {
        page: page(),
        tabs: tabs(OwnPage::Account),
        user_name: name.to_owned(),
        username: named(),
        email: named(),
        has_mail: true,
        email_is_verified: true,
        groups: named(),
        claims,
        sub: name.to_owned(),
    };
    let email = EmailPage {
        page: page(),
        tabs: tabs(OwnPage::Email),
        email: named(),
        is_verified: true,
        typed: name.to_owned(),
        has_mail: true,
        error: Some(text("email-odd")),
        wait: None,
        csrf: String::new(),
    };
    let password = PasswordPage {
        page: page(),
        tabs: tabs(OwnPage::Password),
        username: name.to_owned(),
        has_password: true,
        csrf: String::new(),
        error: Some(text("password-wrong")),
        wait: None,
        strength: Some(text("strength-at-once")),
        advice: Some(text("strength-advice")),
    };
    let session = SessionLine {
        session: name.to_owned(),
        browser: name.to_owned(),
        network: name.to_owned(),
        since: moment(),
        last_used: moment(),
        is_here: false,
    };
    let sessions = SessionsPage {
        page: page(),
        tabs: tabs(OwnPage::Sessions),
        sessions: vec![session],
        more: 1,
        csrf: String::new(),
        csrf_others: String::new(),
        request: name.to_owned(),
        csrf_everywhere: String::new(),
        trust: Some(TrustLine { until: Some(moment()), csrf: String::new() }),
    };
    let service = |url: Option<String>| GrantLine {
        client_id: name.to_owned(),
        name: name.to_owned(),
        url,
        since: moment(),
        told: GrantLine::told(&[ScopeLine::of(name, &page().texts)]),
        is_connected: true,
        is_given_by_organization: true,
    };
    let services = ServicesPage {
        page: page(),
        tabs: tabs(OwnPage::Services),
        services: vec![service(None), service(Some("https://a.example".into()))],
        csrf: String::new(),
    };
    let what = text("event-sign-in");
    let event = EventLine { at: moment(), what, is_warning: true, service: named(), network: named() };
    let events = EventsPage { page: page(), tabs: tabs(OwnPage::Events), days: 9, events: vec![event], older: named() };
    let data = DataPage {
        page: page(),
        tabs: tabs(OwnPage::Data),
        csrf_file: String::new(),
        csrf_deletion: String::new(),
        requested: Some(moment()),
    };
    vec![
        ("account.html", overview.render().unwrap()),
        ("account_email.html", email.render().unwrap()),
        ("account_password.html", password.render().unwrap()),
        ("account_sessions.html", sessions.render().unwrap()),
        ("account_services.html", services.render().unwrap()),
        ("account_events.html", events.render().unwrap()),
        ("account_data.html", data.render().unwrap()),
    ]
}

/// The pages of the account on which factors are added and removed.
fn factors_with(page: impl Fn() -> Chrome, name: &str) -> Vec<(&'static str, String)> {
    let tabs = || Tabs { here: OwnPage::SecondFactor, done: Some(text("factors-removed")) };
    let moment = || Moment::of(NumericDate(0));
    let factors = FactorsPage {
        page: page(),
        tabs: tabs(),
        authenticators: vec![FactorLine {
            factor_id: name.to_owned(),
            name: Some(name.to_owned()),
            since: moment(),
            used: Some(moment()),
        }],
        can_add: true,
        has_codes: true,
        codes_left: Some(1),
        passkeys: 1,
        is_demanded: true,
        error: Some(text("factors-expired")),
        csrf_begin: String::new(),
        csrf_remove: String::new(),
        csrf_codes: String::new(),
    };
    let authenticator = AuthenticatorPage { page: page(), tabs: tabs(), form: app_form(name), csrf: String::new() };
    let codes = RecoveryCodesPage {
        page: page(),
        tabs: tabs(),
        codes: vec!["B2F4-QRT2-7HXW".into()],
        message: text("factors-codes-made"),
    };
    vec![
        ("account_factors.html", factors.render().unwrap()),
        ("account_authenticator.html", authenticator.render().unwrap()),
        ("account_recovery_codes.html", codes.render().unwrap()),
    ]
}

/// The pages on which passkeys are added and removed.
fn passkeys_with(page: impl Fn() -> Chrome, name: &str) -> Vec<(&'static str, String)> {
    let form = || PasskeyForm {
        options: format!("{{\"user\": {name:?}}}"),
        unknown: Some(name.to_owned()),
        ..PasskeyForm::default()
    };
    let passkeys = PasskeysPage {
        page: page(),
        tabs: Tabs { here: OwnPage::Passkeys, done: Some(text("passkeys-removed")) },
        passkeys: vec![PasskeyLine {
            passkey_id: name.to_owned(),
            name: Some(name.to_owned()),
            is_synced: true,
            since: Moment::of(NumericDate(0)),
            used: Some(Moment::of(NumericDate(0))),
            note: Some(text("passkeys-held-back")),
        }],
        form: Some(form()),
        is_full: false,
        is_offered: true,
        is_first_factor: true,
        name: name.to_owned(),
        error: Some(text("passkeys-invalid")),
        csrf_add: String::new(),
        csrf_remove: String::new(),
    };
    let offer = PasskeyOfferPage {
        page: page(),
        user_name: name.to_owned(),
        account: Some(name.to_owned()),
        client_id: name.to_owned(),
        interaction: String::new(),
        csrf: String::new(),
        form: Some(form()),
        is_first_factor: true,
        name: name.to_owned(),
        error: Some(text("passkeys-invalid")),
    };
    let codes = PasskeyCodesPage { page: page(), codes: vec!["B2F4-QRT2-7HXW".into()], next: name.to_owned() };
    vec![
        ("account_passkeys.html", passkeys.render().unwrap()),
        ("passkey_offer.html", offer.render().unwrap()),
        ("passkey_codes.html", codes.render().unwrap()),
    ]
}

/// What an authenticator app reads, and the form.
fn app_form(name: &str) -> AppForm {
    AppForm {
        picture: Some(Picture { size: 1, path: "M0 0h1v1h-1z".into() }),
        uri: format!("otpauth://totp/{name}"),
        typed: "JBSW Y3DP".into(),
        token: name.to_owned(),
        name: name.to_owned(),
        error: Some(text("authenticator-wrong")),
    }
}

/// The pages behind one-time links.
fn links_with(page: impl Fn() -> Chrome, name: &str) -> Vec<(&'static str, String)> {
    let form = NewPasswordPage {
        page: page(),
        heading: text("invitation-heading"),
        lede: Some(text("reset-lede")),
        action: "/invitation",
        link: name.to_owned(),
        username: name.to_owned(),
        chooses_username: true,
        full_name: Some(name.to_owned()),
        account: Some(name.to_owned()),
        error: Some(text("link-username-taken")),
        field: "username",
        strength: Some(text("strength-days").counting("number", 3)),
        advice: Some(text("strength-advice")),
        submit: text("invitation-submit"),
    };
    let used = LinkUsedPage { page: page(), heading: text("reset-done-heading"), message: text("reset-done") };
    let enrollment = LinkPasswordPage {
        page: page(),
        heading: text("email-confirm-heading"),
        lede: text("email-confirm-lede").with("address", name),
        action: "/account/email/confirmation",
        submit: text("email-confirm"),
        link: name.to_owned(),
        account: name.to_owned(),
        username: name.to_owned(),
        error: Some(text("password-wrong")),
        wait: None,
    };
    let request = LinkRequestPage {
        page: page(),
        heading: text("sign-up-heading"),
        lede: text("sign-up-asked").with("address", name),
        hint: Some(text("link-request-hint")),
        form: Some(LinkRequestForm {
            action: "/sign-up",
            name: "email",
            label: text("sign-up-address"),
            is_address: true,
            typed: name.to_owned(),
            error: Some(text("sign-up-elsewhere").with("domains", name)),
            submit: text("sign-up-submit"),
        }),
        interaction: name.to_owned(),
        client_id: name.to_owned(),
    };
    let authenticator = EnrollmentAuthenticatorPage {
        page: page(),
        link: name.to_owned(),
        account: name.to_owned(),
        form: app_form(name),
    };
    let codes = EnrollmentCodesPage { page: page(), heading: text("codes-heading"), codes: vec!["B2F4".into()] };
    vec![
        ("new_password.html", form.render().unwrap()),
        ("link_used.html", used.render().unwrap()),
        ("link_password.html", enrollment.render().unwrap()),
        ("link_request.html", request.render().unwrap()),
        ("enrollment_authenticator.html", authenticator.render().unwrap()),
        ("enrollment_codes.html", codes.render().unwrap()),
    ]
}

/// Each page that the provider has, with every part it can have, and with that name wherever one can be.
fn pages_with(name: &str) -> Vec<(&'static str, String)> {
    pages_in("en", name)
}

fn pages_in(language: &str, name: &str) -> Vec<(&'static str, String)> {
    let texts = texts_in(language);
    let organization = Arc::new(Organization { name: Some(name.to_owned()), ..Organization::default() });
    let page = || Chrome {
        base: String::new(),
        scripts: String::new(),
        version: "1".into(),
        title: name.to_owned(),
        texts: texts.clone(),
        ui_locales: Some(name.to_owned()),
        organization: organization.clone(),
    };
    let named = || Some(name.to_owned());
    let client_name = name.to_owned();
    let services =
        || [None, Some("https://a.example".to_owned())].map(|url| Service { name: name.to_owned(), url }).into();
    let login = login_with(page(), name);
    let consent = |scopes| ConsentPage {
        page: page(),
        client_name: client_name.clone(),
        client_id: name.to_owned(),
        client_uri: named(),
        policy_uri: None,
        tos_uri: None,
        user_name: name.to_owned(),
        account: named(),
        interaction: String::new(),
        csrf: String::new(),
        shown: String::new(),
        has_more_than_before: true,
        scopes,
        return_host: name.to_owned(),
        returns_to_app: false,
    };
    let no_entry = NoEntryPage {
        page: page(),
        client_name: client_name.clone(),
        client_id: name.to_owned(),
        user_name: name.to_owned(),
        account: named(),
        interaction: String::new(),
        csrf: String::new(),
        reference: "R".into(),
    };
    let error = |problem: &Problem| ErrorPage {
        page: page(),
        text: problem.row().text,
        mistake: name.to_owned(),
        service: named(),
        reference: "R".into(),
        restart: Some(Link::back_to(name, "https://a.example")),
    };
    let logout = LogoutPage {
        page: page(),
        user_name: name.to_owned(),
        account: named(),
        warning: None,
        goes_back_to: named(),
        services: vec![name.to_owned()],
        request: name.to_owned(),
        csrf: String::new(),
    };
    let signed_out = SignedOutPage {
        page: page(),
        heading: text("signed-out"),
        text: None,
        warning: None,
        reached: services(),
        not_reached: services(),
        cannot_be_told: services(),
        frames: vec![Frame { url: "https://a.example".into(), service: name.to_owned() }],
        leave: Some(Link::back_to(name, "https://a.example")),
        goes_by_itself: true,
        again: Some(Again { request: name.to_owned(), csrf: String::new() }),
    };
    let home = home_with(page(), name, services());
    let fields = vec![(name.to_owned(), name.to_owned())];
    let form_post = FormPostPage { page: page(), client_name: client_name.clone(), action: "/".into(), fields };
    let message = MessagePage { page: page(), heading: name.to_owned(), message: name.to_owned() };
    let claims = vec![ClaimLine { name: "Name".into(), value: name.to_owned() }];
    let scope = ScopeLine { is_new: true, claims, ..ScopeLine::of(name, &texts) };
    let mut pages = vec![
        ("login.html", login.render().unwrap()),
        ("consent.html", consent(Vec::new()).render().unwrap()),
        ("consent.html", consent(vec![scope]).render().unwrap()),
        ("no_entry.html", no_entry.render().unwrap()),
        ("second_factor.html", second_factor_with(page(), name).render().unwrap()),
        ("factor_needed.html", factor_needed_with(page(), name).render().unwrap()),
        ("home.html", home.render().unwrap()),
        ("home.html", HomePage { page: page(), signed_in: None }.render().unwrap()),
        ("logout.html", logout.render().unwrap()),
        ("signed_out.html", signed_out.render().unwrap()),
        ("form_post.html", form_post.render().unwrap()),
        ("message.html", message.render().unwrap()),
    ];
    pages.extend(account_with(page, name));
    pages.extend(factors_with(page, name));
    pages.extend(passkeys_with(page, name));
    pages.extend(links_with(page, name));
    pages.extend(Problem::ALL.iter().map(|problem| ("error.html", error(problem).render().unwrap())));
    pages
}

#[test]
fn a_name_with_markup_is_text_on_every_page() {
    let (hostile, plain) = (pages_with("<b>&\"'\u{e000}{ $x }</title>"), pages_with("Reports"));
    let elements = |page: &str| {
        let html = Html::parse_document(page);
        let selector = Selector::parse("*").unwrap();
        html.select(&selector).map(|it| (it.value().name().to_owned(), it.value().attrs().count())).collect::<Vec<_>>()
    };
    for ((file, hostile), (_, plain)) in hostile.iter().zip(&plain) {
        assert_eq!(elements(hostile), elements(plain), "{file}: {hostile}");
        assert!(!hostile.contains("<b>"), "{file}: {hostile}");
        let text = |page: &str| Html::parse_document(page).root_element().text().collect::<String>();
        assert_eq!(text(hostile).replace("<b>&\"'\u{e000}{ $x }</title>", "Reports"), text(plain), "{file}");
    }
    let shown: BTreeSet<&str> = hostile.iter().map(|(file, _)| *file).collect();
    let all = templates();
    let is_shown = |file: &str| shown.contains(file.trim_start_matches("templates/"));
    // A frame is looked at in the pages that it is the frame of.
    let is_frame = |file: &str| {
        let extends = format!("{{% extends \"{}\" %}}", file.trim_start_matches("templates/"));
        all.iter().any(|(page, template)| template.contains(&extends) && is_shown(page))
    };
    for (file, template) in all.iter().filter(|(_, template)| template.contains("{% extends")) {
        assert!(is_shown(file) || is_frame(file), "{file} is not looked at: {template}");
    }
}

/// In the content of a page, where it reorders nothing around it.
#[test]
fn a_name_within_a_sentence_is_kept_apart_from_the_words_around_it() {
    for (file, page) in
        pages_with("Reports").into_iter().filter(|(file, _)| *file != "error.html" && *file != "message.html")
    {
        let html = Html::parse_document(&page);
        for element in html.select(&Selector::parse("h1, h2, p, button, li").unwrap()) {
            let own = element.children().filter_map(|child| child.value().as_text()).map(|text| text.to_string());
            let own: String = own.collect();
            assert!(!own.contains("Reports") || element.value().name() == "a", "{file}: {own:?} in {}", element.html());
        }
        assert!(html.select(&Selector::parse("bdi").unwrap()).all(|it| it.inner_html() == "Reports"), "{file}");
    }
}

// ---- What it costs.

#[test]
fn a_text_is_written_without_an_allocation_of_its_own() {
    let mut page = String::with_capacity(1000);
    let mut allocations = |work: fn(&mut String)| {
        work(&mut page);
        page.clear();
        allocation_counter::measure(|| work(&mut page)).count_total
    };
    assert_eq!(allocations(|page| write!(page, "{}", english().text("login-sign-in")).unwrap()), 0);
    // The list of variables is one.
    let with_a_name =
        allocations(|page| write!(page, "{}", english().text("login-heading").with("client", "Reports")).unwrap());
    assert!(with_a_name <= 1, "{with_a_name}");
    // To tell the name from the words takes another list, and the text itself.
    let in_parts = allocations(|page| {
        english()
            .text("login-heading")
            .with("client", "Reports")
            .parts()
            .each()
            .for_each(|part| page.push_str(part.text));
    });
    assert!(in_parts <= 3, "{in_parts}");
}
