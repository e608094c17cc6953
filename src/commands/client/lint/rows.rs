//! What the files come to: each statement tried in the scratch database, and for each row who wrote it and each of its
//! values, so that what is found about them has a line.

use super::accepted::Order;
use super::files::File;
use super::{Finding, Place, refused, secrets};
use crate::commands::acceptance::Acceptance;
use crate::commands::judge::{self, Fault};
use crate::protocol::response::ApplicationType;
use crate::store::StoreError;
use crate::store::clients::{self, ClaimRow};
use crate::store::scratch::{Change, Leniency, Refusal, Scratch, What};
use crate::store::statements::{self, Kind, Literal, Said, Script, Statement};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const IN_HISTORY: &str = "take it out, and rotate that secret: it is in the history now";
const REVIEW_IT: &str =
    "a reviewer must look at it; migrations of clients need INSERT, UPDATE and DELETE that both databases understand";

/// The tables whose values are judged.
const JUDGED: &[&str] = &[
    "clients",
    "client_secrets",
    "client_redirect_uris",
    "client_post_logout_redirect_uris",
    "client_audiences",
    "client_claims",
    "user_claims",
    "group_claims",
    "scopes",
    "users",
];

/// A row of `client_claims` as a node reads it.
fn claim_row(row: &BTreeMap<String, Value>) -> ClaimRow {
    let optional = |column: &str| row.get(column).and_then(Value::as_str).map(str::to_owned);
    let text = |column: &str| optional(column).unwrap_or_default();
    ClaimRow {
        claim: text("claim"),
        source: text("source"),
        value: optional("value"),
        shape: text("shape"),
        scope: optional("scope"),
        places: text("places"),
        starts_with: text("starts_with"),
        prefix: text("prefix"),
    }
}

/// Who wrote a row, and each of its values; a default is where its row is.
struct Origin {
    place: Place,
    columns: BTreeMap<String, Place>,
}

impl Origin {
    fn of(&self, column: &str) -> Place {
        self.columns.get(column).unwrap_or(&self.place).clone()
    }
}

/// Everything that was read so far.
pub(super) struct Rows {
    scratch: Scratch,
    origins: BTreeMap<(String, i64), Origin>,
    /// Clients that were registered at any time.
    registered: BTreeSet<String>,
    /// Clients whose own row was refused, which was told of.
    refused: BTreeSet<String>,
    /// Mentions of clients, with whether the client was registered by then.
    mentioned: Vec<(String, Place, bool)>,
    /// Whether something was not carried out, so that rows may be missing.
    is_uncertain: bool,
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
    pub(super) async fn new() -> Result<Self, StoreError> {
        Ok(Self {
            scratch: Scratch::new().await?,
            origins: BTreeMap::new(),
            registered: BTreeSet::new(),
            refused: BTreeSet::new(),
            mentioned: Vec::new(),
            is_uncertain: false,
            findings: Vec::new(),
            statements: 0,
            clients_of_statements: BTreeMap::new(),
            last_changes: BTreeMap::new(),
            orders: Vec::new(),
        })
    }

    /// Whether that client is registered when all is applied.
    pub(super) async fn registers(&self, client_id: &str) -> Option<bool> {
        clients::name_and_end(self.scratch.db()?, client_id).await.ok().map(|found| found.is_some())
    }

    pub(super) async fn close(self) {
        self.scratch.close().await;
    }

    pub(super) fn find(&mut self, place: Place, fault: Fault) {
        self.findings.push(Finding::new(place, fault));
    }

    /// Applies a file.
    pub(super) async fn take(&mut self, file: &File) -> Result<(), StoreError> {
        let script = statements::read(&file.text);
        let place = |line: usize, statement: usize| Place { file: file.name.clone(), line, statement };
        // The one comment that is an order to the database.
        if file.text.starts_with("-- no-transaction") {
            let why = "-- no-transaction leaves a file that fails half applied";
            self.find(place(1, 0), Fault::warning("transaction", why, "take that line out"));
        }
        self.read_texts(&script, place);
        if let Some((line, why)) = script.fault {
            self.find(place(line, 0), Fault::error("syntax", why, "close it, or write it for both databases"));
            self.is_uncertain = true;
        }
        for statement in &script.statements {
            self.statements += 1;
            self.apply(&place(statement.line, self.statements), statement).await?;
        }
        Ok(())
    }

    /// Secrets in comments and texts, and comments that are meant for us.
    fn read_texts(&mut self, script: &Script, place: impl Fn(usize, usize) -> Place) {
        for comment in &script.comments {
            let statement = comment.statement.map_or(0, |number| self.statements + number + 1);
            for (offset, line) in comment.text.lines().enumerate() {
                match Acceptance::read(line) {
                    None => {}
                    Some(Ok(acceptance)) => {
                        let place = place(comment.line + offset, statement);
                        self.orders.push(Order { place, acceptance, is_past: false });
                    }
                    Some(Err(why)) => {
                        let fix = "write -- hallpass: accept CODE: REASON before the statement or at its end";
                        self.find(place(comment.line + offset, 0), Fault::error("acceptance", why, fix));
                    }
                }
            }
            for (offset, why) in secrets::secrets_in_comment(&comment.text) {
                self.find(place(comment.line + offset, 0), Fault::error("secret-in-comment", why, IN_HISTORY));
            }
        }
        for (line, _) in script.texts.iter().filter(|(_, text)| secrets::holds_secret(text)) {
            let why = "it holds a secret or token as it is";
            self.find(place(*line, 0), Fault::error("secret-in-file", why, IN_HISTORY));
        }
    }

    fn not_applied(&mut self, place: &Place, fault: Fault) {
        self.is_uncertain = true;
        self.find(place.clone(), fault);
    }

    /// A file that could not be read may hold whatever seems to be missing.
    pub(super) fn note_unread(&mut self) {
        self.is_uncertain = true;
    }

    async fn apply(&mut self, place: &Place, statement: &Statement) -> Result<(), StoreError> {
        if let Some(line) = statement.runs_into() {
            let why = "a semicolon is missing before this statement, and no database takes two for one";
            self.not_applied(&place.at_line(line), Fault::error("syntax", why, "end the statement before it with ;"));
            return Ok(());
        }
        match statement.kind {
            Kind::Transaction => {
                let why = "each file is one transaction already, and SQLite refuses another within it";
                self.find(place.clone(), Fault::error("transaction", why, "leave BEGIN and COMMIT out"));
            }
            Kind::Outside => {
                let why = "it reaches beyond the tables or changes how the database works, and is not tried";
                let fault = Fault::error("not-understood", why, "leave it to the database's administrator");
                self.not_applied(place, fault);
            }
            Kind::Other if !statement.begins_with_keyword() => {
                let fault = Fault::error("syntax", "this is no SQL that the databases understand", "correct it");
                self.not_applied(place, fault);
            }
            Kind::Other => {
                let why = "only INSERT, UPDATE and DELETE are tried here";
                self.not_applied(place, Fault::warning("not-understood", why, REVIEW_IT));
            }
            Kind::Create => {
                let why = if statement.is_table() {
                    "a table of your own is not managed by Hallpass"
                } else {
                    "an index is not part of a client; only INSERT, UPDATE and DELETE are judged here"
                };
                self.find(place.clone(), Fault::warning("not-understood", why, REVIEW_IT));
                if self.scratch.try_out(statement, Leniency::default()).await?.is_err() {
                    self.is_uncertain = true;
                }
            }
            Kind::Change => self.change(place, statement).await?,
        }
        Ok(())
    }

    async fn change(&mut self, place: &Place, statement: &Statement) -> Result<(), StoreError> {
        let unread = Said { warning: Some("it is not what both databases understand".to_owned()), ..Said::default() };
        let said = statement.said.as_ref().unwrap_or(&unread);
        self.mentions(place, said);
        let fault = self.literal_fault(said);
        if let Some((line, fault)) = fault {
            self.find(place.at_line(line), fault);
        }
        let mut leniency = Leniency::default();
        let (mut refusals, mut is_told) = (Vec::new(), false);
        // Each kind of fault is told of once, and tried again without what it was refused for.
        for _ in 0..4 {
            match self.scratch.try_out(statement, leniency).await? {
                Ok(changes) => {
                    self.note_all(place, said, &changes);
                    if changes.is_empty() {
                        self.judge_written(place, said).await?;
                    }
                    refused::explain(self, place, said, &refusals, &changes).await?;
                    break;
                }
                Err(refusal) => {
                    let next = refused::another_way(&refusal, leniency);
                    if next.is_none() {
                        let refused = said.rows.iter().filter_map(|row| self.client_of(said, row));
                        let refused: Vec<String> = refused.filter(|_| said.table == "clients").collect();
                        self.refused.extend(refused);
                        self.is_uncertain = true;
                        let fault = refused::fault(&self.scratch, place, statement, &refusal);
                        // That it is not portable says enough of what SQLite cannot do, unless it is no SQL at all.
                        is_told = refusal == Refusal::Syntax && statement.said.is_none();
                        if is_told || said.warning.is_none() || refused::is_certain(&refusal) {
                            self.find(fault.0, fault.1);
                        }
                    }
                    refusals.push(refusal);
                    let Some(next) = next else { break };
                    leniency = next;
                }
            }
        }
        if let Some(warning) = said.warning.as_ref().filter(|_| !is_told) {
            self.find(place.clone(), Fault::warning("not-understood", warning.clone(), REVIEW_IT));
        }
        Ok(())
    }

    /// The client that a row of `VALUES` is about.
    fn client_of(&self, said: &Said, row: &[statements::Value]) -> Option<String> {
        let at = self.columns_of(said).iter().position(|column| column == "client_id")?;
        match &row.get(at)?.literal {
            Literal::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn columns_of(&self, said: &Said) -> Vec<String> {
        let all = || self.scratch.tables().get(&said.table).into_iter().flatten();
        said.columns.clone().unwrap_or_else(|| all().map(|column| column.name.clone()).collect())
    }

    /// The clients that a condition names, and conditions that are not there.
    fn mentions(&mut self, place: &Place, said: &Said) {
        let Said { table, verb, .. } = said;
        if let Some(verb) = verb.filter(|_| !said.has_condition && self.scratch.tables().contains_key(table)) {
            let why = format!("without WHERE it {verb} every row of {table}");
            self.find(place.clone(), Fault::warning("every-row", why, "say which: WHERE client_id = '…'"));
        }
        for client_id in said.clients.iter().filter(|_| table.starts_with("client")) {
            self.mention(client_id, place);
            self.last_changes.insert(client_id.clone(), place.statement);
        }
    }

    pub(super) fn mention(&mut self, client_id: &str, place: &Place) {
        self.set_client(place, client_id);
        self.mentioned.push((client_id.to_owned(), place.clone(), self.registered.contains(client_id)));
    }

    fn set_client(&mut self, place: &Place, client_id: &str) {
        self.clients_of_statements.entry(place.statement).or_default().insert(client_id.to_owned());
    }

    /// A value of another kind than its column, which databases take in silence; a name for a text.
    fn literal_fault(&self, said: &Said) -> Option<(usize, Fault)> {
        if let Some((name, line)) =
            said.quoted.iter().find(|(name, _)| self.scratch.column(&said.table, name).is_none())
            && said.warning.is_none()
        {
            let why = format!("{} has no column {name}, and what is in double quotes is a name", said.table);
            return Some((*line, Fault::error("unknown-column", why, "write a text in single quotes")));
        }
        let columns = self.columns_of(said);
        let values = said.rows.iter().flat_map(|row| columns.iter().zip(row));
        values.into_iter().find_map(|(name, value)| {
            let column = self.scratch.column(&said.table, name)?;
            let (why, fix) = match (&value.literal, column.is_number) {
                (Literal::Text(_), true) if name.ends_with("_at") => ("a number", "write Unix seconds, without quotes"),
                (Literal::Text(_), true) => ("a number", "write it without quotes"),
                (Literal::Number, false) => ("a text", "write it in single quotes"),
                _ => return None,
            };
            Some((value.line, Fault::error("wrong-type", format!("{name} is {why}"), fix)))
        })
    }

    /// Remembers who wrote what.
    fn note_all(&mut self, place: &Place, said: &Said, changes: &[Change]) {
        let columns = self.columns_of(said);
        let origin_of = |row: usize| {
            let values = said.rows.get(row).map_or(&[][..], Vec::as_slice);
            let line = values.first().map_or(place.line, |value| value.line);
            let written = columns.iter().zip(values);
            let written = written.map(|(column, value)| (column.clone(), place.at_line(value.line)));
            Origin { place: place.at_line(line), columns: written.collect() }
        };
        let mut tried = 0_usize;
        for Change { what, table, row, client_id } in changes {
            let key = (table.clone(), *row);
            let client_id = client_id.as_deref().filter(|_| table.starts_with("client"));
            match what {
                What::Tried => tried += 1,
                What::Twin => continue,
                What::Inserted => {
                    self.origins.insert(key, origin_of(tried.saturating_sub(1)));
                    if let Some(client_id) = client_id.filter(|_| table == "clients") {
                        self.registered.insert(client_id.to_owned());
                    }
                }
                What::Updated => {
                    // What ON CONFLICT sets is nowhere by itself.
                    let written = if said.verb.is_some() { origin_of(0).columns } else { BTreeMap::new() };
                    let origin = self
                        .origins
                        .entry(key)
                        .or_insert_with(|| Origin { place: place.clone(), columns: BTreeMap::new() });
                    if written.is_empty() {
                        *origin = Origin { place: place.clone(), columns: BTreeMap::new() };
                    }
                    origin.columns.extend(written);
                }
                What::Deleted => drop(self.origins.remove(&key)),
            }
            if let Some(client_id) = client_id {
                self.set_client(place, client_id);
                if matches!(what, What::Updated | What::Deleted) {
                    self.last_changes.insert(client_id.to_owned(), place.statement);
                }
            }
        }
    }

    /// Judges what a statement writes that meets no row here: it may meet one elsewhere.
    async fn judge_written(&mut self, place: &Place, said: &Said) -> Result<(), StoreError> {
        let kind = match said.clients.first() {
            Some(client_id) => self.kinds().await?.get(client_id).copied(),
            None => None,
        };
        let columns = self.columns_of(said);
        for row in said.rows.iter().filter(|_| said.verb.is_some()) {
            for (column, value) in columns.iter().zip(row) {
                let Literal::Text(text) = &value.literal else { continue };
                let fault = judge::of_value(&said.table, column, text, kind.unwrap_or(ApplicationType::Web));
                if let Some(fault) = fault {
                    self.find(place.at_line(value.line), fault);
                }
            }
        }
        Ok(())
    }

    /// The `application_type` of each client.
    pub(super) async fn kinds(&mut self) -> Result<BTreeMap<String, ApplicationType>, StoreError> {
        let rows = self.scratch.rows("clients").await?;
        let kinds = rows.into_iter().filter_map(|(_, row)| {
            let kind = ApplicationType::parse(row.get("application_type")?.as_str()?)?;
            Some((row.get("client_id")?.as_str()?.to_owned(), kind))
        });
        Ok(kinds.collect())
    }

    /// Where a value of a row was written.
    pub(super) fn place_of(&self, table: &str, row: i64, column: &str) -> Option<Place> {
        Some(self.origins.get(&(table.to_owned(), row))?.of(column))
    }

    /// A place for what is found in a row whose origin was not noted: it is reported all the same.
    fn somewhere(&self) -> Place {
        let first = self.origins.values().next().map(|origin| origin.place.clone());
        first.unwrap_or_else(|| Place { file: "the files".to_owned(), line: 1, statement: 0 })
    }

    pub(super) const fn scratch(&mut self) -> &mut Scratch {
        &mut self.scratch
    }

    /// Everything that was found, with what the rows come to in the end, and the comments that accept something.
    pub(super) async fn judge(&mut self, issuer: Option<&str>) -> Result<(Vec<Finding>, Vec<Order>), StoreError> {
        self.judge_mentions();
        self.judge_rows(issuer).await?;
        for order in &mut self.orders {
            let number = order.place.statement;
            let clients = self.clients_of_statements.get(&number).into_iter().flatten();
            order.is_past = clients.filter_map(|client_id| self.last_changes.get(client_id)).any(|last| *last > number);
        }
        Ok((std::mem::take(&mut self.findings), std::mem::take(&mut self.orders)))
    }

    fn judge_mentions(&mut self) {
        for (client_id, place, was_there) in std::mem::take(&mut self.mentioned) {
            if self.registered.contains(&client_id) {
                if !was_there {
                    let why = format!("the client {client_id} is registered only further down or in a later file");
                    self.find(place, Fault::error("client-later", why, "move this behind it"));
                }
            } else if !self.refused.contains(&client_id) {
                let why = format!("no file registers the client {client_id}");
                let fix = "check the spelling; where it was registered by hand, put it into a file";
                self.find(place, Fault::warning("unknown-client", why, fix));
            }
        }
    }

    async fn judge_rows(&mut self, issuer: Option<&str>) -> Result<(), StoreError> {
        let kinds = self.kinds().await?;
        let mut told_of = BTreeSet::new();
        for table in JUDGED.iter().copied() {
            for (number, row) in self.scratch.rows(table).await? {
                let client_id = row.get("client_id").and_then(Value::as_str).unwrap_or_default();
                let kind = kinds.get(client_id).copied().unwrap_or(ApplicationType::Web);
                if table == "client_claims"
                    && let Some(fault) = judge::of_claim_row(&claim_row(&row))
                {
                    told_of.insert(client_id.to_owned());
                    let place = self.place_of(table, number, fault.column).unwrap_or_else(|| self.somewhere());
                    self.find(place, fault);
                }
                for (column, text) in row.iter().filter_map(|(column, value)| Some((column, value.as_str()?))) {
                    let Some(fault) = judge::of_value(table, column, text, kind) else { continue };
                    if table == "clients" {
                        told_of.insert(client_id.to_owned());
                    }
                    let place = self.place_of(table, number, column).unwrap_or_else(|| self.somewhere());
                    self.find(place, fault);
                }
            }
        }
        for (number, row) in self.scratch.rows("clients").await? {
            let Some(client_id) = row.get("client_id").and_then(Value::as_str) else { continue };
            let Some(db) = self.scratch.db() else { return Ok(()) };
            let faults = match clients::find(db, client_id).await {
                Ok(client) => {
                    client.map(|client| judge::of_client(&client, issuer, !self.is_uncertain)).unwrap_or_default()
                }
                // A word that is not known was told of already.
                Err(StoreError::Inconsistent { .. }) if told_of.contains(client_id) => Vec::new(),
                Err(StoreError::Inconsistent { why, fix, .. }) => {
                    let has_sector = row.get("sector_identifier").is_some_and(Value::is_string);
                    let column = if has_sector { "sector_identifier" } else { "subject_type" };
                    vec![Fault { column, ..Fault::error("sector", format!("{client_id}: {why}"), fix) }]
                }
                Err(_) => {
                    let why = format!("{client_id}: a column holds a text for a number or the other way round");
                    vec![Fault::error("wrong-type", why, "write texts in single quotes, and numbers without")]
                }
            };
            for fault in faults {
                let place = self.place_of("clients", number, fault.column).unwrap_or_else(|| self.somewhere());
                self.find(place, fault);
            }
        }
        Ok(())
    }
}
