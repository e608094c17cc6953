//! Who makes an account by themselves (`HALLPASS_SIGN_UP`).

use crate::protocol::text::{fold_email, is_email, is_typed_mailbox};

/// Who does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignUp {
    /// No one.
    Off,
    /// Who is invited.
    Invitation,
    /// Who reads the mail of an address in one of these domains, each as it is in the DNS and in lower case.
    Domains(Vec<String>),
}

impl SignUp {
    /// Whether who reads the mail of an address may have an account. A domain below one of ours is another one.
    #[must_use]
    pub fn admits(&self, address: &str) -> bool {
        let (Self::Domains(domains), true) = (self, is_typed_mailbox(address)) else { return false };
        let folded = fold_email(address);
        folded.rsplit_once('@').is_some_and(|(_, domain)| domains.iter().any(|ours| ours == domain))
    }
}

/// Reads it. What is not known stops: a list that is read another way than it was meant would let strangers in.
pub(super) fn sign_up(text: &str, has_mail: bool) -> Result<SignUp, String> {
    let listed = match text {
        "off" => return Ok(SignUp::Off),
        "invitation" => return Ok(SignUp::Invitation),
        _ => text.strip_prefix("domain:").ok_or("must be off, invitation, or domain:example.com")?,
    };
    let mut domains = Vec::new();
    for listed in listed.split(',') {
        let domain = domain(listed.trim())?;
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    if !has_mail {
        return Err(
            "needs HALLPASS_SMTP_URL: that an address is theirs is seen by a link that is mailed there".to_owned()
        );
    }
    Ok(SignUp::Domains(domains))
}

fn domain(text: &str) -> Result<String, String> {
    if text.starts_with('.') || text.contains('*') {
        return Err(format!("has {text}: each domain is written out, and one below it is another"));
    }
    let address = format!("a@{text}");
    let odd = || format!("has {text:?}, which is no domain of addresses");
    if !is_email(&address) || text.contains(['/', '=']) || idna::domain_to_ascii_strict(text).is_err() {
        return Err(odd());
    }
    let folded = fold_email(&address);
    folded.strip_prefix("a@").map(str::to_owned).ok_or_else(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_admitted_by_its_whole_domain_and_nothing_that_looks_like_it() {
        let ours = sign_up("domain:Example.com, b\u{fc}cher.example", true).unwrap();
        assert_eq!(ours, SignUp::Domains(vec!["example.com".to_owned(), "xn--bcher-kva.example".to_owned()]));
        for address in ["a@example.com", "A.B+c@EXAMPLE.COM", "a@b\u{fc}cher.example", "a@xn--bcher-kva.example"] {
            assert!(ours.admits(address), "{address}");
        }
        for address in [
            "a@sub.example.com",
            "a@notexample.com",
            "a@example.com.attacker.example",
            "a@example.comm",
            "example.com",
            "a@example.com.",
            "a%attacker.example@example.com",
            "attacker.example!a@example.com",
            "",
        ] {
            assert!(!ours.admits(address), "{address}");
        }
        assert!(!SignUp::Off.admits("a@example.com") && !SignUp::Invitation.admits("a@example.com"));
    }

    #[test]
    fn what_is_no_list_of_domains_stops() {
        for text in [
            "",
            "on",
            "Off",
            "domain:",
            "domain:*",
            "domain:*.example.com",
            "domain:.example.com",
            "domain:example.com,",
            "domain:a@example.com",
            "domain:example.com/x",
            "domain:example.com domain:example.org",
            "domain:example..com",
            "domain:example.com.",
            "example.com",
            "domains:example.com",
        ] {
            assert!(sign_up(text, true).is_err(), "{text:?}");
        }
        assert!(sign_up("domain:example.com", false).unwrap_err().contains("HALLPASS_SMTP_URL"));
        assert_eq!((sign_up("off", false), sign_up("invitation", false)), (Ok(SignUp::Off), Ok(SignUp::Invitation)));
    }
}
