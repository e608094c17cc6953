//! The pages for what cannot continue: which text each shows to the person, and what it tells the operator. One table.
//!
//! The texts are in the catalog, each with `.heading`, `.message` and `.hint`. `answer.rs` makes answers of the rows, with the way
//! back to the service where there is one; `edge.rs` adds the reference.

use crate::protocol::error::ErrorCode;
use crate::protocol::reason::Reason;
use crate::web::remedies::UPDATE_NODE;
use axum::http::StatusCode;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Under which the log and `hallpass explain` have it.
    pub code: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// The key of its texts: what happened (`heading`), in a sentence (`message`), and what the person can do (`hint`).
    pub text: &'static str,
    /// What the operator can do; where that depends on what was sent, a remedy says it better.
    pub fix: &'static str,
}

/// Makes the enum and its table from one list, so that a page is read and changed in one place.
macro_rules! problems {
    ($($(#[$about:meta])* $problem:ident { $($column:ident: $cell:expr,)+ $(..$like:ident)? })+) => {
        /// Why a user cannot continue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Problem { $($(#[$about])* $problem,)+ }

        impl Problem {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$problem,)+];

            /// Its row of the table.
            #[must_use]
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$problem => Row { $($column: $cell,)+ $(..Self::$like.row())? },)+
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
        text: "problem-nothing-to-continue",
        fix: "The interaction is not in the short-lived store: it was completed, is older than an hour and a half, was started on a node with \
             another Redis (or in a process that was restarted, without HALLPASS_REDIS_URL), or gave way because very many were started.",
    }
    /// The interaction is older than it may be.
    Expired {
        code: "interaction_expired",
        status: StatusCode::BAD_REQUEST,
        text: "problem-expired",
        fix: "The page was open for more than half an hour. If it was not, `hallpass doctor` compares the clocks of the nodes and the database.",
    }
    /// The sign-in was answered in another tab or before.
    AlreadyAnswered {
        code: "interaction_answered",
        status: StatusCode::BAD_REQUEST,
        text: "problem-already-answered",
        fix: "Nothing: the user answered in another tab, or went back. The service shows its start page, where they are signed in.",
    }
    /// The browser sent no cookie of ours at all.
    NoCookie {
        code: "cookie_missing",
        status: StatusCode::BAD_REQUEST,
        text: "problem-no-cookie",
        fix: "The browser did not send our cookie: it blocks cookies, the login page was opened in a frame or by another host name than \
             HALLPASS_ISSUER has (localhost and 127.0.0.1 are two), or the issuer is https and a proxy in front speaks http to the browser, \
             so that Secure cookies are dropped.",
    }
    /// The browser is not the one that the interaction is bound to.
    AnotherBrowser {
        code: "another_browser",
        status: StatusCode::BAD_REQUEST,
        text: "problem-another-browser",
        fix: "A link to the login page was opened in another browser or profile than the one that started it. Links to a service travel well, links \
             to its sign-in do not.",
    }
    /// A form's origin is not ours. The fix names both.
    FormOfAnotherOrigin {
        code: "form_not_ours",
        status: StatusCode::FORBIDDEN,
        text: "problem-form-not-ours",
        fix: "Does a proxy change the host name, or is HALLPASS_ISSUER not the address that browsers use?",
    }
    /// A form came without the cookie that its token is bound to.
    FormWithoutCookie {
        fix: "The browser did not send our cookie with the form: does it block cookies, or does a proxy drop them?",
        ..FormOfAnotherOrigin
    }
    /// A form's token is not that of this browser.
    FormOfAnotherBrowser {
        fix: "The form's token is not that of this browser: the page was kept by a cache, or the form was forged.",
        ..FormOfAnotherOrigin
    }
    /// A form of the account whose token is not that of this browser and sign-in.
    FormOutdated {
        text: "problem-form-outdated",
        fix: "Nothing, as a rule: the user had the page open while they signed in again or out. A forged form is answered alike.",
        ..FormOfAnotherOrigin
    }
    /// A one-time link was used, has ended, or never was.
    LinkOver {
        code: "link_over",
        status: StatusCode::GONE,
        text: "problem-link-over",
        fix: "The link was used, is older than it may be, or another one took its place. `hallpass user reset-link`, `hallpass user factor link` and \
              `hallpass user invite` make new ones.",
    }
    /// A request that cannot be answered at any client's address. The refusal is told to the developers, and has its own code
    /// and fix.
    BadRequest {
        code: ErrorCode::InvalidRequest.as_str(),
        // No credentials are asked for here, as a 401 would.
        status: StatusCode::BAD_REQUEST,
        text: "problem-bad-request",
        fix: "The refusal says what was sent.",
    }
    /// A path that has no such method.
    WrongMethod {
        code: ErrorCode::InvalidRequest.as_str(),
        status: StatusCode::METHOD_NOT_ALLOWED,
        text: "problem-wrong-method",
        fix: Reason::MethodWrong.fix(),
    }
    /// An unknown path.
    NothingHere {
        code: "not_found",
        status: StatusCode::NOT_FOUND,
        text: "problem-nothing-here",
        fix: "Nothing, unless a service of yours asks for it: it finds the addresses in the discovery document.",
    }
    /// Too many password checks are waiting.
    Busy {
        code: "busy",
        status: StatusCode::SERVICE_UNAVAILABLE,
        text: "problem-busy",
        fix: Reason::Busy.fix(),
    }
    /// The database has rows that only a newer version understands. The fix is `Outdated`'s.
    NodeOutdated {
        code: "node_outdated",
        status: StatusCode::SERVICE_UNAVAILABLE,
        text: "problem-node-outdated",
        fix: UPDATE_NODE,
    }
    /// A store does not answer or is full. The fault has its own fix.
    StoreFailed {
        code: ErrorCode::TemporarilyUnavailable.as_str(),
        status: StatusCode::SERVICE_UNAVAILABLE,
        text: "problem-store-failed",
        fix: "The fault in the log has its own fix.",
    }
    /// Any other fault of ours, which has its own fix.
    Failed {
        code: ErrorCode::ServerError.as_str(),
        status: StatusCode::INTERNAL_SERVER_ERROR,
        text: "problem-failed",
        ..StoreFailed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::english;

    #[test]
    fn every_page_says_what_happened_and_what_to_do_in_whole_sentences() {
        for problem in Problem::ALL {
            let Row { code, status, text: key, fix } = problem.row();
            assert!(status.is_client_error() || status.is_server_error(), "{problem:?}");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
            let [heading, message, hint] =
                ["heading", "message", "hint"].map(|name| english().text(key).attribute(name).to_string());
            assert!(heading.starts_with(char::is_uppercase) && !heading.ends_with('.'), "{heading}");
            for sentence in [message.as_str(), hint.as_str()] {
                assert!(sentence.starts_with(char::is_uppercase) && sentence.ends_with(['.', '?']), "{sentence}");
            }
            assert!(fix.len() > 20 && fix.ends_with(['.', '?', ')']), "{problem:?}: {fix}");
            for text in [heading.as_str(), message.as_str(), hint.as_str(), fix] {
                assert!(!text.contains("  ") && !text.contains('\n') && !text.contains("problem-"), "{text}");
            }
        }
    }
}
