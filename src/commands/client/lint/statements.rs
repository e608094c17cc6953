//! The statements that migrations of clients are made of, read from tokens. What is not read here says so.

use super::lexer::{Comment, Placed, Token};

/// A name, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) line: usize,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Text(String),
    Number(i64),
    Null,
    /// `DEFAULT`.
    Default,
    /// Something that only a database can compute.
    Computed,
}

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) literal: Literal,
    pub(super) line: usize,
}

/// A `WHERE`: the conditions that could be read, all of which hold.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Whether there is one at all.
    pub(super) is_there: bool,
    /// `column = value`, or `column IN (values)`.
    pub(super) terms: Vec<(Name, Vec<Value>)>,
    /// The names in further conditions.
    pub(super) further: Vec<Name>,
}

/// One statement.
#[derive(Debug)]
pub(super) enum Statement {
    Insert {
        table: Name,
        columns: Option<Vec<Name>>,
        rows: Vec<Vec<Value>>,
        /// `ON CONFLICT … DO NOTHING`.
        may_be_there: bool,
    },
    Update {
        table: Name,
        changes: Vec<(Name, Value)>,
        filter: Filter,
    },
    Delete {
        table: Name,
        filter: Filter,
    },
    /// A table of the admin's own.
    CreateTable {
        table: Name,
    },
    /// `BEGIN`, `COMMIT` and the like.
    Transaction,
    /// Why it was not understood.
    Other(&'static str),
}

/// Splits tokens at the semicolons between statements.
pub(super) fn split(tokens: &[Placed]) -> Vec<&[Placed]> {
    tokens.split(|placed| placed.token == Token::Sign(';')).filter(|statement| !statement.is_empty()).collect()
}

/// The statement that a comment belongs to, by its place in what `split` gives: the one that it stands in or behind, on the
/// line of its end, else the one that follows.
pub(super) fn statement_of(tokens: &[Placed], comment: &Comment) -> Option<usize> {
    let is_end = |placed: &Placed| placed.token == Token::Sign(';');
    // Statements are never empty: of several semicolons one counts.
    let begins = |at: usize| !is_end(&tokens[at]) && at.checked_sub(1).is_none_or(|at| is_end(&tokens[at]));
    let begun = (0..comment.before.min(tokens.len())).filter(|at| begins(*at)).count();
    let is_inside = match comment.before.checked_sub(1).and_then(|at| tokens.get(at)) {
        Some(last) => !is_end(last) || last.line == comment.line,
        None => false,
    };
    let found = if is_inside && begun > 0 { begun - 1 } else { begun };
    (found < split(tokens).len()).then_some(found)
}

/// Reads one statement.
pub(super) fn read(tokens: &[Placed]) -> Statement {
    let mut reader = Reader { tokens, at: 0 };
    let first = reader.word().unwrap_or_default();
    let read = match first.as_str() {
        "insert" => reader.insert(),
        "update" => reader.update(),
        "delete" => reader.delete(),
        "create" => reader.create(),
        "begin" | "commit" | "rollback" | "start" | "end" | "savepoint" | "release" => Ok(Statement::Transaction),
        _ => Err("only INSERT, UPDATE and DELETE are read here"),
    };
    read.unwrap_or_else(Statement::Other)
}

type Read<T> = Result<T, &'static str>;

struct Reader<'a> {
    tokens: &'a [Placed],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|placed| &placed.token)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |placed| placed.line)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found == word)
    }

    fn is_sign(&self, sign: char) -> bool {
        self.peek() == Some(&Token::Sign(sign))
    }

    fn word(&mut self) -> Option<String> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        self.at += 1;
        Some(word.clone())
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        self.at += usize::from(is);
        is
    }

    fn takes_sign(&mut self, sign: char) -> bool {
        let is = self.is_sign(sign);
        self.at += usize::from(is);
        is
    }

    fn name(&mut self) -> Read<Name> {
        let line = self.line();
        match self.peek() {
            Some(Token::Word(text) | Token::Name(text)) => {
                self.at += 1;
                if self.is_sign('.') {
                    return Err("a name with a schema before it is not the same on both databases");
                }
                Ok(Name { text: text.clone(), line })
            }
            _ => Err("a name is missing where one belongs"),
        }
    }

    /// Names in parentheses; the opening one is taken already.
    fn names(&mut self) -> Read<Vec<Name>> {
        let mut names = vec![self.name()?];
        while self.takes_sign(',') {
            names.push(self.name()?);
        }
        if self.takes_sign(')') { Ok(names) } else { Err("a list of names does not end with )") }
    }

    /// One value, up to the comma or parenthesis behind it, or one of those words.
    fn value(&mut self, ends: &[&str]) -> Read<Value> {
        let line = self.line();
        let from = self.at;
        let mut depth = 0_usize;
        while let Some(token) = self.peek() {
            match token {
                Token::Sign('(') => depth += 1,
                Token::Sign(')' | ',') if depth == 0 => break,
                Token::Sign(')') => depth -= 1,
                Token::Word(word) if depth == 0 && ends.contains(&word.as_str()) => break,
                _ => {}
            }
            self.at += 1;
        }
        if depth > 0 {
            return Err("a parenthesis is never closed");
        }
        let taken: Vec<&Token> = self.tokens[from..self.at].iter().map(|placed| &placed.token).collect();
        if taken.is_empty() {
            Err("a value is missing where one belongs")
        } else {
            Ok(Value { literal: literal(&taken), line })
        }
    }

    fn insert(&mut self) -> Read<Statement> {
        if self.is_word("or") {
            return Err("INSERT OR … is SQLite's alone; use ON CONFLICT DO NOTHING");
        }
        if !self.takes_word("into") {
            return Err("INSERT is not followed by INTO");
        }
        let table = self.name()?;
        let columns = if self.takes_sign('(') { Some(self.names()?) } else { None };
        if !self.takes_word("values") {
            return Err("only INSERT … VALUES is read here; rows that a SELECT finds are not known without a database");
        }
        let mut rows = Vec::new();
        loop {
            if !self.takes_sign('(') {
                return Err("VALUES is not followed by a row in parentheses");
            }
            let mut row = vec![self.value(&[])?];
            while self.takes_sign(',') {
                row.push(self.value(&[])?);
            }
            if !self.takes_sign(')') {
                return Err("a row does not end with )");
            }
            rows.push(row);
            if !self.takes_sign(',') {
                break;
            }
        }
        let may_be_there = self.takes_word("on");
        if may_be_there {
            let tail: Vec<&Token> = self.tokens[self.at..].iter().map(|placed| &placed.token).collect();
            let is_nothing = tail.first() == Some(&&Token::Word("conflict".into()))
                && matches!(tail.as_slice(), [.., Token::Word(one), Token::Word(two)] if one == "do" && two == "nothing");
            if !is_nothing {
                return Err("of ON CONFLICT only DO NOTHING is read here; write an UPDATE of its own");
            }
        } else if self.peek().is_some() {
            return Err("something follows the rows of an INSERT");
        }
        Ok(Statement::Insert { table, columns, rows, may_be_there })
    }

    fn update(&mut self) -> Read<Statement> {
        let table = self.name()?;
        if !self.takes_word("set") {
            return Err("UPDATE is not followed by a table and SET");
        }
        let mut changes = Vec::new();
        loop {
            let column = self.name()?;
            if !self.takes_sign('=') {
                return Err("a column of SET is not followed by =");
            }
            changes.push((column, self.value(&["where", "returning", "from"])?));
            if !self.takes_sign(',') {
                break;
            }
        }
        Ok(Statement::Update { table, changes, filter: self.filter()? })
    }

    fn delete(&mut self) -> Read<Statement> {
        if !self.takes_word("from") {
            return Err("DELETE is not followed by FROM");
        }
        let table = self.name()?;
        Ok(Statement::Delete { table, filter: self.filter()? })
    }

    fn create(&mut self) -> Read<Statement> {
        if !self.takes_word("table") {
            return Err("only INSERT, UPDATE and DELETE are read here");
        }
        if self.takes_word("if") {
            let _ = (self.takes_word("not"), self.takes_word("exists"));
        }
        Ok(Statement::CreateTable { table: self.name()? })
    }

    fn filter(&mut self) -> Read<Filter> {
        let mut filter = Filter::default();
        if self.peek().is_none() {
            return Ok(filter);
        }
        if !self.takes_word("where") {
            return Err("something other than WHERE follows");
        }
        filter.is_there = true;
        let tokens = &self.tokens[self.at..];
        let conditions = conjuncts(tokens);
        if conditions.iter().any(|condition| condition.is_empty()) {
            return Err("a condition of WHERE is missing");
        }
        let has_or = conditions.iter().any(|condition| top_level(condition).any(|token| is(token, "or")));
        for condition in conditions {
            let mut reader = Reader { tokens: condition, at: 0 };
            match reader.term().filter(|_| !has_or) {
                Some(term) => filter.terms.push(term),
                None => filter.further.extend(names_in(condition)),
            }
        }
        Ok(filter)
    }

    /// `column = value` or `column IN (values)`, and nothing behind it.
    fn term(&mut self) -> Option<(Name, Vec<Value>)> {
        let column = self.name().ok()?;
        let values = if self.takes_sign('=') {
            vec![self.value(&[]).ok()?]
        } else if self.takes_word("in") && self.takes_sign('(') {
            let mut values = vec![self.value(&[]).ok()?];
            while self.takes_sign(',') {
                values.push(self.value(&[]).ok()?);
            }
            if !self.takes_sign(')') {
                return None;
            }
            values
        } else {
            return None;
        };
        let is_known = values.iter().all(|value| matches!(value.literal, Literal::Text(_) | Literal::Number(_)));
        (self.peek().is_none() && is_known).then_some((column, values))
    }
}

fn is(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found == word)
}

/// The tokens outside of parentheses.
fn top_level(tokens: &[Placed]) -> impl Iterator<Item = &Token> {
    let mut depth = 0_i64;
    tokens.iter().map(|placed| &placed.token).filter(move |token| {
        match token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

/// Splits at the ANDs outside of parentheses; the one of BETWEEN belongs to it.
fn conjuncts(tokens: &[Placed]) -> Vec<&[Placed]> {
    let mut found = Vec::new();
    let (mut from, mut depth, mut between) = (0, 0_i64, false);
    for (at, placed) in tokens.iter().enumerate() {
        match &placed.token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth -= 1,
            token if depth == 0 && is(token, "between") => between = true,
            token if depth == 0 && is(token, "and") && between => between = false,
            token if depth == 0 && is(token, "and") => {
                found.push(&tokens[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&tokens[from..]);
    found
}

/// The words of a condition that may be columns.
fn names_in(tokens: &[Placed]) -> Vec<Name> {
    const NOT_COLUMNS: &[&str] = &[
        "and", "or", "not", "null", "is", "in", "between", "like", "exists", "select", "from", "where", "lower",
        "upper", "length", "coalesce", "cast", "as", "text", "bigint", "integer", "escape",
    ];
    let has_query = tokens.iter().any(|placed| is(&placed.token, "select"));
    let names = tokens.iter().filter_map(|placed| match &placed.token {
        // In a query of its own the names belong to other tables.
        _ if has_query => None,
        Token::Word(text) if !NOT_COLUMNS.contains(&text.as_str()) => {
            Some(Name { text: text.clone(), line: placed.line })
        }
        Token::Name(text) => Some(Name { text: text.clone(), line: placed.line }),
        _ => None,
    });
    names.collect()
}

fn literal(tokens: &[&Token]) -> Literal {
    let number = |text: &str, sign: i64| text.parse::<i64>().map_or(Literal::Computed, |n| Literal::Number(sign * n));
    match tokens {
        [Token::Text(text)] => Literal::Text(text.clone()),
        [Token::Number(text)] => number(text, 1),
        [Token::Sign('-'), Token::Number(text)] => number(text, -1),
        [token] if is(token, "null") => Literal::Null,
        [token] if is(token, "default") => Literal::Default,
        _ => concatenated(tokens).map_or(Literal::Computed, Literal::Text),
    }
}

/// `'a' || 'b'`.
fn concatenated(tokens: &[&Token]) -> Option<String> {
    let mut text = String::new();
    for part in tokens.split(|token| **token == Token::Sign('|')) {
        match part {
            [] => {}
            [Token::Text(part)] => text.push_str(part),
            _ => return None,
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::lexer;
    use super::*;

    fn one(text: &str) -> Statement {
        let lexed = lexer::read(text);
        let statements = split(&lexed.tokens);
        assert_eq!(statements.len(), 1, "{text}");
        read(statements[0])
    }

    #[test]
    fn rows_of_an_insert_are_read_whatever_their_layout() {
        let Statement::Insert { table, columns, rows, may_be_there } = one(
            "insert INTO Clients (client_id,\n \"pkce\") VALUES ('a', -1), -- x\n ('b;', NULL) ON CONFLICT (client_id) DO NOTHING;",
        ) else {
            panic!()
        };
        assert_eq!((table.text.as_str(), columns.unwrap()[1].text.as_str(), may_be_there), ("clients", "pkce", true));
        assert_eq!(rows[0][1].literal, Literal::Number(-1));
        assert_eq!((rows[1][0].literal.clone(), rows[1][0].line), (Literal::Text("b;".into()), 3));
        assert_eq!(rows[1][1].literal, Literal::Null);
    }

    #[test]
    fn what_a_database_computes_is_not_guessed() {
        let Statement::Insert { rows, .. } = one("INSERT INTO t VALUES ('a' || 'b', 'a' || x, f(1, 2), 1 + 1, 1e3)")
        else {
            panic!()
        };
        let literals: Vec<&Literal> = rows[0].iter().map(|value| &value.literal).collect();
        assert_eq!(literals[0], &Literal::Text("ab".into()));
        assert!(literals[1..].iter().all(|literal| **literal == Literal::Computed), "{literals:?}");
    }

    #[test]
    fn conditions_are_read_as_far_as_they_are_plain() {
        let filter_of = |condition: &str| match one(&format!("DELETE FROM t WHERE {condition}")) {
            Statement::Delete { filter, .. } => (filter.terms.len(), filter.further.len()),
            other => panic!("{other:?}"),
        };
        assert_eq!(filter_of("a = 'x' AND b IN (1, 2)"), (2, 0));
        assert_eq!(filter_of("a = 'x' AND (b = 0 OR b > 5)"), (1, 2));
        assert_eq!(filter_of("a = 'x' OR b = 1"), (0, 2));
        assert_eq!(filter_of("a = 'x' AND b BETWEEN 1 AND 2"), (1, 1));
        assert_eq!(filter_of("a IN (SELECT x FROM y)"), (0, 0));
        assert!(matches!(one("DELETE FROM t WHERE"), Statement::Other(_)));
    }

    #[test]
    fn a_comment_belongs_to_the_statement_that_it_stands_in_or_before() {
        let text = "-- 0\n\n-- 0\nINSERT -- 0\n INTO t VALUES (1); -- 0\n-- 1\nDELETE FROM t; /* 1 */ DELETE FROM u;;\n-- 3\n\
                    UPDATE t SET a = 1 -- 3\n-- 3\n";
        let lexed = lexer::read(text);
        for comment in &lexed.comments {
            let number = comment.text.trim_matches(['-', '/', '*', ' ']).parse().unwrap();
            assert_eq!(statement_of(&lexed.tokens, comment), Some(number), "line {}", comment.line);
        }
        assert_eq!(lexed.comments.len(), 9);
        let after = lexer::read("DELETE FROM t;\n-- nothing follows");
        assert_eq!(statement_of(&after.tokens, &after.comments[0]), None);
        let alone = lexer::read("-- alone");
        assert_eq!(statement_of(&alone.tokens, &alone.comments[0]), None);
    }

    #[test]
    fn what_is_not_read_says_why() {
        for text in [
            "SELECT 1",
            "INSERT INTO t SELECT * FROM u",
            "INSERT OR REPLACE INTO t VALUES (1)",
            "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1",
            "INSERT INTO t VALUES (1) RETURNING a",
            "INSERT INTO public.t VALUES (1)",
            "INSERT INTO t VALUES (1",
            "UPDATE t AS x SET a = 1",
            "CREATE INDEX i ON t (a)",
            "'x'",
        ] {
            assert!(matches!(one(text), Statement::Other(_)), "{text}");
        }
    }
}
