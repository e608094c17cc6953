//! form_post.
