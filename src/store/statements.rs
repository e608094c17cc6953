//! SQL files as statements, read by a parser that knows only what SQLite and PostgreSQL have in common: where each statement
//! and value is, which clients it names, and what in it is not portable. Nothing is carried out here.

use sqlparser::ast::{
    AssignmentTarget, BinaryOperator, Expr, FromTable, Ident, InTarget, Insert, ObjectName, SetExpr, Spanned as _,
    Statement as Parsed, TableFactor, TableObject, TableWithJoins, UnaryOperator, Value as SqlValue, visit_expressions,
    visit_relations,
};
use sqlparser::dialect::{Dialect, PostgreSqlDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace, Word};
use std::ops::ControlFlow;

/// The functions that both databases have under one name and that give the same there, where texts are plain.
const PORTABLE_FUNCTIONS: &[&str] = &[
    "abs", "avg", "coalesce", "count", "length", "lower", "ltrim", "nullif", "replace", "round", "rtrim", "substr",
    "sum", "trim", "upper",
];

/// What both databases read alike: names in double quotes, texts in single ones, and nothing of either's own.
#[derive(Debug)]
struct Portable;

impl Dialect for Portable {
    fn is_identifier_start(&self, c: char) -> bool {
        c.is_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_'
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '"'
    }

    fn supports_national_string_literal(&self) -> bool {
        false
    }
}

/// A file, read.
#[derive(Debug, Default)]
pub struct Script {
    /// In their order; none is empty.
    pub statements: Vec<Statement>,
    /// In their order.
    pub comments: Vec<Comment>,
    /// Texts and quoted names, with their lines.
    pub texts: Vec<(usize, String)>,
    /// Where reading ended too early, and why.
    pub fault: Option<(usize, &'static str)>,
}

/// A comment.
#[derive(Debug)]
pub struct Comment {
    /// What it says, without its marks.
    pub text: String,
    /// The line that it begins on, from 1.
    pub line: usize,
    /// The statement that it is in or behind, on the line of its end, or else the next one, by its place.
    pub statement: Option<usize>,
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It inserts, updates or deletes rows.
    Change,
    /// It makes a table or an index.
    Create,
    /// It begins or ends a transaction.
    Transaction,
    /// It would reach beyond the database or change how that works.
    Outside,
    /// Anything else.
    Other,
}

/// One statement.
#[derive(Debug)]
pub struct Statement {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// What it does.
    pub kind: Kind,
    /// What it says; `None`: it is not what both databases understand.
    pub said: Option<Said>,
    text: String,
    tokens: Vec<TokenWithSpan>,
}

/// What a portable statement says.
#[derive(Debug, Default)]
pub struct Said {
    /// The table that it is about.
    pub table: String,
    /// What it does, where the rows are those of a condition.
    pub verb: Option<&'static str>,
    /// Whether it has a condition.
    pub has_condition: bool,
    /// The columns that are written; `None`: all in their order.
    pub columns: Option<Vec<String>>,
    /// The values of each row of `VALUES`, or of the columns of `SET`.
    pub rows: Vec<Vec<Value>>,
    /// The clients whose `client_id` its condition demands.
    pub clients: Vec<String>,
    /// Names in double quotes where a value may be, which SQLite takes for a text if no column has that name.
    pub quoted: Vec<(String, usize)>,
    /// What is not the same on both databases.
    pub warning: Option<String>,
}

/// A value, and the line that it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub literal: Literal,
    /// From 1.
    pub line: usize,
}

/// What is written for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// A text.
    Text(String),
    /// A number.
    Number,
    /// `NULL`.
    Null,
    /// Something that the database computes.
    Computed,
}

/// Reads a whole file; it never fails, but says where it had to give up.
#[must_use]
pub fn read(sql: &str) -> Script {
    let mut tokens = Vec::new();
    let failed = Tokenizer::new(&Portable, sql).tokenize_with_location_into_buf(&mut tokens).err();
    let mut script = Script { fault: failed.map(|error| unfinished(sql, &tokens, &error)), ..Script::default() };
    let mut open: Vec<TokenWithSpan> = Vec::new();
    let mut ended_on = 0;
    let mut waiting = Vec::new();
    let mut offsets = Offsets::of(sql);
    for token in tokens {
        let line = line_of(token.span.start);
        match &token.token {
            Token::Whitespace(
                Whitespace::SingleLineComment { comment: text, .. } | Whitespace::MultiLineComment(text),
            ) => {
                let number = script.statements.len();
                let is_behind = open.is_empty() && ended_on == line && number > 0;
                let statement = if is_behind { number - 1 } else { number };
                if open.is_empty() && !is_behind {
                    waiting.push(script.comments.len());
                }
                script.comments.push(Comment { text: text.clone(), line, statement: Some(statement) });
            }
            Token::Whitespace(_) => {}
            Token::SemiColon => {
                ended_on = line;
                script.statements.extend(Statement::of(&mut offsets, std::mem::take(&mut open)));
            }
            other => {
                if let Token::SingleQuotedString(text) | Token::Word(Word { value: text, quote_style: Some(_), .. }) =
                    other
                {
                    script.texts.push((line, text.clone()));
                }
                waiting.clear();
                open.push(token);
            }
        }
    }
    // What never ends is told of as such.
    if script.fault.is_none() {
        script.statements.extend(Statement::of(&mut offsets, open));
    }
    for comment in waiting {
        script.comments[comment].statement = None;
    }
    script
}

/// Where reading ended, and why.
fn unfinished(
    sql: &str,
    tokens: &[TokenWithSpan],
    error: &sqlparser::tokenizer::TokenizerError,
) -> (usize, &'static str) {
    if error.message.contains("comment") {
        // The parser tells where the file ends.
        let end = tokens.last().map_or(Location { line: 1, column: 1 }, |token| token.span.end);
        return (line_of(end), "a comment that begins with /* never ends");
    }
    let rest = &sql[Offsets::of(sql).at(error.location)..];
    let why = match rest.chars().next() {
        Some('"') => "a name that begins with \" never ends",
        Some('\'') => "a text that begins with ' never ends",
        _ if error.message.contains("identifier") || error.message.contains("delimiter") => {
            "a name that begins with \" never ends"
        }
        _ => "this is no SQL that both databases read alike",
    };
    (line_of(error.location), why)
}

fn line_of(location: Location) -> usize {
    usize::try_from(location.line).unwrap_or(1).max(1)
}

/// Places of a text in bytes, asked for from its beginning to its end.
struct Offsets<'a> {
    sql: &'a str,
    reached: Location,
    at: usize,
}

impl<'a> Offsets<'a> {
    const fn of(sql: &'a str) -> Self {
        Self { sql, reached: Location { line: 1, column: 1 }, at: 0 }
    }

    fn at(&mut self, location: Location) -> usize {
        for c in self.sql[self.at..].chars() {
            if self.reached >= location {
                break;
            }
            self.at += c.len_utf8();
            self.reached.column += 1;
            if c == '\n' {
                self.reached = Location { line: self.reached.line + 1, column: 1 };
            }
        }
        self.at
    }
}

impl Statement {
    fn of(offsets: &mut Offsets<'_>, tokens: Vec<TokenWithSpan>) -> Option<Self> {
        let (first, last) = (tokens.first()?, tokens.last()?);
        let (start, end) = (offsets.at(first.span.start), offsets.at(last.span.end));
        let text = offsets.sql.get(start..end)?.to_owned();
        let parsed = parse(Parser::new(&Portable).with_tokens_with_locations(tokens.clone()));
        let said = parsed.filter(|_| tokens.iter().all(is_plain)).and_then(|parsed| said_by(&parsed));
        Some(Self { line: line_of(first.span.start), kind: kind(&tokens), said, text, tokens })
    }

    /// Its text, from its first word to its last.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether PostgreSQL understands it, as far as its grammar decides.
    #[must_use]
    pub fn is_read_by_postgres(&self) -> bool {
        let dialect = PostgreSqlDialect {};
        Parser::new(&dialect).try_with_sql(&self.text).ok().and_then(parse).is_some()
    }

    /// Whether it begins with a word that SQL has, as far as the parser knows.
    #[must_use]
    pub fn begins_with_keyword(&self) -> bool {
        let first = self.tokens.first().map(|token| &token.token);
        matches!(first, Some(Token::Word(word)) if word.quote_style.is_none() && word.keyword != Keyword::NoKeyword)
    }

    /// The line on which another statement begins although none has ended before: no database takes the two for one.
    #[must_use]
    pub fn runs_into(&self) -> Option<usize> {
        if self.said.is_some() || self.is_read_by_postgres() {
            return None;
        }
        let mut depth = 0_usize;
        self.tokens.iter().enumerate().skip(1).find_map(|(at, token)| {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            let begins =
                matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && begins_one(word.keyword));
            let is_whole =
                || parse(Parser::new(&Portable).with_tokens_with_locations(self.tokens[..at].to_vec())).is_some();
            (begins && depth == 0 && is_whole()).then(|| line_of(token.span.start))
        })
    }

    /// The line of a word of it, where it has that word.
    #[must_use]
    pub fn line_of_word(&self, word: &str) -> Option<usize> {
        self.lines_of_word(word).first().copied()
    }

    /// The line of each place where it has a word.
    #[must_use]
    pub fn lines_of_word(&self, word: &str) -> Vec<usize> {
        let is_it = |token: &&TokenWithSpan| matches!(&token.token, Token::Word(found) if found.value.eq_ignore_ascii_case(word));
        self.tokens.iter().filter(is_it).map(|token| line_of(token.span.start)).collect()
    }

    /// The name behind `CREATE TABLE`.
    #[must_use]
    pub fn is_table(&self) -> bool {
        matches!(self.tokens.get(1).map(|token| &token.token), Some(Token::Word(word)) if word.keyword == Keyword::TABLE)
    }
}

/// Whether a statement begins with a word.
const fn begins_one(word: Keyword) -> bool {
    matches!(
        word,
        Keyword::INSERT
            | Keyword::UPDATE
            | Keyword::DELETE
            | Keyword::SELECT
            | Keyword::CREATE
            | Keyword::ALTER
            | Keyword::DROP
            | Keyword::WITH
    )
}

/// Why a statement must not be carried out; `None`: it may. It is looked at by itself, so that what is around it
/// changes nothing: one statement, of words, numbers, texts and signs that SQLite reads to the same end.
pub(in crate::store) fn danger(text: &str) -> Option<&'static str> {
    let Ok(tokens) = Tokenizer::new(&Portable, text).tokenize_with_location() else {
        return Some("it is no SQL that both databases read alike");
    };
    if !matches!(kind(&tokens), Kind::Change | Kind::Create) {
        return Some("only INSERT, UPDATE, DELETE and CREATE are tried");
    }
    (!tokens.iter().all(is_plain)).then_some("it has signs of one database alone")
}

/// Whether a token is one that SQLite reads to the same end.
const fn is_plain(token: &TokenWithSpan) -> bool {
    matches!(
        token.token,
        Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Whitespace(_)
            | Token::Comma
            | Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::Gt
            | Token::LtEq
            | Token::GtEq
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat
            | Token::LParen
            | Token::RParen
            | Token::Period
    )
}

fn kind(tokens: &[TokenWithSpan]) -> Kind {
    let reaches_out = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) => {
            let lower = word.value.to_lowercase();
            let is_its_own = matches!(lower.as_str(), "load_extension" | "temp" | "temporary");
            is_its_own || lower.starts_with("pragma_") || lower.starts_with("sqlite_")
        }
        _ => false,
    };
    if tokens.iter().any(reaches_out) {
        return Kind::Outside;
    }
    let words = tokens.iter().filter_map(|token| match &token.token {
        Token::Word(word) => Some((word.quote_style.is_none(), word.value.to_lowercase())),
        Token::Whitespace(_) => None,
        _ => Some((false, String::new())),
    });
    let words: Vec<String> = words.take(3).map(|(is_bare, word)| if is_bare { word } else { String::new() }).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["insert" | "update" | "delete" | "with", ..] => Kind::Change,
        ["create", "table" | "index", ..] | ["create", "unique", "index"] => Kind::Create,
        ["begin" | "commit" | "rollback" | "start" | "end" | "savepoint" | "release" | "abort", ..] => {
            Kind::Transaction
        }
        ["attach" | "detach" | "pragma" | "vacuum" | "load" | "copy", ..] => Kind::Outside,
        _ => Kind::Other,
    }
}

/// One statement and nothing behind it.
fn parse(mut parser: Parser<'_>) -> Option<Parsed> {
    let parsed = parser.parse_statement().ok()?;
    (parser.peek_token().token == Token::EOF).then_some(parsed)
}

fn said_by(parsed: &Parsed) -> Option<Said> {
    let mut said = match parsed {
        Parsed::Insert(insert) => insert_said(insert)?,
        Parsed::Update(update) => {
            let mut said = Said { table: table_of(&update.table)?, verb: Some("changes"), ..Said::default() };
            let mut columns = Vec::new();
            let mut values = Vec::new();
            for assignment in &update.assignments {
                if let AssignmentTarget::ColumnName(name) = &assignment.target {
                    columns.push(last_name(name)?.value.to_lowercase());
                    values.push(value(&assignment.value));
                }
            }
            (said.columns, said.rows) = (Some(columns), vec![values]);
            said.condition(update.selection.as_ref());
            if update.or.is_some() {
                said.warning = Some("UPDATE OR … is SQLite's alone".to_owned());
            }
            said
        }
        Parsed::Delete(delete) => {
            let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
            let mut said = Said { table: table_of(tables.first()?)?, verb: Some("deletes"), ..Said::default() };
            said.condition(delete.selection.as_ref());
            said
        }
        _ => Said::default(),
    };
    let warning = of_expressions(parsed, &mut said.quoted);
    let with_schema =
        visit_relations(
            parsed,
            |name: &ObjectName| {
                if name.0.len() > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
    let schema =
        with_schema.is_break().then(|| "a name with a schema before it is not the same on both databases".to_owned());
    said.warning = said.warning.or(schema).or(warning);
    Some(said)
}

impl Said {
    fn condition(&mut self, condition: Option<&Expr>) {
        self.has_condition = condition.is_some();
        if let Some(condition) = condition {
            clients_of(condition, &mut self.clients);
        }
    }
}

fn insert_said(insert: &Insert) -> Option<Said> {
    let TableObject::TableName(table) = &insert.table else { return None };
    let mut said = Said { table: last_name(table)?.value.to_lowercase(), ..Said::default() };
    if !insert.columns.is_empty() {
        let columns = insert.columns.iter().map(|column| Some(last_name(column)?.value.to_lowercase()));
        said.columns = Some(columns.collect::<Option<Vec<String>>>()?);
    }
    if let Some(SetExpr::Values(values)) = insert.source.as_deref().map(|query| query.body.as_ref()) {
        said.rows = values.rows.iter().map(|row| row.content.iter().map(value).collect()).collect();
    }
    if insert.or.is_some() || insert.replace_into || insert.ignore {
        said.warning = Some("INSERT OR … is SQLite's alone; use ON CONFLICT DO NOTHING".to_owned());
    }
    Some(said)
}

fn last_name(name: &ObjectName) -> Option<&Ident> {
    name.0.last()?.as_ident()
}

fn table_of(table: &TableWithJoins) -> Option<String> {
    let TableFactor::Table { name, .. } = &table.relation else { return None };
    Some(last_name(name)?.value.to_lowercase())
}

/// Functions of one database alone; gathers names in double quotes.
fn of_expressions(parsed: &Parsed, quoted: &mut Vec<(String, usize)>) -> Option<String> {
    let mut warning = None;
    let _ = visit_expressions(parsed, |expression: &Expr| {
        match expression {
            Expr::Identifier(Ident { value, quote_style: Some('"'), span }) => {
                quoted.push((value.clone(), line_of(span.start)));
            }
            Expr::Function(function) => {
                let name = function.name.to_string().to_lowercase();
                if !PORTABLE_FUNCTIONS.contains(&name.as_str()) && warning.is_none() {
                    warning = Some(format!("{name} is not the same on both databases; write its value out"));
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    warning
}

/// The clients that a condition demands: `client_id = 'x'` or `client_id IN ('x', 'y')`, alone or among others that must hold
/// too.
fn clients_of(condition: &Expr, clients: &mut Vec<String>) {
    let is_client_id = |expression: &Expr| match expression {
        Expr::Identifier(name) => name.value.eq_ignore_ascii_case("client_id"),
        Expr::CompoundIdentifier(names) => {
            names.last().is_some_and(|name| name.value.eq_ignore_ascii_case("client_id"))
        }
        _ => false,
    };
    match condition {
        Expr::Nested(inside) => clients_of(inside, clients),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            clients_of(left, clients);
            clients_of(right, clients);
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } if is_client_id(left) => clients.extend(text(right)),
        Expr::In { expr, target: InTarget::List(list), negated: false, .. } if is_client_id(expr) => {
            clients.extend(list.iter().filter_map(text));
        }
        _ => {}
    }
}

fn text(expression: &Expr) -> Option<String> {
    match value(expression).literal {
        Literal::Text(text) => Some(text),
        _ => None,
    }
}

fn value(expression: &Expr) -> Value {
    let literal = match expression {
        Expr::Value(value) => match &value.value {
            SqlValue::SingleQuotedString(text) => Literal::Text(text.clone()),
            SqlValue::Number(..) => Literal::Number,
            SqlValue::Null => Literal::Null,
            _ => Literal::Computed,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => match value(expr).literal {
            Literal::Number => Literal::Number,
            _ => Literal::Computed,
        },
        _ => Literal::Computed,
    };
    Value { literal, line: line_of(expression.span().start) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_an_insert_are_read_whatever_their_layout() {
        let script = read(
            "insert INTO Clients (client_id,\n \"pkce\") VALUES ('a', -1), -- x\n ('b;''', NULL) ON CONFLICT (client_id) DO NOTHING;",
        );
        let said = script.statements[0].said.as_ref().unwrap();
        assert_eq!((said.table.as_str(), said.columns.as_ref().unwrap()[1].as_str()), ("clients", "pkce"));
        assert_eq!(said.rows[0][1].literal, Literal::Number);
        assert_eq!(said.rows[1][0], Value { literal: Literal::Text("b;'".into()), line: 3 });
        assert_eq!(said.rows[1][1].literal, Literal::Null);
        assert_eq!(said.warning, None);
        assert!(script.statements[0].text().ends_with("DO NOTHING"));
    }

    #[test]
    fn the_clients_of_a_condition_are_those_that_it_demands() {
        let clients = |condition: &str| {
            let script = read(&format!("DELETE FROM clients WHERE {condition}"));
            script.statements[0].said.as_ref().unwrap().clients.join(" ")
        };
        assert_eq!(clients("client_id = 'x' AND (a = 1 OR b > 5)"), "x");
        assert_eq!(clients("clients.client_id IN ('x', 'y')"), "x y");
        assert_eq!(clients("client_id = 'x' OR b = 1"), "");
        assert_eq!(clients("client_id IN (SELECT x FROM y)"), "");
    }

    #[test]
    fn a_comment_belongs_to_the_statement_that_it_is_in_or_before() {
        let text = "-- 0\n\n-- 0\nINSERT -- 0\n INTO t VALUES (1); -- 0\n-- 1\nDELETE FROM t; /* 1 */ DELETE FROM u;;\n-- 3\n\
                    UPDATE t SET a = 1 -- 3\n-- 3\n";
        let script = read(text);
        for comment in &script.comments {
            assert_eq!(comment.statement, comment.text.trim().parse().ok(), "line {}", comment.line);
        }
        assert_eq!((script.comments.len(), script.statements.len()), (9, 4));
        assert_eq!(read("DELETE FROM t;\n-- nothing follows").comments[0].statement, None);
        assert_eq!(read("-- alone").comments[0].statement, None);
    }

    #[test]
    fn what_never_ends_is_a_fault_where_it_begins() {
        for (text, line) in [("'a", 1), ("1\n\"a", 2), ("\n\n/* a\n\n", 3), ("'a''", 1)] {
            assert_eq!(read(text).fault.map(|(line, _)| line), Some(line), "{text}");
        }
    }

    #[test]
    fn what_is_of_one_database_alone_is_told() {
        let warning = |sql: &str| read(sql).statements[0].said.as_ref().and_then(|said| said.warning.clone());
        for (sql, part) in [
            ("INSERT OR IGNORE INTO t VALUES (1)", "SQLite"),
            ("INSERT INTO public.t VALUES (1)", "schema"),
            ("UPDATE t SET a = strftime('%s')", "strftime"),
            ("DELETE FROM t WHERE a < unixepoch()", "unixepoch"),
        ] {
            assert!(warning(sql).is_some_and(|why| why.contains(part)), "{sql}: {:?}", warning(sql));
        }
        for sql in [
            "INSERT INTO t SELECT UPPER(a) || 'x' FROM u WHERE b IN (SELECT c FROM v)",
            "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1",
            "UPDATE t SET a = CASE WHEN b IS NULL THEN 'x' ELSE CAST(c AS TEXT) END WHERE d BETWEEN 1 AND 2",
        ] {
            assert_eq!(warning(sql), None, "{sql}");
            assert!(read(sql).statements[0].said.is_some(), "{sql}");
        }
        for sql in ["UPDATE t SET a = b::text", "UPDATE t SET a = 1 WHERE b == 2", "INSERT INTO t VALUES (E'a\\n')"] {
            assert!(read(sql).statements[0].said.is_none(), "{sql}");
        }
    }

    #[test]
    fn only_one_plain_statement_that_changes_rows_or_makes_a_table_may_be_carried_out() {
        for harmless in [
            "INSERT INTO t VALUES ('ATTACH; PRAGMA', \"a;b\") -- ; VACUUM",
            "WITH a AS (SELECT 1) DELETE FROM t",
            "CREATE TABLE mine (a TEXT)",
            "create unique index i ON t (a)",
        ] {
            assert_eq!(danger(harmless), None, "{harmless}");
        }
        for text in [
            "ATTACH 'x.db' AS y",
            "PRAGMA foreign_keys = OFF",
            "VACUUM INTO 'x.db'",
            "VACUUM",
            "EXPLAIN INSERT INTO t VALUES (1)",
            "CREATE VIRTUAL TABLE t USING fts5(a)",
            "CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1",
            "CREATE TEMP TABLE t (a TEXT)",
            "INSERT INTO t VALUES (1); ATTACH 'x.db' AS y",
            "INSERT INTO t VALUES ($a$b; ATTACH 'x.db' AS y; $a$)",
            "INSERT INTO t SELECT load_extension('x')",
            "INSERT INTO t SELECT \"load_extension\"('x')",
            "INSERT INTO t SELECT 1 FROM pragma_user_version",
            "INSERT INTO t VALUES (/* /* */ 1); ATTACH 'x' AS y; /* */ */ 2)",
            "INSERT INTO t VALUES ([a;b], `c`)",
            "INSERT INTO t VALUES ('a\\'); ATTACH 'x.db' AS y; --')",
            "INSERT INTO t VALUES ('a",
            "-- x\rATTACH 'x.db' AS y",
            "",
        ] {
            assert!(danger(text).is_some(), "{text}");
        }
    }
}
