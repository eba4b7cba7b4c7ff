//! Packets of an authentication exchange after the greeting and its answer.

use crate::protocol::auth::Nonce;
use crate::protocol::codec::{Cursor, put_nul_bytes};

/// First byte of a request to switch plugins.
const AUTH_SWITCH: u8 = 0xfe;
/// First byte of more data for the client's plugin.
const AUTH_MORE_DATA: u8 = 0x01;

/// Payload that asks the client to answer by another plugin, with a new nonce.
pub fn auth_switch_request(plugin: &str, nonce: &Nonce) -> Vec<u8> {
    let mut payload = vec![AUTH_SWITCH];
    put_nul_bytes(&mut payload, plugin.as_bytes());
    put_nul_bytes(&mut payload, &nonce.0);
    payload
}

/// Reads a request to switch plugins: the plugin's name and the nonce without its final zero byte. `None`
/// when it is malformed, or the one-byte request of servers before 4.1.
pub fn parse_auth_switch_request(payload: &[u8]) -> Option<(&str, &[u8])> {
    let mut cursor = Cursor::new(payload.strip_prefix(&[AUTH_SWITCH])?);
    let plugin = std::str::from_utf8(cursor.nul_bytes("plugin").ok()?).ok()?;
    let nonce = cursor.rest();
    Some((plugin, nonce.strip_suffix(&[0]).unwrap_or(nonce)))
}

/// Payload with more data for the client's plugin.
pub fn auth_more_data(data: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(data.len() + 1);
    payload.push(AUTH_MORE_DATA);
    payload.extend_from_slice(data);
    payload
}
