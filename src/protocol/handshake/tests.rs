use proptest::prelude::*;

use super::*;
use crate::protocol::auth::Nonce;
use crate::protocol::capability::{Capabilities, OFFERED};

const NONCE: Nonce = Nonce(*b"abcdefghijklmnopqrst");

fn response(capabilities: Capabilities) -> HandshakeResponse {
    HandshakeResponse {
        capabilities,
        packet_bytes_max: 1 << 24,
        collation: 45,
        user: "app".to_owned(),
        auth_response: vec![7; 32],
        database: Some("shop".to_owned()),
        plugin: Some("caching_sha2_password".to_owned()),
        attributes: vec![("_client_name".to_owned(), "x".to_owned())],
        zstd_level: 3,
    }
}

#[test]
fn greeting_round_trips() {
    let greeting = Greeting::new("8.4.8-bulkhead", 77, &NONCE, OFFERED);
    assert_eq!(greeting.collation, 255);
    assert_eq!(Greeting::parse(&greeting.build()), Ok(Ok(greeting)));
    assert_eq!(Greeting::new("5.7.44", 1, &NONCE, OFFERED).collation, 45);
}

#[test]
fn mariadb_greeting_round_trips() {
    let mut greeting = Greeting::new("5.5.5-10.11.6-MariaDB-0+deb12u1", 3, &NONCE, OFFERED);
    greeting.capabilities.remove(Capabilities::LONG_PASSWORD);
    greeting.capabilities.insert(Capabilities::MARIADB_CACHE_METADATA);
    greeting.plugin = "mysql_native_password".to_owned();
    let read = Greeting::parse(&greeting.build()).unwrap().unwrap();
    assert_eq!(read, greeting);
    let version = read.server_version();
    assert_eq!((version.flavour, version.number), (Flavour::MariaDb, (10, 11, 6)));
    assert_eq!(&*version.text, "10.11.6-MariaDB-0+deb12u1");
}

#[test]
fn mysql_version_is_read() {
    let version = Greeting::new("9.6.0", 1, &NONCE, OFFERED).server_version();
    assert_eq!((version.flavour, version.number), (Flavour::MySql, (9, 6, 0)));
}

#[test]
fn errors_before_the_greeting_are_read() {
    let refusal = Greeting::parse(b"\xff\x69\x04Host blocked").unwrap().unwrap_err();
    assert_eq!((refusal.errno, refusal.message.as_str()), (1129, "Host blocked"));
    assert_eq!(&refusal.sqlstate, b"HY000");
    let refusal = ServerRefusal::parse(b"\xff\x15\x04#28000Access denied");
    assert_eq!((refusal.errno, &refusal.sqlstate), (1045, b"28000"));
    assert_eq!(ServerRefusal::parse(b"\xff").errno, 0);
}

#[test]
fn flags_that_were_not_offered_are_masked() {
    // libmariadb sets CONNECT_ATTRS without an offer and then leaves the attributes out.
    let offered = OFFERED.without(Capabilities::CONNECT_ATTRS | Capabilities::PLUGIN_AUTH_LENENC);
    let mut bytes = response(offered.without(Capabilities::SSL)).build();
    let flags = Capabilities::CONNECT_ATTRS | Capabilities::PLUGIN_AUTH_LENENC;
    bytes[2] |= (flags.0 >> 16) as u8;
    let ClientHello::Response(read) = ClientHello::parse(&bytes, offered).unwrap() else {
        panic!("not a response");
    };
    assert!(!read.capabilities.contains(Capabilities::CONNECT_ATTRS));
    assert_eq!((read.user.as_str(), read.database.as_deref()), ("app", Some("shop")));
    assert_eq!(read.attributes, []);
}

#[test]
fn tls_request_is_told_from_a_response() {
    let wanted = response(OFFERED);
    let request = wanted.ssl_request();
    assert_eq!(ClientHello::parse(&request.build(), OFFERED), Ok(ClientHello::Ssl(request)));
    assert_eq!(ClientHello::parse(&wanted.build(), OFFERED), Ok(ClientHello::Response(wanted)));
}

#[test]
fn clients_before_41_are_refused() {
    assert!(ClientHello::parse(&[0x05, 0x00, 0, 0, 0, b'a', 0], OFFERED).is_err());
}

#[test]
fn attributes_are_bounded() {
    let mut large = response(OFFERED);
    large.attributes = vec![("k".to_owned(), "v".repeat(ATTRIBUTE_BYTES_MAX))];
    assert!(ClientHello::parse(&large.build(), OFFERED).is_err());
    large.attributes = vec![("k".to_owned(), "v".to_owned()); 1000];
    let Ok(ClientHello::Response(read)) = ClientHello::parse(&large.build(), OFFERED) else {
        panic!("not a response");
    };
    assert_eq!(read.attributes.len(), 64);
}

#[test]
fn switch_requests_round_trip() {
    let payload = auth_switch_request("mysql_native_password", &NONCE);
    assert_eq!(parse_auth_switch_request(&payload), Some(("mysql_native_password", &NONCE.0[..])));
    assert_eq!(parse_auth_switch_request(&[0xfe]), None);
    assert_eq!(auth_more_data(&[4]), [1, 4]);
}

proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), bits in any::<u64>()) {
        let _ = Greeting::parse(&bytes);
        let _ = ClientHello::parse(&bytes, Capabilities(bits));
        let _ = ChangeUser::parse(&bytes, Capabilities(bits));
        let _ = parse_auth_switch_request(&bytes);
        let _ = ServerRefusal::parse(&bytes);
    }

    #[test]
    fn cut_responses_never_panic(cut in 0usize..200, drop in any::<u64>()) {
        let bits = OFFERED.without(Capabilities(drop & !Capabilities::PROTOCOL_41.0));
        let bytes = response(bits).build();
        let _ = ClientHello::parse(&bytes[..cut.min(bytes.len())], OFFERED);
    }

    #[test]
    fn responses_round_trip(
        drop in any::<u64>(), user in "[a-z]{0,20}", auth in proptest::collection::vec(1u8..255, 0..200),
        database in proptest::option::of("[a-zé]{1,20}"), level in 1u8..=22,
    ) {
        let gone = Capabilities(drop).without(Capabilities::PROTOCOL_41 | Capabilities::LONG_PASSWORD);
        let capabilities = OFFERED.without(gone);
        let has = |bits| capabilities.contains(bits);
        let wanted = HandshakeResponse {
            user,
            auth_response: auth,
            database: database.filter(|_| has(Capabilities::CONNECT_WITH_DB)),
            plugin: response(capabilities).plugin.filter(|_| has(Capabilities::PLUGIN_AUTH)),
            attributes: response(capabilities)
                .attributes
                .into_iter()
                .filter(|_| has(Capabilities::CONNECT_ATTRS))
                .collect(),
            zstd_level: if has(Capabilities::ZSTD_COMPRESSION) { level } else { 3 },
            ..response(capabilities)
        };
        prop_assert_eq!(ClientHello::parse(&wanted.build(), OFFERED), Ok(ClientHello::Response(wanted)));
    }

    #[test]
    fn change_user_round_trips(
        user in "[a-z]{0,20}", auth in proptest::collection::vec(1u8..255, 0..200),
        database in proptest::option::of("[a-z]{1,20}"), collation in any::<u16>(),
    ) {
        let wanted = ChangeUser {
            user,
            auth_response: auth,
            database,
            collation: Some(collation),
            plugin: Some("mysql_native_password".to_owned()),
            attributes: vec![("a".to_owned(), String::new())],
        };
        prop_assert_eq!(ChangeUser::parse(&wanted.build(OFFERED), OFFERED), Ok(wanted));
    }
}
