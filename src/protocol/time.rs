//! Instants and durations in the specifications' own unit: whole seconds.
//!
//! `NumericDate` is the JWT's (RFC 7519 section 2). Who decides by time takes `now` as an argument;
//! the clock itself is held by `Provider`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Seconds since 1970-01-01T00:00:00Z, as in [RFC 7519 section 2](https://www.rfc-editor.org/rfc/rfc7519#section-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NumericDate(pub i64);

impl NumericDate {
    /// This instant moved by `seconds`, which may be negative; saturates.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this instant; negative when it lies before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// True from this instant on: what expires at `self` is no longer good at `now == self`.
    #[must_use]
    pub const fn is_past(self, now: Self) -> bool {
        now.0 >= self.0
    }
}

impl fmt::Display for NumericDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
