//! What a Redis brings back after a crash, by how it keeps what it holds on disk.
//!
//! Snapshots, which are its default, are minutes old when they are read back: a session that was signed out and a token that
//! was revoked since then live again. An append-only file is a second old at most, and where nothing is kept nothing can
//! come back; <https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/>.

use crate::failure::Warning;
use ::redis::Value;
use std::collections::BTreeMap;

/// What one server says of it.
#[derive(Debug, PartialEq, Eq)]
enum Persistence {
    /// `appendonly yes`.
    AppendOnly { is_left_to_the_system: bool },
    /// Neither a file nor snapshots.
    Nothing,
    /// Snapshots alone, at these times.
    Snapshots(String),
    /// It does not say.
    Unknown,
}

/// What the servers say of it together.
pub(super) struct Persisted {
    /// What there is to warn of.
    pub(super) warnings: Vec<Warning>,
    /// What a crash costs, where there is nothing to warn of.
    pub(super) cost: &'static str,
}

/// Judges by the answers to `CONFIG GET appendonly`, `CONFIG GET appendfsync`, `CONFIG GET save` and `INFO persistence`,
/// each by the address of the node, which is empty where there is one server only.
pub(super) fn judge(answers: &[BTreeMap<String, Value>; 4]) -> Persisted {
    let mut nodes: Vec<&String> = answers.iter().flat_map(BTreeMap::keys).collect();
    nodes.sort();
    nodes.dedup();
    let found: Vec<(&str, Persistence)> = nodes
        .into_iter()
        .map(|node| {
            let [append_only, append_fsync, save, info] = answers.each_ref().map(|answers| answers.get(node));
            (node.as_str(), of_node(append_only, append_fsync, save, info))
        })
        .collect();
    let mut warnings: Vec<Warning> =
        found.iter().filter_map(|(node, persistence)| warning(node, persistence)).collect();
    if found.is_empty() {
        warnings.extend(warning("", &Persistence::Unknown));
    }
    let cost = if found.iter().any(|(_, persistence)| *persistence == Persistence::Nothing) {
        "it keeps nothing on disk: a restart signs all users out, and brings back nothing that was ended"
    } else {
        "appendonly is yes: a crash costs the last second at most"
    };
    Persisted { warnings, cost }
}

fn of_node(
    append_only: Option<&Value>,
    append_fsync: Option<&Value>,
    save: Option<&Value>,
    info: Option<&Value>,
) -> Persistence {
    let has_file = setting(append_only).map(|word| word == "yes");
    // INFO is allowed where CONFIG is not.
    let has_file =
        has_file.or_else(|| info.and_then(text).map(|info| info.contains("aof_enabled:1")).filter(|has| *has));
    match (has_file, setting(save)) {
        (Some(true), _) => {
            Persistence::AppendOnly { is_left_to_the_system: setting(append_fsync).is_some_and(|word| word == "no") }
        }
        (Some(false), Some(times)) if times.is_empty() => Persistence::Nothing,
        (Some(false), Some(times)) => Persistence::Snapshots(times),
        _ => Persistence::Unknown,
    }
}

/// What there is to warn of one server, and what to do.
fn warning(node: &str, persistence: &Persistence) -> Option<Warning> {
    let who = if node.is_empty() { "Redis".to_owned() } else { format!("the Redis node {node}") };
    match persistence {
        Persistence::Nothing | Persistence::AppendOnly { is_left_to_the_system: false } => None,
        Persistence::Snapshots(times) => Some(Warning::new(
            format!(
                "{who} keeps snapshots only (save {times:?}): after a crash, sessions that were signed out and tokens that \
                 were revoked since the last one live again"
            ),
            "set appendonly yes, with which a crash costs a second at most, or save \"\" and no file at all, with which \
             all users sign in again",
        )),
        Persistence::AppendOnly { is_left_to_the_system: true } => Some(Warning::new(
            format!(
                "{who} leaves it to the system when its append-only file is written (appendfsync no): what was ended in \
                 the last half minute before a crash lives again"
            ),
            "set appendfsync everysec, or always",
        )),
        Persistence::Unknown => Some(Warning::new(
            format!(
                "{who} does not tell how it keeps what it holds (CONFIG is forbidden): with snapshots alone, sessions that \
                 were signed out live again after a crash"
            ),
            "make sure that it has appendonly yes, or keeps nothing at all",
        )),
    }
}

/// The value in the answer to `CONFIG GET` of one name: a list or, by RESP3, a map of it.
fn setting(answer: Option<&Value>) -> Option<String> {
    match answer? {
        Value::Array(pair) => text(pair.get(1)?),
        Value::Map(pairs) => text(&pairs.first()?.1),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str, value: &str) -> Value {
        Value::Array(vec![Value::BulkString(name.into()), Value::BulkString(value.into())])
    }

    fn told(settings: &[(&str, Option<[&str; 3]>, &str)]) -> Persisted {
        let mut answers: [BTreeMap<String, Value>; 4] = Default::default();
        for (node, config_told, info) in settings {
            if let Some(values) = config_told {
                for (at, name) in ["appendonly", "appendfsync", "save"].into_iter().enumerate() {
                    answers[at].insert((*node).to_owned(), config(name, values[at]));
                }
            }
            answers[3].insert((*node).to_owned(), Value::BulkString(info.as_bytes().to_vec()));
        }
        judge(&answers)
    }

    #[test]
    fn snapshots_alone_are_doubted_and_an_append_only_file_or_nothing_is_not() {
        for (settings, words) in [
            (["no", "everysec", "3600 1 300 100 60 10000"], Some("snapshots only")),
            (["yes", "everysec", "3600 1 300 100 60 10000"], None),
            (["yes", "always", ""], None),
            (["yes", "no", ""], Some("appendfsync no")),
            (["no", "everysec", ""], None),
        ] {
            let told = told(&[("", Some(settings), "aof_enabled:0")]);
            match words {
                Some(words) => {
                    assert!(
                        told.warnings.len() == 1 && told.warnings[0].what.contains(words),
                        "{settings:?} {:?}",
                        told.warnings
                    );
                    assert!(told.warnings[0].fix.starts_with("set append"), "{:?}", told.warnings);
                }
                None => assert!(told.warnings.is_empty(), "{settings:?} {:?}", told.warnings),
            }
        }
        assert!(told(&[("", Some(["no", "no", ""]), "")]).cost.contains("keeps nothing"));
    }

    #[test]
    fn one_that_forbids_config_is_asked_by_info_and_doubted_only_where_that_says_nothing() {
        assert!(told(&[("", None, "loading:0\r\naof_enabled:1\r\n")]).warnings.is_empty());
        for silent in ["loading:0\r\naof_enabled:0\r\n", ""] {
            assert!(told(&[("", None, silent)]).warnings[0].what.contains("does not tell"), "{silent}");
        }
        assert!(judge(&Default::default()).warnings[0].what.contains("does not tell"));
    }

    #[test]
    fn each_node_of_a_cluster_is_doubted_by_its_address() {
        let good = Some(["yes", "everysec", ""]);
        let told = told(&[("a:1", good, ""), ("b:2", Some(["no", "everysec", "60 1"]), ""), ("c:3", good, "")]);
        assert!(
            told.warnings.len() == 1 && told.warnings[0].what.contains("the Redis node b:2"),
            "{:?}",
            told.warnings
        );
    }
}
