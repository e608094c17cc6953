//! Secrets and tokens that are in a file as they are, in a comment or elsewhere.

/// The beginnings of our own secrets and tokens, which secret scanners know too.
const PREFIXES: &[&str] = &["hp_cs_", "hp_at_", "hp_rt_", "hp_ac_"];

/// Whether a text holds one of our secrets or tokens.
pub(super) fn holds_secret(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| {
        text.match_indices(prefix).any(|(at, _)| {
            let behind = text[at + prefix.len()..].bytes();
            behind.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).count() >= 16
        })
    })
}

/// The secrets in a comment, by their line within it: ours by their beginning, and what is named as one.
pub(super) fn secrets_in_comment(comment: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (offset, line) in comment.lines().enumerate() {
        if holds_secret(line) {
            found.push((offset, "the comment holds a secret or token as it is"));
        } else if names_secret(line) {
            found.push((offset, "the comment says what a secret or password is"));
        }
    }
    found
}

/// `secret: …` or `password = …`, with something behind it that looks like one.
fn names_secret(line: &str) -> bool {
    let lower = line.to_lowercase();
    ["secret", "password", "passwd"].iter().any(|word| {
        lower.match_indices(word).any(|(at, _)| {
            let behind = lower[at + word.len()..].trim_start_matches(['"', '\'', '`']).trim_start();
            let Some(value) = behind.strip_prefix([':', '=']) else { return false };
            let value = value.trim_start_matches(['"', '\'', '`', ' ']);
            let value: String =
                value.chars().take_while(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '`')).collect();
            let has = |is: fn(char) -> bool| value.chars().any(is);
            value.chars().count() >= 8
                && !value.starts_with('$')
                && has(|c| c.is_ascii_digit())
                && has(char::is_alphabetic)
        })
    })
}
