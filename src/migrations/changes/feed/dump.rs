//! Beginning to receive a binary log.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::timeout;

use super::super::error::FeedError;
use super::super::place::Place;
use super::super::position::Position;
use super::ground::{Ground, ask, failed};
use crate::backend::direct::PacketStream;
use crate::protocol::command::code;
use crate::protocol::handshake::Flavour;
use crate::sql::quote;

/// Bound of the first packet.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
/// COM_BINLOG_DUMP_GTID.
const BINLOG_DUMP_GTID: u8 = 0x1e;
/// The server cannot send its log from there.
const ER_FATAL_READING: u16 = 1236;
/// Offset of the first event of a file.
const FIRST_OFFSET: u32 = 4;
/// The server says that it is there as often, nanoseconds.
const HEARTBEAT_NS: u64 = 1_000_000_000;
/// The server waits so long for us to take what it sends, seconds: a copy may hold the feed back.
const WRITE_TIMEOUT_S: u32 = 3600;
/// Server ids of ours are at or above this: people count from 1.
const SERVER_ID_MIN: u32 = 0x8000_0000;

/// Asks for the log from `place` on; the first packet is waited for, as it says whether we may.
pub(super) async fn begin(ground: Ground, place: &Place) -> Result<(PacketStream, Vec<u8>), FeedError> {
    let Ground { mut direct, .. } = ground;
    let server = direct.server().clone();
    let (id, uuid) = random_identity();
    let settings = session(direct.flavour(), &uuid, place);
    ask(&mut direct, &server, &settings).await?;
    let (command, body) = command(id, place);
    let doing = "reading the binary log";
    let sent = direct.into_packets(command, &body).await;
    let mut packets = sent.map_err(|error| failed(&server, doing, error))?;
    let first = match timeout(BEGIN_WITHIN, packets.next()).await {
        Ok(Ok(packet)) => packet.map(<[u8]>::to_vec).unwrap_or_default(),
        // Its log reaches back, as was checked, and does not have the transaction at the place.
        Ok(Err(error)) if error.errno() == Some(ER_FATAL_READING) && matches!(place, Place::MariaDb(_)) => {
            tracing::info!(%server, %error, "the binary log is of another history");
            return Err(FeedError::Diverged { server, position: place.position() });
        }
        Ok(Err(error)) => return Err(failed(&server, doing, error)),
        Err(_) => return Err(FeedError::Late { server, within: BEGIN_WITHIN }),
    };
    Ok((packets, first))
}

/// What the server is to know of this reader; the names are those of old and of new servers.
fn session(flavour: Flavour, uuid: &str, place: &Place) -> String {
    let mut sql = format!("SET SESSION net_write_timeout = {WRITE_TIMEOUT_S}");
    let names: &[&str] = if flavour == Flavour::MySql { &["source", "master"] } else { &["master"] };
    for name in names {
        // Writing into a String cannot fail.
        let _ = write!(
            sql,
            ", @{name}_binlog_checksum = @@GLOBAL.binlog_checksum, @{name}_heartbeat_period = {HEARTBEAT_NS}"
        );
    }
    match place {
        Place::MariaDb(_) => {
            let state = match place.position() {
                Position::Gtid(set) => quote::string(&set),
                Position::File { .. } => String::new(),
            };
            let _ = write!(
                sql,
                ", @mariadb_slave_capability = 4, @slave_connect_state = {state}, \
                 @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0"
            );
        }
        Place::MySql(_) | Place::File { .. } => {
            let _ = write!(sql, ", @replica_uuid = '{uuid}', @slave_uuid = '{uuid}'");
        }
    }
    sql
}

fn command(id: u32, place: &Place) -> (u8, Vec<u8>) {
    let mut body = Vec::new();
    if let Place::MySql(set) = place {
        let set = set.dump_bytes();
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&id.to_le_bytes());
        body.extend_from_slice(&0_u32.to_le_bytes());
        body.extend_from_slice(&u64::from(FIRST_OFFSET).to_le_bytes());
        body.extend_from_slice(&(set.len() as u32).to_le_bytes());
        body.extend_from_slice(&set);
        return (BINLOG_DUMP_GTID, body);
    }
    let (name, offset) = match place {
        // Beyond what the command can say the file is read from its beginning, and what was seen passed over.
        Place::File { name, offset } => (&**name, u32::try_from(*offset).unwrap_or(FIRST_OFFSET)),
        Place::MySql(_) | Place::MariaDb(_) => ("", FIRST_OFFSET),
    };
    body.extend_from_slice(&offset.to_le_bytes());
    body.extend_from_slice(&[0, 0]);
    body.extend_from_slice(&id.to_le_bytes());
    body.extend_from_slice(name.as_bytes());
    (code::BINLOG_DUMP, body)
}

/// A server id and a UUID that no replica has: a server ends the older of two readers of one name.
fn random_identity() -> (u32, String) {
    let mut bytes = [0; 20];
    // Without randomness every login would have failed before.
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    let id = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]) | SERVER_ID_MIN;
    let hex: String = bytes[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    (id, uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_of_the_upper_range_and_differ() {
        let (id, uuid) = random_identity();
        assert!(id >= SERVER_ID_MIN);
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_ne!(uuid, random_identity().1);
    }

    #[test]
    fn commands_name_the_place() {
        let file = Place::File { name: "binlog.000007".into(), offset: 1234 };
        let (code, body) = command(9, &file);
        assert_eq!(
            (code, &body[..4], &body[10..]),
            (0x12, &1234_u32.to_le_bytes()[..], &b"binlog.000007"[..])
        );
        let far = Place::File { name: "binlog.000007".into(), offset: 5 << 32 };
        assert_eq!(command(9, &far).1[..4], FIRST_OFFSET.to_le_bytes());
        let maria = Place::of_mariadb("0-1-57,1-2-9").unwrap();
        let sql = session(Flavour::MariaDb, "u", &maria);
        assert!(sql.contains("@slave_connect_state = '0-1-57,1-2-9'"), "{sql}");
        let (code, body) = command(9, &Place::MySql(crate::gtid::GtidSet::default()));
        assert_eq!((code, body.len()), (0x1e, 2 + 4 + 4 + 8 + 4 + 8));
    }
}
