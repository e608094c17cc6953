//! admin_sql.
