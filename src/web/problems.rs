//! The pages for what cannot go on: what each says to the person, and what it tells the operator. One table.
//!
//! `answer.rs` makes answers of them, with the way back to the service where there is one; `edge.rs` adds the reference.

use crate::protocol::error::ErrorCode;
use axum::http::StatusCode;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Under which the log and `hallpass explain` have it.
    pub code: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// What happened.
    pub heading: &'static str,
    /// In a sentence.
    pub message: &'static str,
    /// What the person can do.
    pub hint: &'static str,
    /// What the operator can do; `None`: nothing, or it depends on what was sent.
    pub fix: Option<&'static str>,
}

/// Makes the enum and its table from one list, so that a page is read and changed in one place.
macro_rules! problems {
    ($($(#[$about:meta])* $problem:ident { $($column:ident: $words:expr,)+ $(..$like:ident)? })+) => {
        /// Why a person cannot go on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Problem { $($(#[$about])* $problem,)+ }

        impl Problem {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$problem,)+];

            /// Its row of the table.
            #[must_use]
            pub const fn words(self) -> Words {
                match self {
                    $(Self::$problem => Words { $($column: $words,)+ $(..Self::$like.words())? },)+
                }
            }
        }
    };
}

problems! {
    /// The interaction is not in the store.
    NothingToContinue {
        code: "no_interaction",
        status: StatusCode::BAD_REQUEST,
        heading: "There is no sign-in to continue here",
        message: "It may have been completed already, or it was too long ago.",
        hint: "Go to the service you want to use; it brings you here when you have to sign in.",
        fix: Some(
            "The interaction is not in the short-lived store: it was completed, is older than half an hour, was started on a node with \
             another Redis (or in a process that was restarted, without HALLPASS_REDIS_URL), or gave way because somebody started very many.",
        ),
    }
    /// The interaction is older than it may be.
    Expired {
        code: "interaction_expired",
        status: StatusCode::BAD_REQUEST,
        heading: "This sign-in has expired",
        message: "For your safety, a sign-in has to be completed within half an hour.",
        hint: "Go back to the service and start again. Nothing is lost.",
        fix: Some(
            "The page was open for more than half an hour. If it was not, `hallpass doctor` compares the clocks of the nodes and the database.",
        ),
    }
    /// The sign-in was answered in another tab or before.
    AlreadyAnswered {
        code: "interaction_answered",
        status: StatusCode::BAD_REQUEST,
        heading: "This sign-in is complete",
        message: "It was completed before, perhaps in another tab.",
        hint: "Go to the service you want to use; you may be signed in already.",
        fix: None,
    }
    /// The browser sent no cookie of ours at all.
    NoCookie {
        code: "cookie_missing",
        status: StatusCode::BAD_REQUEST,
        heading: "Your browser did not send our cookie",
        message: "Without it, nobody can know that it is you who started this sign-in.",
        hint: "Allow cookies for this site, then go back to the service and start again.",
        fix: Some(
            "The browser did not send our cookie: it blocks cookies, the login page was opened in a frame or by another host name than \
             HALLPASS_ISSUER has (localhost and 127.0.0.1 are two), or the issuer is https and a proxy in front speaks http to the browser, \
             so that Secure cookies are dropped.",
        ),
    }
    /// The browser is not the one that the interaction is bound to.
    AnotherBrowser {
        code: "another_browser",
        status: StatusCode::BAD_REQUEST,
        heading: "This sign-in was started in another browser",
        message: "It can only be continued where it was started.",
        hint: "If somebody sent you this link, do not use it. Otherwise go to the service and start again.",
        fix: Some(
            "A link to the login page was opened in another browser or profile than the one that started it. Links to a service travel well, links \
             to its sign-in do not.",
        ),
    }
    /// A form's origin is not ours. The fix names both.
    FormOfAnotherOrigin {
        code: "form_not_ours",
        status: StatusCode::FORBIDDEN,
        heading: "This form was not accepted",
        message: "It did not come from this site's own page in this browser.",
        hint: "Allow cookies for this site, then go back to the service and start again.",
        fix: None,
    }
    /// A form came without the cookie that its token is bound to.
    FormWithoutCookie {
        fix: Some("The browser did not send our cookie with the form: does it block cookies, or does a proxy drop them?"),
        ..FormOfAnotherOrigin
    }
    /// A form's token is not that of this browser.
    FormOfAnotherBrowser {
        fix: Some("The form's token is not that of this browser: the page was kept by a cache, or somebody forged the form."),
        ..FormOfAnotherOrigin
    }
    /// A request that cannot be answered at any client's address. The refusal completes the message, and has its own code
    /// and fix.
    BadRequest {
        code: ErrorCode::InvalidRequest.as_str(),
        // Nobody is asked to prove anything here, as a 401 would.
        status: StatusCode::BAD_REQUEST,
        heading: "This sign-in link does not work",
        message: "The service that sent you here made a mistake:",
        hint: "Go back to the service and try again. If it happens again, tell the people who run it.",
        fix: None,
    }
    /// A path that has no such method.
    WrongMethod {
        code: ErrorCode::InvalidRequest.as_str(),
        status: StatusCode::METHOD_NOT_ALLOWED,
        heading: "This address cannot be used like that",
        message: "It belongs to the sign-in service, but is not for this kind of request.",
        hint: "Go to the service you want to use; it brings you here when you have to sign in.",
        fix: None,
    }
    /// An unknown path.
    NothingHere {
        code: "not_found",
        status: StatusCode::NOT_FOUND,
        heading: "There is nothing here",
        message: "This address belongs to the sign-in service, but leads nowhere.",
        hint: "Go to the service you want to use; it brings you here when you have to sign in.",
        fix: None,
    }
    /// Too many password checks are waiting.
    Busy {
        code: "busy",
        status: StatusCode::SERVICE_UNAVAILABLE,
        heading: "Many people are signing in right now",
        message: "Please wait a few seconds and try again.",
        hint: "Reloading this page sends your sign-in again.",
        fix: None,
    }
    /// The database has rows that only a newer version understands. The fix is `Outdated`'s.
    NodeOutdated {
        code: "node_outdated",
        status: StatusCode::SERVICE_UNAVAILABLE,
        heading: "Signing in is not possible right now",
        message: "The sign-in service is being updated.",
        hint: "Please try again in a moment.",
        fix: None,
    }
    /// A store does not answer or is full. The fault has its own fix.
    StoreFailed {
        code: ErrorCode::TemporarilyUnavailable.as_str(),
        status: StatusCode::SERVICE_UNAVAILABLE,
        heading: "Signing in is not possible right now",
        message: "The sign-in service could not answer. This is not your fault.",
        hint: "Please try again in a moment.",
        fix: None,
    }
    /// Any other fault of ours, which has its own fix.
    Failed {
        code: ErrorCode::ServerError.as_str(),
        status: StatusCode::INTERNAL_SERVER_ERROR,
        heading: "Something went wrong here",
        ..StoreFailed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_what_happened_and_what_to_do_in_whole_sentences() {
        for problem in Problem::ALL {
            let Words { code, status, heading, message, hint, fix } = problem.words();
            assert!(status.is_client_error() || status.is_server_error(), "{problem:?}");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
            assert!(heading.starts_with(char::is_uppercase) && !heading.ends_with('.'), "{heading}");
            assert_eq!(message.ends_with(':'), *problem == Problem::BadRequest, "what completes it comes behind");
            for sentence in [Some(message.replace(':', ".")), Some(hint.to_owned()), fix.map(str::to_owned)] {
                let Some(sentence) = sentence else { continue };
                assert!(sentence.starts_with(char::is_uppercase) && sentence.ends_with(['.', '?']), "{sentence}");
            }
            for text in [Some(heading), Some(message), Some(hint), fix].into_iter().flatten() {
                assert!(!text.contains("  ") && !text.contains('\n'), "{text}");
            }
        }
    }
}
