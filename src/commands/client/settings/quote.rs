//! A text as a literal of the language that it is to be in.

use std::fmt::Write as _;

/// As JSON, C#, Python, YAML and TOML have it alike: in double quotes, with the escapes that all five know. What is neither
/// a control character nor a line break for any of them stays as it is.
pub(super) fn double(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // U+2028 and U+2029 end a line of C#; a byte order mark is not printable for YAML.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// As YAML for Spring, which looks for placeholders in every value; a backslash before one leaves it alone (Spring
/// Framework 6.2 and newer).
pub(super) fn spring(text: &str) -> String {
    double(&text.replace("${", "\\${"))
}

/// As a POSIX shell has it: plain where nothing in it means anything, so that other readers of such lines take it too.
pub(super) fn shell(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/:@%+=,".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// As a line of a `.env` file that Starlette reads: to the end of the line, without the quotes around it.
pub(super) fn dotenv(text: &str) -> String {
    if text.contains('\'') { text.to_owned() } else { shell(text) }
}

/// As PHP and Ruby have it where nothing in it is to be looked for: in single quotes, which know two escapes.
pub(super) fn single(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// As an INI file for Go has it: plain, or in three double quotes where a comment would begin.
pub(super) fn ini(text: &str) -> String {
    let is_plain = !text.contains(['#', ';', '`', '"', '\\']) && text.trim() == text;
    if is_plain { text.to_owned() } else { format!("\"\"\"{text}\"\"\"") }
}

/// As an argument of a directive of Apache.
pub(super) fn apache(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/:%+=,?&".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// As the value of a property, where `${` would be resolved and a backslash begins an escape.
pub(super) fn properties(text: &str) -> String {
    text.replace('\\', "\\\\").replace("${", "\\\\${")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_quoted_text_is_json_and_toml_too() {
        for text in [
            "",
            "plain",
            "it's \"quoted\" \\ back",
            "a\tb\r\nc",
            "\u{7f}\u{85}\u{1b}",
            "é 名 🔑",
            "$HOME ${x} $(x) {y}",
            "\u{2028}",
        ] {
            let quoted = double(text);
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
            let table: toml::Table = format!("x = {quoted}").parse().unwrap();
            assert_eq!(table["x"].as_str(), Some(text));
            assert!(!quoted.chars().any(char::is_control), "{quoted}");
        }
        assert_eq!(double("é${x}"), "\"é${x}\"");
        assert_eq!(spring("a${x}$y"), "\"a\\\\${x}$y\"");
    }

    #[test]
    fn a_shell_sees_what_was_meant() {
        for text in ["", "plain-1._/:@%+=,", "~root", "it's", "a b", "$HOME", "`id`", "a;b", "é", "\\", "#x", "a&b|c>d"]
        {
            let script = format!("x={}; printf %s \"$x\"", shell(text));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
        assert_eq!((shell("a:b"), dotenv("it's")), ("a:b".to_owned(), "it's".to_owned()));
    }
}
