//! Which tables and columns there are and what a column takes, read from the migrations that the binary carries: what
//! the lint says is what the database will say, in the version that is linted with. Which words a column takes, the
//! schema does not say: that is `protocol/columns.rs`.

use super::lexer::{self, Placed, Token};
use super::statements::{Literal, split};
use crate::store::migrations::built_in;
use std::collections::BTreeMap;

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) is_number: bool,
    /// Whether a row must say something.
    pub(super) is_required: bool,
    pub(super) least: Option<i64>,
    pub(super) most: Option<i64>,
    pub(super) default: Literal,
}

/// A table.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    /// The columns that name a row.
    pub(super) key: Vec<String>,
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Every table by its name.
pub(super) fn tables() -> BTreeMap<String, Table> {
    let mut tables = BTreeMap::new();
    for (_, _, text) in built_in() {
        let lexed = lexer::read(text);
        for statement in split(&lexed.tokens) {
            read(statement, &mut tables);
        }
    }
    tables
}

fn read(tokens: &[Placed], tables: &mut BTreeMap<String, Table>) {
    let plain: Vec<&Token> = tokens.iter().map(|placed| &placed.token).collect();
    match plain.as_slice() {
        [first, second, Token::Word(name), Token::Sign('('), inside @ .., Token::Sign(')')]
            if is(first, "create") && is(second, "table") =>
        {
            let mut table = Table::default();
            for item in split_at_commas(inside) {
                take_item(item, &mut table);
            }
            tables.insert(name.clone(), table);
        }
        [first, second, Token::Word(name), third, fourth, item @ ..]
            if is(first, "alter") && is(second, "table") && is(third, "add") && is(fourth, "column") =>
        {
            take_item(item, tables.entry(name.clone()).or_default());
        }
        _ => {}
    }
}

fn is(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found == word)
}

fn split_at_commas<'a, 'b>(tokens: &'a [&'b Token]) -> Vec<&'a [&'b Token]> {
    let mut found = Vec::new();
    let (mut from, mut depth) = (0, 0_i64);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth -= 1,
            Token::Sign(',') if depth == 0 => {
                found.push(&tokens[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&tokens[from..]);
    found
}

fn take_item(item: &[&Token], table: &mut Table) {
    let [Token::Word(first), rest @ ..] = item else { return };
    match first.as_str() {
        "primary" => {
            let names = rest.iter().filter_map(|token| match token {
                Token::Word(word) if word != "key" => Some(word.clone()),
                _ => None,
            });
            table.key = names.collect();
        }
        "unique" | "check" | "foreign" | "constraint" => {}
        name => {
            if rest.windows(2).any(|pair| is(pair[0], "primary") && is(pair[1], "key")) {
                table.key = vec![name.to_owned()];
            }
            table.columns.push(column(name, rest));
        }
    }
}

fn column(name: &str, rest: &[&Token]) -> Column {
    let position = |word: &str| rest.iter().position(|token| is(token, word));
    let number_behind = |at: usize| match (rest.get(at), rest.get(at + 1)) {
        (Some(Token::Number(text)), _) => text.parse().ok(),
        (Some(Token::Sign('-')), Some(Token::Number(text))) => text.parse::<i64>().ok().map(|number| -number),
        _ => None,
    };
    let default = match position("default").and_then(|at| rest.get(at + 1)) {
        Some(Token::Text(text)) => Literal::Text(text.clone()),
        Some(Token::Number(text)) => text.parse().map_or(Literal::Computed, Literal::Number),
        _ => Literal::Null,
    };
    let is_required = (rest.windows(2).any(|pair| is(pair[0], "not") && is(pair[1], "null"))
        || position("primary").is_some())
        && default == Literal::Null;
    let mut column = Column {
        name: name.to_owned(),
        is_number: rest.first().is_some_and(|token| is(token, "bigint") || is(token, "integer")),
        is_required,
        least: None,
        most: None,
        default,
    };
    // CHECK (column BETWEEN a AND b), CHECK (column >= a); a check of LENGTH(column) is neither.
    for (at, token) in rest.iter().enumerate().filter(|(_, token)| is(token, name)) {
        let _ = token;
        match rest.get(at + 1) {
            Some(next) if is(next, "between") => {
                column.least = number_behind(at + 2);
                column.most = number_behind(at + 4);
            }
            Some(Token::Sign('>')) => column.least = number_behind(at + 3),
            _ => {}
        }
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::columns;

    #[test]
    fn the_schema_is_read_from_the_migrations() {
        let tables = tables();
        let clients = &tables["clients"];
        assert_eq!(clients.key, ["client_id"]);
        let pkce = clients.column("pkce").unwrap();
        assert_eq!(pkce.default, Literal::Text("required".into()));
        let lifetime = clients.column("code_lifetime").unwrap();
        assert_eq!((lifetime.least, lifetime.most, lifetime.is_number), (Some(5), Some(600), true));
        assert_eq!(clients.column("default_max_age").unwrap().least, Some(0));
        assert!(clients.column("client_id").unwrap().is_required && !pkce.is_required);
        assert_eq!(clients.column("client_id").unwrap().least, None, "that is the length");
        assert_eq!(tables["client_secrets"].key, ["client_id", "secret_hash"]);
        assert!(tables["client_secrets"].column("secret_hash").unwrap().is_required);
        assert_eq!(tables["client_secrets"].column("client_secret_expires_at").unwrap().default, Literal::Number(0));
        assert!(tables.contains_key("users") && tables["users"].column("password_hash").is_some());
        assert!(tables.values().all(|table| !table.columns.is_empty()), "{tables:?}");
    }

    #[test]
    fn every_column_of_words_is_there_with_a_default_that_is_one_of_them() {
        let tables = tables();
        for column in columns::ALL {
            let known = tables["clients"].column(column.name()).unwrap_or_else(|| panic!("{}", column.name()));
            let Literal::Text(default) = &known.default else { panic!("{}: {known:?}", column.name()) };
            assert_eq!(column.fault(default), None, "{}", column.name());
        }
    }

    /// SQLite cannot change a CHECK, and later versions know more words.
    #[test]
    fn no_column_has_a_check_on_a_list_of_words() {
        for (_, name, text) in built_in() {
            let lexed = lexer::read(text);
            let tokens: Vec<&Token> = lexed.tokens.iter().map(|placed| &placed.token).collect();
            let in_list = tokens.windows(2).any(|pair| is(pair[0], "in") && *pair[1] == Token::Sign('('));
            assert!(!in_list, "{name}");
        }
    }

    #[test]
    fn a_column_that_a_later_migration_adds_is_read() {
        let mut tables = BTreeMap::from([("clients".to_owned(), Table::default())]);
        let text = "ALTER TABLE clients ADD COLUMN stale_after BIGINT NOT NULL DEFAULT 600 CHECK (stale_after >= 60);";
        for statement in split(&lexer::read(text).tokens) {
            read(statement, &mut tables);
        }
        let column = tables["clients"].column("stale_after").unwrap();
        assert_eq!((column.least, &column.default), (Some(60), &Literal::Number(600)));
    }
}
