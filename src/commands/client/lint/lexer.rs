//! SQL as tokens with their lines: what both databases read alike, and a fault where they would not.

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or a name, in lower case, as both databases take it.
    Word(String),
    /// A name in double quotes, as it stands there.
    Name(String),
    /// A text in single quotes, without them.
    Text(String),
    /// A number without a sign.
    Number(String),
    /// Anything else, character by character.
    Sign(char),
}

/// A token, and the line that it begins on (the first is 1).
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) line: usize,
}

/// A comment, with the line that it begins on and how many tokens stand before it.
#[derive(Debug)]
pub(super) struct Comment {
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) before: usize,
}

/// A file, read.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    pub(super) tokens: Vec<Placed>,
    pub(super) comments: Vec<Comment>,
    /// Where reading ended too early, and why.
    pub(super) fault: Option<(usize, &'static str)>,
}

/// Reads a whole file; it never fails, but says where it had to give up.
pub(super) fn read(text: &str) -> Lexed {
    let mut lexed = Lexed::default();
    let mut rest = Rest { text, line: 1 };
    while let Some(c) = rest.peek() {
        let line = rest.line;
        let before = lexed.tokens.len();
        let token = match c {
            c if c.is_whitespace() => {
                rest.take();
                continue;
            }
            '-' if rest.text.starts_with("--") => {
                let text = rest.take_while(|c| c != '\n');
                lexed.comments.push(Comment { text, line, before });
                continue;
            }
            '/' if rest.text.starts_with("/*") => {
                match rest.block_comment() {
                    Ok(text) => lexed.comments.push(Comment { text, line, before }),
                    Err(text) => {
                        lexed.comments.push(Comment { text, line, before });
                        lexed.fault = Some((line, "a comment that begins with /* never ends"));
                    }
                }
                continue;
            }
            '\'' => {
                let Some(text) = rest.quoted('\'') else {
                    lexed.fault = Some((line, "a text that begins with ' never ends"));
                    break;
                };
                Token::Text(text)
            }
            '"' => {
                let Some(text) = rest.quoted('"') else {
                    lexed.fault = Some((line, "a name that begins with \" never ends"));
                    break;
                };
                Token::Name(text)
            }
            c if c.is_alphabetic() || c == '_' => {
                Token::Word(rest.take_while(|c| c.is_alphanumeric() || c == '_').to_lowercase())
            }
            c if c.is_ascii_digit() => Token::Number(rest.take_while(|c| c.is_alphanumeric() || c == '.' || c == '_')),
            other => {
                rest.take();
                Token::Sign(other)
            }
        };
        lexed.tokens.push(Placed { token, line });
    }
    lexed
}

struct Rest<'a> {
    text: &'a str,
    line: usize,
}

impl Rest<'_> {
    fn peek(&self) -> Option<char> {
        self.text.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.text = &self.text[c.len_utf8()..];
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn take_while(&mut self, is_wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek().filter(|c| is_wanted(*c)) {
            taken.push(c);
            self.take();
        }
        taken
    }

    /// What stands between two quotes; a doubled one stands for itself.
    fn quoted(&mut self, quote: char) -> Option<String> {
        self.take();
        let mut inside = String::new();
        loop {
            match self.take()? {
                c if c == quote && self.peek() == Some(quote) => {
                    self.take();
                    inside.push(quote);
                }
                c if c == quote => return Some(inside),
                c => inside.push(c),
            }
        }
    }

    /// A comment to its `*/`; `Err`: it has none. PostgreSQL lets them nest and SQLite does not, so one within another
    /// ends at the first `*/` for the one and at the last for the other; here as for SQLite, which shows as a fault.
    fn block_comment(&mut self) -> Result<String, String> {
        let mut inside = String::new();
        while let Some(c) = self.take() {
            inside.push(c);
            if inside.len() > 3 && inside.ends_with("*/") {
                return Ok(inside);
            }
        }
        Err(inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        read(text).tokens.into_iter().map(|placed| placed.token).collect()
    }

    #[test]
    fn quotes_are_doubled_to_stand_for_themselves() {
        assert_eq!(
            tokens("'it''s' '' \"a\"\"b\" X"),
            [
                Token::Text("it's".into()),
                Token::Text(String::new()),
                Token::Name("a\"b".into()),
                Token::Word("x".into())
            ]
        );
    }

    #[test]
    fn comments_and_quotes_do_not_begin_within_each_other() {
        let lexed = read("-- it's\n'-- no' /* 'x' -- */ 1\n/* a\nb */ y");
        assert_eq!(lexed.comments.len(), 3);
        assert_eq!((lexed.comments[2].line, lexed.tokens.last().unwrap().line), (3, 4));
        assert_eq!(lexed.tokens[0].token, Token::Text("-- no".into()));
        assert!(lexed.fault.is_none());
    }

    #[test]
    fn what_never_ends_is_a_fault_where_it_begins() {
        for (text, line) in [("'a", 1), ("1\n\"a", 2), ("\n\n/* a", 3), ("'a''", 1)] {
            assert_eq!(read(text).fault.map(|(line, _)| line), Some(line), "{text}");
        }
    }
}
