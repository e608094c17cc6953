//! A record as it was read: what it says to this version, and the very text of it.
//!
//! Nodes of two versions work on the same records while an update rolls through. Whether a record is still the one that
//! was read is decided by its text, and members that this version does not know stay in it.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::ops::Deref;

/// A record with the text it was read from. It is written back as it was read; what is made of it is `changed_to`.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    value: T,
    text: Box<RawValue>,
}

impl<T: Serialize> Stored<T> {
    /// A record as this version writes it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn of(value: T) -> Result<Self, serde_json::Error> {
        Ok(Self { text: to_raw_value(&value)?, value })
    }

    /// The text of the record where `value` takes the place of what it says: only what differs is changed, so members that
    /// this version does not know stay as they are.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn changed_to(&self, value: &T) -> Result<String, serde_json::Error> {
        let (before, after) = (serde_json::to_value(&self.value)?, serde_json::to_value(value)?);
        changed(&self.text, &before, &after).map(|text| text.get().to_owned())
    }
}

impl<T> Stored<T> {
    /// The text that was read.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get()
    }

    /// What it says, without the text.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }
}

/// `text` said `before`; what it says when that has become `after`.
fn changed(text: &RawValue, before: &Value, after: &Value) -> Result<Box<RawValue>, serde_json::Error> {
    if before == after {
        return Ok(text.to_owned());
    }
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return to_raw_value(after) };
    // Raw, so that nothing of what is not understood is read and written anew.
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text.get())?;
    for (name, value) in after {
        let member = match (members.get(name), before.get(name)) {
            (Some(text), Some(before)) => changed(text, before, value)?,
            // It is said by its absence.
            (None, Some(before)) if before == value => continue,
            _ => to_raw_value(value)?,
        };
        members.insert(name.clone(), member);
    }
    members.retain(|name, _| after.contains_key(name) || !before.contains_key(name));
    to_raw_value(&members)
}

impl<T> Deref for Stored<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Serialize for Stored<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Stored<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let value = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        Ok(Self { value, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Serialize, Deserialize)]
    struct Known {
        name: String,
        #[serde(default)]
        list: Vec<Part>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<Part>,
        until: Option<i64>,
    }

    #[derive(Clone, Serialize, Deserialize)]
    struct Part {
        number: i64,
    }

    fn read(text: &str) -> Stored<Known> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_changed_is_the_very_text_that_was_read() {
        let text = r#"{ "until":1e0, "name":"a","later":{"b":12345678901234567890123,"a":[1.50]} }"#;
        let text = text.replace("1e0", "1");
        let stored = read(&text);
        assert_eq!(stored.text(), text);
        assert_eq!(serde_json::to_string(&stored).unwrap(), text);
        assert_eq!(stored.changed_to(&stored).unwrap(), text);
    }

    #[test]
    fn only_what_differs_is_changed() {
        let stored = read(
            r#"{"name":"a","later":{"b":12345678901234567890123},"part":{"number":1,"weight":2},"list":[{"number":1,"more":true}]}"#,
        );
        let after =
            Known { name: "b".into(), part: Some(Part { number: 3 }), until: Some(5), ..stored.clone().into_value() };
        assert_eq!(
            stored.changed_to(&after).unwrap(),
            r#"{"later":{"b":12345678901234567890123},"list":[{"number":1,"more":true}],"name":"b","part":{"number":3,"weight":2},"until":5}"#
        );
        // A member that was removed takes with it what this version does not know of it.
        let after = Known { part: None, ..stored.clone().into_value() };
        assert_eq!(
            stored.changed_to(&after).unwrap(),
            r#"{"later":{"b":12345678901234567890123},"list":[{"number":1,"more":true}],"name":"a"}"#
        );
    }

    #[test]
    fn what_was_left_out_stays_out_until_it_is_said() {
        let stored = read(r#"{"name":"a"}"#);
        let after = Known { name: "b".into(), ..stored.clone().into_value() };
        assert_eq!(stored.changed_to(&after).unwrap(), r#"{"name":"b"}"#);
    }
}
