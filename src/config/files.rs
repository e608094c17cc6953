//! `HALLPASS_X_FILE`: a file that holds the value of `HALLPASS_X`, as Docker and Kubernetes hand over secrets.

use super::{SETTINGS, Setting};
use crate::failure::Failure;
use std::io::Read as _;
use std::path::Path;

/// What a variable ends with that names a file.
const FILE: &str = "_FILE";
/// The most that such a file holds, in bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// The setting whose value is in the file that a variable names. A setting whose own name ends like that has no other.
pub(super) fn setting_of(variable: &str) -> Option<&'static Setting> {
    let of = variable.strip_suffix(FILE)?;
    SETTINGS.iter().find(|setting| setting.variable() == of && !of.ends_with(FILE))
}

/// The text of a file, without the line break at its end.
///
/// # Errors
/// It cannot be read, is no text, or holds too much; nothing of it is repeated.
pub(super) fn read(path: &str) -> Result<String, Failure> {
    let in_words = |error: std::io::Error| Failure::new(format!("{path} cannot be read: {error}"));
    let file = std::fs::File::open(Path::new(path)).map_err(in_words)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(in_words)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Failure::new(format!("{path} holds more than {MOST_BYTES} bytes")));
    }
    let no_text = |_| Failure::new(format!("{path} holds no text in UTF-8"));
    let mut text = String::from_utf8(bytes).map_err(no_text)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, RawConfig};
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let read = RawConfig::gather(|_| None, environment, None).and_then(|raw| raw.check());
        read.map_err(|error| Failure::from(error).told())
    }

    fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        std::fs::write(&path, text).unwrap();
        let path = path.display().to_string();
        (folder, path)
    }

    #[test]
    fn every_setting_is_read_from_the_file_that_a_variable_names() {
        for setting in SETTINGS {
            let (_folder, path) = file("nothing that is good for all");
            let variable = format!("{}_FILE", setting.variable());
            assert!(setting_of(&variable).is_some_and(|found| found.name == setting.name), "{variable}");
            let gathered = RawConfig::gather(|_| None, [(variable, path.clone())].into_iter(), None).unwrap();
            let (text, place) = gathered.given(setting).unwrap();
            assert_eq!(text, "nothing that is good for all");
            assert!(place.contains(&path), "{place}");
        }
        for end in ["", "\n", "\r\n"] {
            let (_folder, path) = file(format!("120{end}"));
            assert_eq!(config(&[("HALLPASS_CODE_LIFETIME_FILE", &path)]).unwrap().code_lifetime, 120);
        }
    }

    #[test]
    fn both_at_once_stop_the_start_and_so_does_what_cannot_be_read() {
        let (_folder, path) = file("120");
        let told = config(&[("HALLPASS_CODE_LIFETIME", "60"), ("HALLPASS_CODE_LIFETIME_FILE", &path)]).unwrap_err();
        assert!(told.contains("HALLPASS_CODE_LIFETIME_FILE") && told.contains("both"), "{told}");
        let told = config(&[("HALLPASS_CODE_LIFETIME_FILE", &path), ("HALLPASS_CODE_LIFETIME", "60")]).unwrap_err();
        assert!(told.contains("both"), "{told}");
        // One that is empty says nothing.
        let taken = config(&[("HALLPASS_CODE_LIFETIME", ""), ("HALLPASS_CODE_LIFETIME_FILE", &path)]);
        assert_eq!(taken.unwrap().code_lifetime, 120);
        assert!(config(&[("HALLPASS_CODE_LIFETIME_FILE", "")]).is_ok());
        let (_large, large) = file("1".repeat(65 * 1024));
        let (_broken, broken) = file([0xff, 0xfe, 0x00]);
        let folder = std::env::temp_dir().display().to_string();
        for path in [large.as_str(), &broken, &folder, "/there/is/no/such/file"] {
            let told = config(&[("HALLPASS_CODE_LIFETIME_FILE", path)]).unwrap_err();
            assert!(told.contains("HALLPASS_CODE_LIFETIME_FILE") && told.contains(path), "{told}");
        }
        let told = config(&[("HALLPASS_CODE_LIFETIM_FILE", &path)]).unwrap_err();
        assert!(told.contains("there is no such setting"), "{told}");
    }

    #[test]
    fn nothing_of_a_file_is_repeated() {
        let (_folder, path) = file("mysql://u:hunter2@h/d");
        let told = config(&[("HALLPASS_DATABASE_URL_FILE", &path)]).unwrap_err();
        assert!(told.contains(&path) && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn an_empty_file_is_as_bad_as_an_empty_value() {
        let (_folder, path) = file("\n");
        assert!(config(&[("HALLPASS_DATABASE_URL_FILE", &path)]).is_err());
        assert!(config(&[("HALLPASS_REDIS_URL_FILE", &path)]).is_ok());
    }
}
