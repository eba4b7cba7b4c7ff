//! Reading SQL.
