//! oidc_core_3_1_3_id_token.
