//! oidc_core_3_1_2_authorization.
