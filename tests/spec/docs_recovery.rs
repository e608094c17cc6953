//! `docs/recovery.md`, run from its own text.

use crate::support::documents::{Block, blocks, fits, read, shell};
use crate::support::smtp::MailServer;
use crate::support::{NewUser, TestProvider};

/// A line whose columns are one space apart.
fn spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn every_command_of_the_page_says_what_the_page_says() {
    let page = read("docs/recovery.md");
    let provider = TestProvider::start().await;
    provider.add_user(NewUser::alice().with("name", "alice")).await;
    let variables: Vec<(String, String)> =
        provider.variables().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mails = MailServer::start();
    let (mut said, mut checked) = (String::new(), 0);
    for Block { kind, text, heading } in blocks(&page) {
        match kind.as_str() {
            "sh" => {
                // The server of the page is one of this test's own.
                let text = text.replace("smtps://hallpass:secret@smtp.example.com", &mails.url());
                said = shell(provider.folder.path(), &variables, &format!("exec 2>&1\n{text}"));
            }
            "text" => {
                let mut rest = said.lines();
                for line in text.lines() {
                    assert!(
                        rest.any(|found| fits(&spaced(line), &spaced(found))),
                        "{heading}: {line:?} is not in\n{said}"
                    );
                }
                checked += 1;
            }
            other => panic!("{heading}: what is a block of {other}?"),
        }
    }
    assert_eq!(checked, 7);
}
