//! What would let a refused request through, where that depends on the request: data, which says what to do and not with which
//! file, table or command. `web/remedies.rs` has the words, for the log and for `hallpass explain` alike.

/// Whether an address can be registered as the service sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registrable {
    /// Nothing speaks against it.
    AsItIs,
    /// With a reason only: it is risky, and why.
    WithAReason(&'static str),
    /// Not at all, and why.
    Never(&'static str),
    /// The port is one of the day. Without it, as a native client's, which may have any.
    WithAnyPort {
        /// The address without the port.
        without_port: String,
    },
    /// A part of it is another one each time, or a secret.
    Changing,
}

/// Whether a client can do without PKCE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relaxable {
    /// Its row says that it must, and may say otherwise.
    ByTheRow,
    /// It is public.
    NeverForPublicClients,
    /// It has an address by plain http, where a code can be read.
    NeverOverPlainHttp,
}

/// What the operator, or the service's developer, can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The address is registered, or the service sends one that is.
    RegisterRedirectUri {
        /// Whose.
        client_id: String,
        /// What the service sends.
        sent: String,
        /// Whether that can be registered.
        registrable: Registrable,
        /// The registered one that is most like it.
        nearest: Option<String>,
    },
    /// The service percent-encodes the address, of which a part was read as something else.
    EncodeRedirectUri {
        /// The registered one that it probably sends.
        meant: String,
    },
    /// The client is enabled again.
    EnableClient {
        /// Which.
        client_id: String,
    },
    /// The service asks for less, or may have more.
    WidenScope {
        /// Which client.
        client_id: String,
        /// All that it would have then.
        scope: String,
    },
    /// The service separates scopes by spaces.
    SeparateScopes {
        /// What it probably means.
        meant: String,
    },
    /// The service asks for an API that it may use, or may use more.
    WidenAudience {
        /// Which client.
        client_id: String,
        /// The API; `None`: it cannot be one.
        resource: Option<String>,
    },
    /// The service asks for what it may use, or may use more.
    AllowGrantType {
        /// Which client.
        client_id: String,
        /// All that it would have then.
        grant_types: String,
    },
    /// The service uses PKCE.
    UsePkce {
        /// Which.
        client_id: String,
        /// Whether it can do without.
        relaxable: Relaxable,
    },
    /// The service is given a secret that is good.
    SetSecret {
        /// Which.
        client_id: String,
    },
    /// The issuer is what browsers use, and the proxy keeps the host name.
    KeepOrigin {
        /// What came.
        sent: String,
        /// What is ours.
        ours: String,
    },
    /// The service asks an address that is ours.
    UseAddress {
        /// The one it probably means.
        meant: String,
        /// Where all of them are published.
        discovery: String,
    },
}
