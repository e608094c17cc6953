//! `docs/languages.md`, run from its own text.

use crate::support::documents::{Block, blocks, fits, read, shell};
use crate::support::folder;
use hallpass::protocol::mail::MailKind;

#[test]
fn every_command_of_the_page_says_what_the_page_says() {
    let page = read("docs/languages.md");
    let folder = folder();
    let (mut said, mut checked, mut settings) = (String::new(), 0, String::new());
    for Block { kind, text, heading } in blocks(&page) {
        match kind.as_str() {
            "sh" => {
                said = shell(folder.path(), &[], &format!("exec 2>&1\n{settings}{text}"));
                // A reader stays in one shell.
                for line in text.lines().filter(|line| line.starts_with("export ")) {
                    settings.push_str(line);
                    settings.push('\n');
                }
            }
            "text" => {
                let mut rest = said.lines();
                for line in text.lines() {
                    assert!(rest.any(|found| fits(line, found)), "{heading}: {line:?} is not in\n{said}");
                }
                checked += 1;
            }
            other => panic!("{heading}: what is a block of {other}?"),
        }
    }
    assert_eq!(checked, 8);
    for kind in MailKind::ALL {
        assert!(page.contains(&format!("`{}`", kind.as_str())), "{}", kind.as_str());
    }
    assert!(read("README.md").contains("docs/languages.md"));
}
