//! Closed lists of our own whose values have a word that stays: in the log, in JSON, in the audit. One list makes the type, its
//! words and the list of all of them, so that none can be left out of one. `response.rs` has the lists of the specifications,
//! which are read as well.

/// Makes an enum of words, with `ALL` and `as_str`.
macro_rules! worded {
    (
        $(#[$documentation:meta])*
        $name:ident { $($(#[$variant_documentation:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_documentation])* $variant,)+
        }

        impl $name {
            /// Each of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word, which stays.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

pub(crate) use worded;
