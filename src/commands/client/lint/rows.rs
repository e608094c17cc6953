//! What the files come to: a small table store without a database, in which every row remembers where it was written.

use super::super::acceptance::Acceptance;
use super::accepted::Order;
use super::files::File;
use super::lexer::{self, Token};
use super::rules::{self, Fault};
use super::schema::Table;
use super::statements::{self, Filter, Literal, Name, Statement, Value, split};
use super::{Finding, Level};
use std::collections::{BTreeMap, BTreeSet};

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
    /// The statement, counted through all files; 0: outside of them.
    pub(super) statement: usize,
}

impl Place {
    /// Another line of the same statement.
    fn at_line(&self, line: usize) -> Self {
        Self { line, ..self.clone() }
    }
}

/// A value of a row, and where it was written; a default stands where its row does.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) literal: Literal,
    pub(super) place: Place,
}

/// A row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) table: String,
    pub(super) cells: BTreeMap<String, Cell>,
    pub(super) place: Place,
}

impl Row {
    /// A cell's text, where it is one.
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        match &self.cells.get(column)?.literal {
            Literal::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Everything that was read so far.
pub(super) struct Rows {
    tables: BTreeMap<String, Table>,
    /// Tables of the admin's own.
    foreign: BTreeSet<String>,
    pub(super) all: Vec<Row>,
    /// Clients that were registered at any time.
    registered: BTreeSet<String>,
    /// Mentions of clients, with whether the client was registered by then.
    mentioned: Vec<(String, Place, bool)>,
    /// Clients of which rows may be missing or gone: what was not understood, or depends on what only a database knows.
    pub(super) uncertain: BTreeSet<String>,
    /// The same for all of them.
    pub(super) all_uncertain: bool,
    findings: Vec<Finding>,
    /// How many statements were read.
    statements: usize,
    /// The clients that each statement is about.
    clients_of_statements: BTreeMap<usize, BTreeSet<String>>,
    /// The last statement that changed what there is of a client.
    last_changes: BTreeMap<String, usize>,
    orders: Vec<Order>,
}

impl Rows {
    pub(super) fn new(tables: BTreeMap<String, Table>) -> Self {
        Self {
            tables,
            foreign: BTreeSet::new(),
            all: Vec::new(),
            registered: BTreeSet::new(),
            mentioned: Vec::new(),
            uncertain: BTreeSet::new(),
            all_uncertain: false,
            findings: Vec::new(),
            statements: 0,
            clients_of_statements: BTreeMap::new(),
            last_changes: BTreeMap::new(),
            orders: Vec::new(),
        }
    }

    /// Whether that client is registered when all is applied.
    pub(super) fn registers(&self, client_id: &str) -> bool {
        self.all.iter().any(|row| row.table == "clients" && row.text("client_id") == Some(client_id))
    }

    fn find(
        &mut self,
        place: &Place,
        level: Level,
        code: &'static str,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) {
        let is_acceptable = level == Level::Warning;
        self.find_fault(place, Fault { level, code, why: why.into(), mend: mend.into(), is_acceptable });
    }

    fn find_fault(&mut self, place: &Place, fault: Fault) {
        self.findings.push(Finding {
            file: place.file.clone(),
            line: place.line,
            statement: place.statement,
            level: fault.level,
            code: fault.code,
            why: fault.why,
            mend: fault.mend,
            is_acceptable: fault.is_acceptable,
        });
    }

    /// Reads a file as if it were applied.
    pub(super) fn take(&mut self, file: &File) {
        let lexed = lexer::read(&file.text);
        let at = |line: usize| Place { file: file.name.clone(), line, statement: 0 };
        // The one comment that is an order.
        if file.text.starts_with("-- no-transaction") {
            self.find(
                &at(1),
                Level::Warning,
                "transaction",
                "-- no-transaction leaves a file that fails half applied",
                "take that line out",
            );
        }
        for comment in &lexed.comments {
            let statement =
                statements::statement_of(&lexed.tokens, comment).map_or(0, |number| self.statements + number + 1);
            for (offset, line) in comment.text.lines().enumerate() {
                self.order(Place { statement, ..at(comment.line + offset) }, line);
            }
            for (offset, why) in rules::secrets_in_comment(&comment.text) {
                self.find(
                    &at(comment.line + offset),
                    Level::Error,
                    "secret-in-comment",
                    why,
                    "take it out, and rotate that secret: it is in the history now",
                );
            }
        }
        for placed in &lexed.tokens {
            if let Token::Text(text) | Token::Name(text) = &placed.token
                && rules::holds_secret(text)
            {
                self.find(
                    &at(placed.line),
                    Level::Error,
                    "secret-in-file",
                    "it holds a secret or token as it is",
                    "take it out, and rotate that secret: it is in the history now",
                );
            }
        }
        if let Some((line, why)) = lexed.fault {
            self.find(&at(line), Level::Error, "syntax", why, "close it");
            self.all_uncertain = true;
        }
        let mut statements = split(&lexed.tokens);
        let first = self.statements + 1;
        self.statements += statements.len();
        if lexed.fault.is_some() && lexed.tokens.last().is_some_and(|placed| placed.token != Token::Sign(';')) {
            // What is said of the place that never ends is enough for its statement.
            statements.pop();
        }
        for (number, tokens) in statements.into_iter().enumerate() {
            let place = Place { statement: first + number, ..at(tokens[0].line) };
            match statements::read(tokens) {
                Statement::Insert { table, columns, rows, may_be_there } => {
                    self.insert(&place, &table, columns.as_deref(), &rows, may_be_there);
                }
                Statement::Update { table, changes, filter } => self.update(&place, &table, &changes, &filter),
                Statement::Delete { table, filter } => self.delete(&place, &table, &filter),
                Statement::CreateTable { table } => {
                    self.foreign.insert(table.text);
                    self.not_understood(&place, "a table of your own is none of Hallpass's business");
                }
                Statement::Transaction => self.find(
                    &place,
                    Level::Error,
                    "transaction",
                    "each file is one transaction already, and SQLite refuses another within it",
                    "leave BEGIN and COMMIT out",
                ),
                Statement::Other(why) => {
                    self.all_uncertain = true;
                    self.not_understood(&place, why);
                }
            }
        }
    }

    /// Reads a line of a comment, which may be meant for us.
    fn order(&mut self, place: Place, line: &str) {
        match Acceptance::read(line) {
            None => {}
            Some(Ok(acceptance)) => self.orders.push(Order { place, acceptance, is_past: false }),
            Some(Err(why)) => {
                let mend = "write -- hallpass: accept CODE: REASON before the statement or at its end";
                self.find_fault(&Place { statement: 0, ..place }, Fault::error("acceptance", why, mend));
            }
        }
    }

    fn not_understood(&mut self, place: &Place, why: &str) {
        let mend =
            "a person must review it; migrations of clients need INSERT, UPDATE and DELETE with plain values only";
        self.find(place, Level::Warning, "not-understood", why, mend);
    }

    /// Whether rows of that table are kept; says what is wrong where they are not.
    fn knows(&mut self, place: &Place, table: &Name) -> bool {
        if self.tables.contains_key(&table.text) {
            return true;
        }
        if !self.foreign.contains(&table.text) {
            let near = nearest(&table.text, self.tables.keys());
            self.find(place, Level::Error, "unknown-table", format!("there is no table {}", table.text), near);
        }
        false
    }

    /// Whether a table has that column; says so where it has not.
    fn has(&mut self, place: &Place, table: &str, column: &Name) -> bool {
        let Some(known) = self.tables.get(table) else { return false };
        if known.column(&column.text).is_some() {
            return true;
        }
        let near = nearest(&column.text, known.columns.iter().map(|column| &column.name));
        let place = place.at_line(column.line);
        self.find(&place, Level::Error, "unknown-column", format!("{table} has no column {}", column.text), near);
        false
    }

    fn insert(
        &mut self,
        place: &Place,
        table: &Name,
        columns: Option<&[Name]>,
        rows: &[Vec<Value>],
        may_be_there: bool,
    ) {
        if !self.knows(place, table) {
            return;
        }
        let columns: Vec<Name> = match columns {
            Some(columns) => columns.to_vec(),
            None => self.tables[&table.text]
                .columns
                .iter()
                .map(|column| Name { text: column.name.clone(), line: place.line })
                .collect(),
        };
        for column in &columns {
            self.has(place, &table.text, column);
        }
        for values in rows {
            let line = values.first().map_or(place.line, |value| value.line);
            let place = place.at_line(line);
            if values.len() != columns.len() {
                let why = format!("{} columns and {} values", columns.len(), values.len());
                self.find(&place, Level::Error, "syntax", why, "give each column its value");
                self.all_uncertain = true;
                continue;
            }
            self.insert_row(&place, &table.text, &columns, values, may_be_there);
        }
    }

    fn insert_row(&mut self, place: &Place, table: &str, columns: &[Name], values: &[Value], may_be_there: bool) {
        let known = &self.tables[table];
        let mut row = Row { table: table.to_owned(), cells: BTreeMap::new(), place: place.clone() };
        let mut missing = Vec::new();
        for column in &known.columns {
            let given = columns.iter().position(|name| name.text == column.name).map(|at| &values[at]);
            let cell = match given {
                Some(value) if value.literal != Literal::Default => {
                    Cell { literal: value.literal.clone(), place: place.at_line(value.line) }
                }
                _ => Cell { literal: column.default.clone(), place: place.clone() },
            };
            if column.is_required && cell.literal == Literal::Null {
                missing.push(column.name.clone());
            }
            row.cells.insert(column.name.clone(), cell);
        }
        for column in missing {
            self.find(place, Level::Error, "missing-value", format!("{table} must have a {column}"), "give it one");
        }
        let given: Vec<String> = columns.iter().map(|column| column.text.clone()).collect();
        self.check_cells(&row, &given);
        if self.has_twin(&row, may_be_there) {
            return;
        }
        if let Some(client_id) = row.text("client_id").map(str::to_owned) {
            if table == "clients" {
                self.is_about(place, &client_id);
                self.registered.insert(client_id);
            } else if table.starts_with("client_") {
                self.mention(&client_id, place);
            }
        } else if table == "clients" || table.starts_with("client_") {
            self.all_uncertain = true;
        }
        self.all.push(row);
    }

    fn is_about(&mut self, place: &Place, client_id: &str) {
        self.clients_of_statements.entry(place.statement).or_default().insert(client_id.to_owned());
    }

    /// Notes that a statement changes what there is of a client.
    fn changes(&mut self, place: &Place, client_id: &str) {
        self.is_about(place, client_id);
        self.last_changes.insert(client_id.to_owned(), place.statement);
    }

    fn mention(&mut self, client_id: &str, place: &Place) {
        self.is_about(place, client_id);
        self.mentioned.push((client_id.to_owned(), place.clone(), self.registered.contains(client_id)));
    }

    /// Values against their columns.
    fn check_cells(&mut self, row: &Row, columns: &[String]) {
        let table = &self.tables[&row.table];
        let mut found = Vec::new();
        for name in columns {
            let (Some(column), Some(cell)) = (table.column(name), row.cells.get(name)) else { continue };
            found.extend(rules::cell_fault(&row.table, column, &cell.literal).map(|fault| (fault, cell.place.clone())));
        }
        for (fault, place) in found {
            self.find_fault(&place, fault);
        }
    }

    /// Whether a row with that key is there already, which is a fault unless the statement says what to do then.
    fn has_twin(&mut self, row: &Row, may_be_there: bool) -> bool {
        let key = self.tables[&row.table].key.clone();
        let values: Option<Vec<&str>> = key.iter().map(|column| row.text(column)).collect();
        let Some(values) = values.filter(|values| !values.is_empty()) else { return false };
        let twin = self.all.iter().find(|other| {
            other.table == row.table && key.iter().zip(&values).all(|(column, value)| other.text(column) == Some(value))
        });
        let Some(first) = twin.map(|twin| twin.place.clone()) else { return false };
        if may_be_there {
            return true;
        }
        let (code, what, mend) = if row.table == "clients" {
            (
                "duplicate-client",
                format!("the client {}", values.join(", ")),
                "change it by an UPDATE, or choose another client_id",
            )
        } else {
            ("duplicate-row", format!("this row of {}", row.table), "leave one of them out")
        };
        self.find(
            &row.place,
            Level::Error,
            code,
            format!("{what} is there already, from {}:{}", first.file, first.line),
            mend,
        );
        true
    }

    /// Columns and clients that a `WHERE` names.
    fn check_filter(&mut self, place: &Place, table: &str, filter: &Filter, verb: &str) {
        for column in filter.terms.iter().map(|(column, _)| column).chain(&filter.further) {
            self.has(place, table, column);
        }
        if !filter.is_there {
            let why = format!("without WHERE it {verb} every row of {table}");
            self.find(place, Level::Warning, "every-row", why, "say which: WHERE client_id = '…'");
        }
        if table == "clients" || table.starts_with("client_") {
            for client_id in clients_of(filter) {
                self.mention(&client_id, place);
                self.changes(place, &client_id);
            }
        }
    }

    fn update(&mut self, place: &Place, table: &Name, changes: &[(Name, Value)], filter: &Filter) {
        if !self.knows(place, table) {
            return;
        }
        self.check_filter(place, &table.text, filter, "changes");
        // The values are looked at also where no row of the files is meant.
        let mut written = Row { table: table.text.clone(), cells: BTreeMap::new(), place: place.clone() };
        for (column, value) in changes {
            if self.has(place, &table.text, column) {
                let place = place.at_line(value.line);
                written.cells.insert(column.text.clone(), Cell { literal: value.literal.clone(), place });
            }
        }
        let columns: Vec<String> = written.cells.keys().cloned().collect();
        self.check_cells(&written, &columns);
        let mut matched = Vec::new();
        for row in self.all.iter_mut().filter(|row| row.table == table.text && matches(row, filter)) {
            row.cells.extend(written.cells.iter().map(|(name, cell)| (name.clone(), cell.clone())));
            matched.push(row.clone());
        }
        for client_id in matched.iter().filter_map(|row| row.text("client_id")) {
            self.changes(place, client_id);
        }
        if matched.is_empty() {
            let application_type = clients_of(filter).first().and_then(|id| self.application_type(id));
            for (place, fault) in rules::address_faults(&written, application_type) {
                self.find_fault(&place, fault);
            }
            for (place, fault) in rules::secret_faults(&written).into_iter().chain(rules::word_faults(&written)) {
                self.find_fault(&place, fault);
            }
        }
    }

    fn delete(&mut self, place: &Place, table: &Name, filter: &Filter) {
        if !self.knows(place, table) {
            return;
        }
        self.check_filter(place, &table.text, filter, "deletes");
        if !filter.further.is_empty() || (filter.is_there && filter.terms.is_empty()) {
            // Which rows go depends on more than is known here.
            let clients = clients_of(filter);
            self.all_uncertain |= clients.is_empty();
            self.uncertain.extend(clients);
            return;
        }
        let gone: BTreeSet<String> = self
            .all
            .iter()
            .filter(|row| table.text == "clients" && row.table == "clients" && matches(row, filter))
            .filter_map(|row| row.text("client_id").map(str::to_owned))
            .collect();
        let touched: Vec<String> = self
            .all
            .iter()
            .filter(|row| row.table == table.text && matches(row, filter))
            .filter_map(|row| row.text("client_id").map(str::to_owned))
            .collect();
        for client_id in &touched {
            self.changes(place, client_id);
        }
        // What belongs to a client goes with it (ON DELETE CASCADE).
        self.all.retain(|row| {
            let goes = row.table == table.text && matches(row, filter);
            let follows = row.table.starts_with("client_") && row.text("client_id").is_some_and(|id| gone.contains(id));
            !goes && !follows
        });
    }

    /// A client's `application_type`, as it stands.
    pub(super) fn application_type(&self, client_id: &str) -> Option<&str> {
        let is_it = |row: &&Row| row.table == "clients" && row.text("client_id") == Some(client_id);
        self.all.iter().find(is_it)?.text("application_type")
    }

    /// Everything that was found, with what the rows come to in the end, and the comments that accept something.
    pub(super) fn judge(mut self) -> (Vec<Finding>, Vec<Order>) {
        for (client_id, place, was_there) in std::mem::take(&mut self.mentioned) {
            if !self.registered.contains(&client_id) {
                self.find(
                    &place,
                    Level::Warning,
                    "unknown-client",
                    format!("no file registers the client {client_id}"),
                    "check the spelling; where it was registered by hand, put it into a file",
                );
            } else if !was_there {
                self.find(
                    &place,
                    Level::Error,
                    "client-later",
                    format!("the client {client_id} is registered only further down or in a later file"),
                    "move this behind it",
                );
            }
        }
        for (place, fault) in rules::judge(&self) {
            self.find_fault(&place, fault);
        }
        for order in &mut self.orders {
            let number = order.place.statement;
            let clients = self.clients_of_statements.get(&number).into_iter().flatten();
            order.is_past = clients.filter_map(|client_id| self.last_changes.get(client_id)).any(|last| *last > number);
        }
        (self.findings, self.orders)
    }
}

/// The clients that a `WHERE` names.
fn clients_of(filter: &Filter) -> Vec<String> {
    let of_client = filter.terms.iter().filter(|(column, _)| column.text == "client_id");
    let texts = of_client.flat_map(|(_, values)| values).filter_map(|value| match &value.literal {
        Literal::Text(text) => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

/// Whether a row may be meant: conditions that cannot be judged here count as met.
fn matches(row: &Row, filter: &Filter) -> bool {
    filter.terms.iter().all(|(column, values)| match row.cells.get(&column.text).map(|cell| &cell.literal) {
        Some(Literal::Computed) | None => true,
        Some(literal) => values.iter().any(|value| value.literal == *literal),
    })
}

/// What was probably meant.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let best = known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match best {
        Some((score, candidate)) if score > 0.8 => format!("did you mean {candidate}?"),
        _ => "migrations/0001_clients.sql has the tables and columns".to_owned(),
    }
}
