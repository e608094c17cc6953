//! What was sent beside what is registered: where two texts differ, marked, and in words.

/// Marks where `sent` differs from `expected`: two lines that can be printed under each other, and a third with `^` under the
/// differing characters of the longer one.
#[must_use]
pub fn marked(sent: &str, expected: &str) -> [String; 3] {
    let (one, other): (Vec<char>, Vec<char>) = (shown(sent), shown(expected));
    let (head, tail) = common(&one, &other);
    let longer = one.len().max(other.len());
    let width = (longer - head - tail).max(usize::from(one != other));
    let line = |text: &[char]| text.iter().collect::<String>();
    [line(&one), line(&other), format!("{}{}", " ".repeat(head), "^".repeat(width))]
}

/// The same in one line, for a log: what differs is between « and ».
#[must_use]
pub fn in_one_line(sent: &str, expected: &str) -> String {
    let (one, other): (Vec<char>, Vec<char>) = (shown(sent), shown(expected));
    let (head, tail) = common(&one, &other);
    let line = |text: &[char]| {
        let [before, between, after] = [&text[..head], &text[head..text.len() - tail], &text[text.len() - tail..]];
        [before, &['«'], between, &['»'], after].concat().iter().collect::<String>()
    };
    format!("sent {}, expected {}", line(&one), line(&other))
}

/// How many characters the two share at the beginning and, beyond those, at the end.
fn common(one: &[char], other: &[char]) -> (usize, usize) {
    let head = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let tail = one[head..].iter().rev().zip(other[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    (head, tail)
}

/// The longest text that is compared, in characters: what was sent is not ours.
const LONGEST: usize = 600;

/// Characters that could not be seen, or would move the marks, are shown as `?`.
fn shown(text: &str) -> Vec<char> {
    text.chars().take(LONGEST).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

/// The registered text that is most like the one that was sent.
#[must_use]
pub fn nearest<'a>(sent: &str, registered: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let sent: Vec<char> = sent.chars().collect();
    registered.into_iter().max_by_key(|text| {
        let text: Vec<char> = text.chars().collect();
        let (head, tail) = common(&sent, &text);
        // Of two that share as much, the one with less beside it.
        (head + tail, usize::MAX - text.len())
    })
}

/// Of what is known, what a name was probably meant to be: the first of those with the fewest slips, `most` at most. Capital and
/// small letters do not matter.
#[must_use]
pub fn most_like<T>(
    name: &str,
    known: impl IntoIterator<Item = T>,
    called: impl Fn(&T) -> &str,
    most: usize,
) -> Option<T> {
    let name = name.to_lowercase();
    let known = known.into_iter().map(|it| (strsim::levenshtein(&called(&it).to_lowercase(), &name), it));
    known.min_by_key(|(slips, _)| *slips).filter(|(slips, _)| *slips <= most).map(|(_, it)| it)
}

/// What makes two addresses different, in words, where it is one of the usual mistakes.
#[must_use]
pub fn usual_mistake(sent: &str, expected: &str) -> Option<&'static str> {
    let without_slash = |text: &str| text.strip_suffix('/').map(str::to_owned);
    if without_slash(sent).as_deref() == Some(expected) {
        return Some("a slash at the end is too much");
    }
    if without_slash(expected).as_deref() == Some(sent) {
        return Some("the slash at the end is missing");
    }
    if sent.eq_ignore_ascii_case(expected) {
        return Some("capital and small letters differ");
    }
    let (one, other) = (url::Url::parse(sent).ok()?, url::Url::parse(expected).ok()?);
    if one.scheme() != other.scheme() {
        return Some(match (one.scheme(), other.scheme()) {
            ("http", "https") => {
                "http instead of https: the service does not know that TLS ends at a proxy in front of it (forwarded headers)"
            }
            ("https", "http") => "https instead of http",
            _ => "the schemes differ",
        });
    }
    let is_here = |url: &url::Url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if one.host_str() != other.host_str() {
        return Some(if is_here(&one) && is_here(&other) {
            "localhost and its addresses are different hosts"
        } else if is_here(&one) {
            "the service believes that it runs on localhost: it does not know the address that browsers use"
        } else {
            "the hosts differ"
        });
    }
    if one.port_or_known_default() != other.port_or_known_default() {
        return Some("the ports differ");
    }
    if one.port() == other.port() && one.path() != other.path() {
        return Some("the paths differ");
    }
    if one.query() != other.query() {
        return Some("the queries differ; an address is compared with its query");
    }
    (one == other)
        .then_some("they mean the same, but are written differently, and addresses are compared byte for byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_differing_characters_are_marked() {
        for (sent, expected, marks) in [
            ("https://a.example/cb/", "https://a.example/cb", "                    ^"),
            ("https://a.example/cb", "https://a.example/cb/", "                    ^"),
            ("http://a.example/cb", "https://a.example/cb", "    ^"),
            ("https://a.example/one", "https://a.example/other", "                   ^^^^"),
            ("same", "same", "    "),
            ("", "abc", "^^^"),
        ] {
            assert_eq!(marked(sent, expected), [sent, expected, marks].map(str::to_owned), "{sent}");
        }
        assert_eq!(marked("a\u{2028}b", "ab")[0], "a?b");
    }

    #[test]
    fn in_a_log_they_are_marked_in_one_line() {
        let line = in_one_line("http://a.example/cb/", "https://a.example/cb");
        assert_eq!(line, "sent http«://a.example/cb/», expected http«s://a.example/cb»");
        assert_eq!(
            in_one_line("https://a.example/cb/", "https://a.example/cb"),
            "sent https://a.example/cb«/», expected https://a.example/cb«»"
        );
    }

    #[test]
    fn the_nearest_is_the_one_that_shares_most() {
        let registered = ["https://b.example/cb", "https://a.example/other", "https://a.example/signin-oidc"];
        assert_eq!(nearest("https://a.example/signin-oidc/", registered), Some("https://a.example/signin-oidc"));
        assert_eq!(nearest("http://b.example/cb", registered), Some("https://b.example/cb"));
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn usual_mistakes_have_words() {
        for (sent, expected, word) in [
            ("https://a.example/cb/", "https://a.example/cb", "too much"),
            ("https://a.example/cb", "https://a.example/cb/", "missing"),
            ("https://a.example/CB", "https://a.example/cb", "capital"),
            ("http://a.example/cb", "https://a.example/cb", "proxy"),
            ("http://127.0.0.1:1/cb", "http://localhost:1/cb", "different hosts"),
            ("http://localhost:1/cb", "http://a.example:1/cb", "believes"),
            ("https://b.example/cb", "https://a.example/cb", "hosts differ"),
            ("https://a.example:8443/cb", "https://a.example/cb", "ports"),
            ("https://a.example/x", "https://a.example/cb", "paths"),
            ("https://a.example/cb?a=1", "https://a.example/cb", "queries"),
            ("https://a.example:443/cb", "https://a.example/cb", "written differently"),
        ] {
            let said = usual_mistake(sent, expected).unwrap();
            assert!(said.contains(word), "{sent}: {said}");
        }
        assert_eq!(usual_mistake("nothing", "alike"), None);
    }
}
