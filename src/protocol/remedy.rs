//! What would let a refused request through: data, which says what to do and not with which file, table or command.
//! `web/remedies.rs` has the words, for the log and for `hallpass explain` alike.

/// Whether an address can be registered as the service sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registrable {
    /// Nothing speaks against it.
    AsItIs,
    /// With a reason only: it is risky, and why.
    WithAReason(&'static str),
    /// Not at all, and why.
    Never(&'static str),
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
    /// The service sends `redirect_uri`.
    SendRedirectUri,
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
    /// The client is registered, in this very database, or enabled again.
    RegisterClient,
    /// The service asks for less, or may have more.
    WidenScope,
    /// The service asks for an API that it may use, or may use more.
    WidenAudience,
    /// The service uses PKCE.
    UsePkce {
        /// Which.
        client_id: String,
        /// Whether it can do without.
        relaxable: Relaxable,
    },
    /// The service sends the challenge that belongs to its verifier.
    SendCodeChallenge,
    /// The service sends the verifier that belongs to its challenge.
    SendCodeVerifier,
    /// The service keeps one verifier for each sign-in.
    KeepCodeVerifier,
    /// The service sends a whole code, of its own, to the issuer that made it.
    SendOwnCode,
    /// The service sends a code once.
    RedeemCodeOnce,
    /// The service sends a code sooner, or its life is lengthened.
    RedeemCodeSooner,
    /// The token request repeats the address of the authorization request.
    RepeatRedirectUri,
    /// The service keeps the refresh token of each answer.
    KeepNewRefreshToken,
    /// A public client sends no secret, or becomes a confidential one.
    LeaveSecretOut,
    /// The service sends its secret, or becomes a public client.
    SendSecret,
    /// The service is given a secret that is good.
    SetSecret {
        /// Which.
        client_id: String,
    },
    /// The node is updated.
    UpdateNode,
    /// The person types name and password again, or is given another.
    TypeAgain,
    /// A proxy is named, so that failures are counted for each network.
    NameProxies,
    /// The issuer is what browsers use, and the proxy keeps the host name.
    KeepOrigin {
        /// What came.
        sent: String,
        /// What is ours.
        ours: String,
    },
}
