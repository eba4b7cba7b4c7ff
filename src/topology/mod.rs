//! Where shards live now.
