//! oidc_core_5_userinfo.
