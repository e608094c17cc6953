//! The folder of an operator's own texts: catalogs, which `crate::texts` reads, and how mails are laid out, which
//! `mailing::layout` does.

use crate::protocol::difference::most_like;
use crate::texts::{OwnTexts, Remark, TextsFault, keys};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The most that one file holds, in bytes, and the most files that are looked at.
const MOST_BYTES: u64 = 1024 * 1024;
const MOST_FILES: usize = 200;
/// How many slips a key may have that is told with the one that was probably meant.
const MOST_SLIPS: usize = 4;
/// The files that lay mails out.
const MAIL_HTML: &str = "mail.html";
const MAIL_PLAIN: &str = "mail.txt";

/// How mails are laid out, by an operator.
#[derive(Clone, Debug)]
pub struct MailLayout {
    /// Where it was read.
    pub file: PathBuf,
    /// What it says.
    pub source: String,
}

/// What an operator has written for people to read.
#[derive(Clone, Debug, Default)]
pub struct Wording {
    /// What has to be told of it.
    pub remarks: Vec<Remark>,
    /// Mails for programs that show markup; `None`: as ours.
    pub mail_html: Option<MailLayout>,
    /// Mails without markup; `None`: as ours.
    pub mail_plain: Option<MailLayout>,
}

/// Why a folder of texts cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum FolderFault {
    /// The folder, or a file in it, cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There are too many files.
    #[error("{} holds more than {MOST_FILES} files", folder.display())]
    TooMany {
        /// It.
        folder: PathBuf,
    },
    /// A file is too large.
    #[error("{} holds more than {MOST_BYTES} bytes", file.display())]
    TooLarge {
        /// It.
        file: PathBuf,
    },
    /// A file is no text.
    #[error("{} holds no text in UTF-8", file.display())]
    NoText {
        /// It.
        file: PathBuf,
    },
    /// What a catalog says.
    #[error("{}: {fault}", folder.display())]
    Catalog {
        /// Where it is.
        folder: PathBuf,
        /// What is wrong.
        fault: Box<TextsFault>,
    },
}

/// Reads the folder; empty: there is none.
pub(super) fn folder(text: &str) -> Result<(OwnTexts, Wording), FolderFault> {
    let (mut catalogs, mut wording) = (Vec::new(), Wording::default());
    if text.is_empty() {
        return Ok((OwnTexts::default(), wording));
    }
    let folder = Path::new(text);
    for name in names_in(folder)? {
        let file = folder.join(&name);
        // A folder has none, and what is no file at all could keep the start waiting.
        if !fs::metadata(&file).map_err(|error| FolderFault::Unreadable { path: file.clone(), error })?.is_file() {
            wording.remarks.push(Remark::NotRead { file: name });
            continue;
        }
        match name.as_str() {
            MAIL_HTML => wording.mail_html = Some(MailLayout { source: read(&file)?, file }),
            MAIL_PLAIN => wording.mail_plain = Some(MailLayout { source: read(&file)?, file }),
            _ if OwnTexts::is_catalog(&name) => catalogs.push((name, read(&file)?)),
            _ => wording.remarks.push(Remark::NotRead { file: name }),
        }
    }
    let nearest = |key: &str| most_like(key, keys(), |known| known, MOST_SLIPS);
    let texts = OwnTexts::of(catalogs, nearest)
        .map_err(|fault| FolderFault::Catalog { folder: folder.to_owned(), fault: Box::new(fault) })?;
    Ok((texts, wording))
}

/// The names in a folder in their order, but for hidden ones: some systems keep their own there.
fn names_in(folder: &Path) -> Result<Vec<String>, FolderFault> {
    let unreadable = |error| FolderFault::Unreadable { path: folder.to_owned(), error };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if names.len() == MOST_FILES {
            return Err(FolderFault::TooMany { folder: folder.to_owned() });
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

/// The text of a file, in lines that end as ours do, without the mark that some editors put in front.
fn read(file: &Path) -> Result<String, FolderFault> {
    let unreadable = |error| FolderFault::Unreadable { path: file.to_owned(), error };
    let mut bytes = Vec::new();
    fs::File::open(file).map_err(unreadable)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(FolderFault::TooLarge { file: file.to_owned() });
    }
    let text = String::from_utf8(bytes).map_err(|_| FolderFault::NoText { file: file.to_owned() })?;
    Ok(text.trim_start_matches('\u{feff}').replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Result<(OwnTexts, Wording), String>) {
        let place = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(place.path().join(name), content).unwrap();
        }
        let read = folder(&place.path().display().to_string()).map_err(|fault| fault.to_string());
        (place, read)
    }

    #[test]
    fn a_folder_has_catalogs_and_layouts_and_what_else_is_in_it_is_told() {
        let (_place, read) = with(&[
            ("fr.ftl", "\u{feff}login-cancel = Annuler\r\nlogin-sign-in = Entrer\r\n".as_bytes()),
            ("mail.html", b"<p>"),
            ("mail.txt", b"-"),
            ("mail.htm", b"<p>"),
            (".hidden", b"\xff"),
        ]);
        let (texts, wording) = read.unwrap();
        assert_eq!(wording.remarks, [Remark::NotRead { file: "mail.htm".to_owned() }]);
        assert_eq!(wording.mail_html.unwrap().source, "<p>");
        assert_eq!(wording.mail_plain.unwrap().source, "-");
        let french = crate::texts::Languages::of("fr", &texts).unwrap().best(std::iter::empty());
        assert_eq!(french.text("login-sign-in").to_string(), "Entrer");
    }

    #[test]
    fn what_is_no_file_is_told_and_not_waited_for() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("fr.ftl")).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(place.path().join("mail.txt")).status().unwrap();
        assert!(pipe.success());
        let (_, wording) = folder(&place.path().display().to_string()).unwrap();
        let not_read = |file: &str| Remark::NotRead { file: file.to_owned() };
        assert_eq!(wording.remarks, [not_read("fr.ftl"), not_read("mail.txt")]);
        assert!(wording.mail_plain.is_none());
    }

    #[test]
    fn a_key_with_a_slip_is_told_with_the_one_that_was_probably_meant() {
        let (_place, read) = with(&[("de.ftl", b"login-cancle = A\nwhatever-else-there-is = B\n")]);
        let (texts, _) = read.unwrap();
        let languages = crate::texts::Languages::of("de", &texts).unwrap();
        let told: Vec<String> = texts.remarks(&languages).iter().map(ToString::to_string).collect();
        assert!(told[0].ends_with("Did you mean login-cancel?"), "{told:?}");
        assert!(told[1].ends_with("whatever-else-there-is"), "{told:?}");
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        let large = vec![b'#'; 1024 * 1024 + 1];
        for (name, content, why) in [
            ("fr.ftl", &large[..], "holds more than 1048576 bytes"),
            ("mail.txt", b"\xff\xfe", "no text in UTF-8"),
            ("fr.ftl", b"a = { $\n", "fr.ftl, line 1: not Fluent"),
            ("texts.ftl", b"", "texts.ftl is of"),
        ] {
            let (place, read) = with(&[(name, content)]);
            match read {
                Err(told) => assert!(told.contains(why) && told.contains(&*place.path().to_string_lossy()), "{told}"),
                // Five letters can be a language, so that it is told as one that no one asked for.
                Ok((texts, _)) => {
                    let languages = crate::texts::Languages::of("en", &texts).unwrap();
                    assert!(texts.remarks(&languages)[0].to_string().starts_with(why), "{name}");
                }
            }
        }
        assert!(folder("/there/is/no/such/folder").unwrap_err().to_string().contains("/there/is/no/such/folder"));
        let many: Vec<String> = (0..=MOST_FILES).map(|number| format!("{number}.txt")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
        assert!(with(&many).1.unwrap_err().contains("more than 200 files"));
    }
}
