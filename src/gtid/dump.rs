//! A set as a replica sends it with COM_BINLOG_DUMP_GTID.
//!
//! **Source**: MySQL 9 source documentation, `Gtid_set::encode`: number of origins, then for each its UUID, its
//! tag (in the tagged form only), the number of intervals, and first and one past last number of each; all
//! numbers little endian in eight bytes. With a tag anywhere (8.3 and later) the number of origins is written
//! between two format bytes, and each tag has its length, doubled, in front.

use super::{GtidSet, Origin};

/// Format of a set with tags.
const TAGGED: u64 = 1;

impl GtidSet {
    /// The set in the form of COM_BINLOG_DUMP_GTID; origins of MariaDB's are left out.
    pub fn dump_bytes(&self) -> Vec<u8> {
        let mysql = self.by_origin.iter().filter_map(|(origin, intervals)| match origin {
            Origin::MySql { uuid, tag } => Some((*uuid, tag, intervals)),
            Origin::MariaDb { .. } => None,
        });
        let origins: Vec<_> = mysql.collect();
        let is_tagged = origins.iter().any(|(_, tag, _)| !tag.is_empty());
        let count = origins.len() as u64;
        let head = if is_tagged { TAGGED << 56 | count << 8 | TAGGED } else { count };
        let mut out = head.to_le_bytes().to_vec();
        for (uuid, tag, intervals) in origins {
            out.extend_from_slice(&uuid.to_be_bytes());
            if is_tagged {
                // At most 32 bytes long, so that its length is one byte.
                out.push((tag.len() as u8) << 1);
                out.extend_from_slice(tag.as_bytes());
            }
            out.extend_from_slice(&(intervals.count() as u64).to_le_bytes());
            for (start, end) in intervals.iter() {
                out.extend_from_slice(&start.to_le_bytes());
                out.extend_from_slice(&(end + 1).to_le_bytes());
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn sets_without_tags() {
        let bytes = GtidSet::parse_mysql(&format!("{A}:1-5:7")).unwrap().dump_bytes();
        let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0];
        expected.extend_from_slice(&0x3e11_fa47_71ca_11e1_9e33_c80a_a942_9562_u128.to_be_bytes());
        for number in [2_u64, 1, 6, 7, 8] {
            expected.extend_from_slice(&number.to_le_bytes());
        }
        assert_eq!(bytes, expected);
        assert_eq!(GtidSet::default().dump_bytes(), [0; 8]);
    }

    #[test]
    fn sets_with_tags() {
        let bytes = GtidSet::parse_mysql(&format!("{A}:1,{A}:ab:2")).unwrap().dump_bytes();
        assert_eq!(bytes[..8], [1, 2, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[24], 0, "no tag");
        assert_eq!(bytes[8 + 41 + 16..][..3], [4, b'a', b'b']);
        assert_eq!(bytes.len(), 8 + 41 + 43);
    }
}
