//! Rows of `client_claims`: how they are read, and what is wrong with one.

use crate::protocol::claim_map::{ClaimMap, Source, path_of};
use crate::protocol::claim_names::form_fault;
use crate::protocol::columns::{Form, RowFault, WordColumn};
use crate::protocol::response::{ClaimShape, ClaimSource, Place};

const SOURCE: WordColumn<ClaimSource> = WordColumn::new("client_claims.source", Form::One);
const SHAPE: WordColumn<ClaimShape> = WordColumn::new("client_claims.shape", Form::One);
const PLACES: WordColumn<Place> = WordColumn::new("client_claims.places", Form::Spaces);

/// A row as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRow {
    /// `claim`.
    pub claim: String,
    /// `source`.
    pub source: String,
    /// `value`.
    pub value: Option<String>,
    /// `shape`.
    pub shape: String,
    /// `scope`.
    pub scope: Option<String>,
    /// `places`.
    pub places: String,
    /// `starts_with`.
    pub starts_with: String,
    /// `prefix`.
    pub prefix: String,
}

impl ClaimRow {
    /// The rule that it is.
    ///
    /// # Errors
    /// What is wrong with it: an unknown word, a name that can be no output, a constant that is no JSON.
    pub fn read(&self) -> Result<ClaimMap, RowFault> {
        let source = match SOURCE.read(&self.source)? {
            ClaimSource::Groups => Source::Groups,
            ClaimSource::Roles => Source::Roles,
            ClaimSource::Claim => Source::Claim(self.source_claim()?),
            ClaimSource::Constant => Source::Constant(self.constant()?),
        };
        let path = path_of(&self.claim, source == Source::Groups)?;
        Ok(ClaimMap {
            path,
            source,
            shape: SHAPE.read(&self.shape)?,
            scope: self.scope.clone().filter(|scope| !scope.is_empty()),
            places: PLACES.read_list(&self.places)?,
            starts_with: self.starts_with.clone(),
            prefix: self.prefix.clone(),
        })
    }

    /// The name of the user's claim.
    fn source_claim(&self) -> Result<String, RowFault> {
        let name = self.value.clone().unwrap_or_else(|| self.claim.clone());
        match form_fault(&name) {
            None => Ok(name),
            Some(why) => Err(RowFault {
                why: format!("client_claims has the claim {:?} of a user's claim that cannot be: {why}", self.claim),
                fix: "write the name of the user's claim as value".to_owned(),
            }),
        }
    }

    fn constant(&self) -> Result<serde_json::Value, RowFault> {
        let text = self.value.as_deref().unwrap_or_default();
        serde_json::from_str(text).map_err(|_| RowFault {
            why: format!("the client_claims row {:?} has a constant that is no JSON: {text:?}", self.claim),
            fix: "write its value as JSON; a text is in double quotes, such as \"acme\"".to_owned(),
        })
    }
}

/// The rules that the rows of one client are, in the order of their paths, whatever order the database has.
///
/// # Errors
/// What is wrong with a row; two rows make the same.
pub fn read_all(rows: &[ClaimRow]) -> Result<Vec<ClaimMap>, RowFault> {
    let mut maps = rows.iter().map(ClaimRow::read).collect::<Result<Vec<ClaimMap>, RowFault>>()?;
    maps.sort_by(|one, other| one.path.cmp(&other.path));
    match maps.windows(2).find(|pair| pair[0].path == pair[1].path) {
        None => Ok(maps),
        Some(pair) => Err(RowFault {
            why: format!("client_claims makes {} twice, with a slash before it and without", pair[0].path.join("/")),
            fix: "delete one of the two rows".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(claim: &str, source: &str, value: Option<&str>) -> ClaimRow {
        ClaimRow {
            claim: claim.to_owned(),
            source: source.to_owned(),
            value: value.map(str::to_owned),
            shape: "list".to_owned(),
            scope: None,
            places: "id_token userinfo".to_owned(),
            starts_with: String::new(),
            prefix: String::new(),
        }
    }

    #[test]
    fn a_row_is_read_or_says_what_is_wrong_with_it() {
        assert_eq!(row("groups", "groups", None).read().unwrap().source, Source::Groups);
        assert_eq!(row("team", "claim", None).read().unwrap().source, Source::Claim("team".to_owned()));
        assert_eq!(row("team", "claim", Some("email")).read().unwrap().source, Source::Claim("email".to_owned()));
        assert_eq!(row("tenant", "constant", Some("\"acme\"")).read().unwrap().source, Source::Constant("acme".into()));
        for (bad, word) in [
            (row("sub", "groups", None), "sub is set by the protocol"),
            (row("groups", "roles", None), "group_members alone"),
            (row("tenant", "constant", Some("acme")), "no JSON"),
            (row("tenant", "constant", None), "no JSON"),
            (row("groups", "grups", None), "client_claims.source"),
            (ClaimRow { shape: "array".to_owned(), ..row("groups", "groups", None) }, "client_claims.shape"),
            (
                ClaimRow { places: "id_token,userinfo".to_owned(), ..row("groups", "groups", None) },
                "client_claims.places",
            ),
        ] {
            let fault = bad.read().unwrap_err();
            assert!(fault.why.contains(word), "{fault:?}");
        }
    }
}
