use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::buffer::ReadBuffer;
use super::compress::{Algorithm, Compression};
use super::framed::Framed;
use super::tls::{self, ClientTls, Identity, TlsMode};
use crate::protocol::errors::FrameError;
use crate::protocol::packet::{PAYLOAD_BYTES_MAX, put_packets};

const MAX: usize = 64 * 1024 * 1024;

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (client, server) = (client.unwrap(), server.unwrap().0);
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    (client, server)
}

async fn pair() -> (Framed, Framed) {
    let (client, server) = sockets().await;
    (Framed::new(client, MAX), Framed::new(server, MAX))
}

/// Bytes that compress somewhat.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let block: Vec<u8> = (0..100_003).map(|at| if at % 3 == 0 { b'a' } else { step() }).collect();
    let mut all = Vec::with_capacity(size + block.len());
    while all.len() < size {
        all.extend_from_slice(&block);
    }
    all.truncate(size);
    all
}

/// Sends payloads of every awkward size there and back.
async fn echo(mut client: Framed, mut server: Framed, sizes: &'static [usize]) -> (Framed, Framed) {
    let echoing = tokio::spawn(async move {
        for _ in sizes {
            server.reset_sequence();
            let payload = server.read_packet().await.unwrap().to_vec();
            server.write_packet(&payload).await.unwrap();
        }
        server
    });
    for size in sizes {
        let payload = noise(*size);
        client.reset_sequence();
        client.write_packet(&payload).await.unwrap();
        assert!(client.read_packet().await.unwrap() == payload, "payload of {size} bytes changed");
    }
    (client, echoing.await.unwrap())
}

const SIZES: &[usize] = &[
    0,
    1,
    49,
    50,
    1000,
    4096,
    16_380,
    16_384,
    65_535,
    65_536,
    70_000,
    1_048_576,
    PAYLOAD_BYTES_MAX - 1,
    PAYLOAD_BYTES_MAX,
    PAYLOAD_BYTES_MAX + 1,
    40 * 1024 * 1024,
];
const SMALLER_SIZES: &[usize] = &[0, 1, 49, 50, 4096, 65_536, 1_048_577, PAYLOAD_BYTES_MAX, 3];

#[tokio::test]
async fn packets_of_all_sizes() {
    let (client, server) = pair().await;
    let (mut client, mut server) = echo(client, server, SIZES).await;
    client.release_packet();
    server.release_packet();
    assert!(client.is_quiet() && server.is_quiet());
    assert_eq!((client.traffic().0, client.traffic().1), (server.traffic().1, server.traffic().0));
    assert!(client.held_bytes() <= 4096 && server.held_bytes() <= 4096);
}

#[tokio::test]
async fn compressed_packets_of_all_sizes() {
    for algorithm in [Algorithm::Zlib, Algorithm::zstd(3)] {
        let (mut client, mut server) = pair().await;
        client.start_compression(algorithm);
        server.start_compression(algorithm);
        let (client, _) = echo(client, server, SMALLER_SIZES).await;
        let plain: usize = SMALLER_SIZES.iter().sum();
        assert!(client.traffic().1 < plain as u64, "{algorithm:?} saved nothing");
    }
}

#[tokio::test]
async fn what_zlib_made_is_read() {
    let (mut raw, server) = sockets().await;
    let mut server = Framed::new(server, MAX);
    server.start_compression(Algorithm::Zlib);
    let mut plain = Vec::new();
    put_packets(&mut plain, &[b'x'; 500], 0);
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &plain).unwrap();
    let body = encoder.finish().unwrap();
    let mut frame = vec![body.len() as u8, 0, 0, 0];
    frame.extend_from_slice(&(plain.len() as u32).to_le_bytes()[..3]);
    frame.extend_from_slice(&body);
    raw.write_all(&frame).await.unwrap();
    assert_eq!(server.read_packet().await.unwrap(), [b'x'; 500]);
    server.queue_packet(b"short");
    server.flush().await.unwrap();
    let mut answer = [0; 16];
    raw.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"\x09\0\0\x01\0\0\0\x05\0\0\x01short");
}

#[tokio::test]
async fn broken_frames_are_errors() {
    let frames: [&[u8]; 4] = [
        b"\x04\0\0\0\xff\xff\xffjunk",
        b"\x04\0\0\x05\0\0\0\0\0\0\0",
        b"\x08\0\0\0\x09\0\0\x78\x9c\x03\0\0\0\0\x01",
        b"\x0b\0\0\0\x02\0\0\x78\x9c\x4b\x4c\x4a\x06\0\x02\x4d\x01\x27",
    ];
    for algorithm in [Algorithm::Zlib, Algorithm::zstd(3)] {
        for frame in frames {
            let (mut raw, server) = sockets().await;
            let mut server = Framed::new(server, MAX);
            server.start_compression(algorithm);
            raw.write_all(frame).await.unwrap();
            let error = server.read_packet().await.unwrap_err();
            assert!(
                matches!(error, FrameError::Compression { .. } | FrameError::OutOfOrder { .. }),
                "{algorithm:?}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn bytes_may_come_one_by_one() {
    let (mut raw, server) = sockets().await;
    let mut server = Framed::new(server, MAX);
    let mut wire = Vec::new();
    put_packets(&mut wire, b"first", 0);
    put_packets(&mut wire, b"", 1);
    put_packets(&mut wire, b"third", 2);
    let writing = tokio::spawn(async move {
        for byte in wire {
            raw.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        raw
    });
    assert_eq!(server.read_packet().await.unwrap(), b"first");
    assert_eq!(server.packet_wire().unwrap(), b"\x05\0\0\0first");
    assert_eq!(server.read_packet().await.unwrap(), b"");
    assert_eq!(server.read_packet().await.unwrap(), b"third");
    drop(writing.await.unwrap());
    let error = server.read_packet().await.unwrap_err();
    assert!(error.is_clean_close(), "{error:?}");
}

#[tokio::test]
async fn a_cancelled_read_loses_nothing() {
    let (mut raw, server) = sockets().await;
    let mut server = Framed::new(server, MAX);
    let payload = noise(PAYLOAD_BYTES_MAX + 70_000);
    let mut wire = Vec::new();
    put_packets(&mut wire, &payload, 0);
    let writing = tokio::spawn(async move {
        for chunk in wire.chunks(500_000) {
            raw.write_all(chunk).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        raw
    });
    loop {
        tokio::select! {
            biased;
            read = server.read_packet() => {
                assert!(read.unwrap() == payload);
                break;
            }
            () = tokio::task::yield_now() => {}
        }
    }
    drop(writing.await);
}

#[tokio::test]
async fn bounds_and_order_are_kept() {
    let (mut raw, server) = sockets().await;
    let mut server = Framed::new(server, 1000);
    raw.write_all(b"\xe9\x03\0\0").await.unwrap();
    let error = server.read_packet().await.unwrap_err();
    assert!(matches!(error, FrameError::PacketTooLarge { bytes_max: 1000 }), "{error:?}");

    let (mut raw, server) = sockets().await;
    let mut server = Framed::new(server, PAYLOAD_BYTES_MAX + 10);
    let mut wire = Vec::new();
    put_packets(&mut wire, &vec![0; PAYLOAD_BYTES_MAX + 11], 0);
    let writing = tokio::spawn(async move { raw.write_all(&wire).await.map(|()| raw) });
    let error = server.read_packet().await.unwrap_err();
    assert!(matches!(error, FrameError::PacketTooLarge { .. }), "{error:?}");
    drop(writing);

    let (mut raw, server) = sockets().await;
    let mut server = Framed::new(server, 1000);
    raw.write_all(b"\x01\0\0\x03x").await.unwrap();
    let error = server.read_packet().await.unwrap_err();
    assert!(matches!(error, FrameError::OutOfOrder { expected: 0, got: 3 }), "{error:?}");

    let (mut raw, server) = sockets().await;
    let mut server = Framed::new(server, 1000);
    raw.write_all(b"\x05\0\0\0x").await.unwrap();
    drop(raw);
    let error = server.read_packet().await.unwrap_err();
    assert!(matches!(error, FrameError::Closed { mid_packet: true }), "{error:?}");
}

#[tokio::test]
async fn the_relay_writes_what_is_queued_with_the_statement() {
    let (mut client, server) = sockets().await;
    let mut server = Framed::new(server, MAX);
    server.queue_packet(b"state");
    server.write_raw(b"\x04\0\0\0stmt").await.unwrap();
    let long = noise(3_000_000);
    let reading = tokio::spawn(async move {
        let mut all = vec![0; 9 + 8 + 9 + 3_000_000];
        client.read_exact(&mut all).await.unwrap();
        (client, all)
    });
    server.reset_sequence();
    server.queue_packet(b"again");
    server.write_raw(&long).await.unwrap();
    let (mut client, all) = reading.await.unwrap();
    assert_eq!(&all[..26], b"\x05\0\0\0state\x04\0\0\0stmt\x05\0\0\0again");
    assert!(all[26..] == long);

    client.write_all(b"\x01\0\0\x01a\x01\0\0\x02b\x01").await.unwrap();
    while server.buffered().len() < 11 {
        server.fill().await.unwrap();
    }
    assert_eq!(server.buffered(), b"\x01\0\0\x01a\x01\0\0\x02b\x01");
    server.consume(10);
    assert_eq!(server.buffered(), b"\x01");
    server.consume(1);
    assert_eq!(server.buffered(), b"");
}

#[tokio::test]
async fn watching_keeps_bytes_and_sees_the_close() {
    for algorithm in [None, Some(Algorithm::Zlib)] {
        let (mut client, mut server) = pair().await;
        for framed in [&mut client, &mut server] {
            if let Some(algorithm) = algorithm {
                framed.start_compression(algorithm);
            }
        }
        client.queue_packet(b"first");
        client.flush().await.unwrap();
        server.read_packet().await.unwrap();
        client.reset_sequence();
        client.queue_packet(b"second");
        client.flush().await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(20), server.watch_close()).await;
        assert!(early.is_err());
        assert_eq!(server.packet(), b"first");
        assert!(!server.is_quiet());
        drop(client);
        let end = tokio::time::timeout(Duration::from_secs(5), server.watch_close()).await.unwrap();
        assert!(matches!(end, FrameError::Closed { .. } | FrameError::Io { .. }));
        server.reset_sequence();
        assert_eq!(server.read_packet().await.unwrap(), b"second");
    }
}

#[tokio::test]
async fn an_idle_connection_holds_no_buffer() {
    let (mut client, mut server) = pair().await;
    for round in 0..3 {
        client.reset_sequence();
        client.write_packet(&noise(100_000 * round + 10)).await.unwrap();
        server.reset_sequence();
        server.read_packet().await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(5), server.read_packet()).await;
        assert!(waiting.is_err());
        assert_eq!((server.held_bytes(), client.held_bytes()), (0, 0));
    }
    assert!(size_of::<Framed>() <= 320, "{}", size_of::<Framed>());
}

fn certificate(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A TLS handshake behind a packet in clear, the client's hello sent right behind that packet.
async fn upgrade(
    server_config: Arc<rustls::ServerConfig>,
    client_tls: ClientTls,
    host: &str,
) -> (Result<Framed, tls::TlsError>, Result<Framed, tls::TlsError>) {
    let (mut client, mut server) = pair().await;
    let accepting = tokio::spawn(async move {
        server.read_packet().await.unwrap();
        tls::accept(&mut server, server_config).await.map(|()| server)
    });
    client.queue_packet(b"please");
    client.flush().await.unwrap();
    let connected = tls::connect(&mut client, &client_tls, host).await.map(|()| client);
    (connected, accepting.await.unwrap())
}

#[tokio::test]
async fn tls_both_sides_with_compression() {
    let config = tls::throw_away_server_config(&["localhost".into()]).unwrap();
    let client_tls = ClientTls::new(TlsMode::Preferred, None, None).unwrap();
    let (client, server) = upgrade(config, client_tls, "127.0.0.1").await;
    let (client, server) = (client.unwrap(), server.unwrap());
    assert!(client.stream().is_secure() && server.stream().is_tls());
    assert_eq!(server.stream().tls_names().unwrap().0, "TLSv1.3");
    assert!(server.stream().peer_address().is_some());
    let (mut client, mut server) = echo(client, server, SMALLER_SIZES).await;
    assert!(client.is_quiet());
    client.start_compression(Algorithm::zstd(1));
    server.start_compression(Algorithm::zstd(1));
    let (mut client, mut server) = echo(client, server, SMALLER_SIZES).await;
    client.shutdown().await.unwrap();
    assert!(server.read_packet().await.unwrap_err().is_clean_close());
}

#[tokio::test]
async fn servers_are_verified_by_mode() {
    let (certificate_pem, key_pem) = certificate(&["db.example"]);
    let (other_pem, _) = certificate(&["db.example"]);
    let identity = Identity { certificate: certificate_pem.as_bytes(), key: key_pem.as_bytes() };
    let attempt = async |mode, ca: &str, host: &str| {
        let config = tls::server_config(identity, None).unwrap();
        let client_tls = ClientTls::new(mode, Some(ca.as_bytes()), None).unwrap();
        upgrade(config, client_tls, host).await.0.is_ok()
    };
    let (ca, other) = (&certificate_pem, &other_pem);
    assert!(attempt(TlsMode::Required, other, "elsewhere").await);
    assert!(attempt(TlsMode::VerifyCa, ca, "elsewhere").await);
    assert!(!attempt(TlsMode::VerifyCa, other, "db.example").await);
    assert!(attempt(TlsMode::VerifyIdentity, ca, "db.example").await);
    assert!(!attempt(TlsMode::VerifyIdentity, ca, "elsewhere").await);
    assert!(!attempt(TlsMode::VerifyIdentity, other, "db.example").await);
    assert!(!attempt(TlsMode::VerifyIdentity, ca, "not a host").await);
}

#[tokio::test]
async fn client_certificates_must_be_the_cas() {
    let (server_pem, server_key) = certificate(&["db.example"]);
    let (client_pem, client_key) = certificate(&["client"]);
    let (stranger_pem, stranger_key) = certificate(&["client"]);
    let identity = Identity { certificate: server_pem.as_bytes(), key: server_key.as_bytes() };
    let attempt = async |shown: Option<(&str, &str)>| {
        let config = tls::server_config(identity, Some(client_pem.as_bytes())).unwrap();
        let shown = shown.map(|(pem, key)| Identity { certificate: pem.as_bytes(), key: key.as_bytes() });
        let client_tls = ClientTls::new(TlsMode::Required, None, shown).unwrap();
        upgrade(config, client_tls, "db.example").await.1.is_ok()
    };
    assert!(attempt(None).await);
    assert!(attempt(Some((&client_pem, &client_key))).await);
    assert!(!attempt(Some((&stranger_pem, &stranger_key))).await);
}

#[test]
fn bad_tls_settings_are_errors() {
    let (certificate_pem, key_pem) = certificate(&["x"]);
    let (_, other_key) = certificate(&["x"]);
    let config = |certificate: &str, key: &str| {
        tls::server_config(Identity { certificate: certificate.as_bytes(), key: key.as_bytes() }, None)
    };
    assert!(config(&certificate_pem, &key_pem).is_ok());
    assert!(config(&certificate_pem, &other_key).is_err());
    assert!(config("nothing", &key_pem).is_err());
    assert!(config(&certificate_pem, "nothing").is_err());
    assert!(matches!(ClientTls::new(TlsMode::VerifyCa, None, None), Err(tls::TlsError::NoCa)));
    assert!(!ClientTls::disabled().is_wanted());
    assert!(ClientTls::new(TlsMode::Required, None, None).unwrap().is_required());
}

#[tokio::test]
async fn bytes_in_clear_before_tls_are_refused() {
    let (mut raw, client) = sockets().await;
    let mut client = Framed::new(client, MAX);
    raw.write_all(b"\x01\0\0\0ainjected").await.unwrap();
    client.read_packet().await.unwrap();
    let client_tls = ClientTls::new(TlsMode::Required, None, None).unwrap();
    let refused = tls::connect(&mut client, &client_tls, "x").await;
    assert!(matches!(refused, Err(tls::TlsError::BytesInClear)));
}

#[tokio::test]
async fn unix_sockets_are_secure() {
    let (client, server) = UnixStream::pair().unwrap();
    let (client, server) = (Framed::new(client, MAX), Framed::new(server, MAX));
    assert!(client.stream().is_secure() && client.stream().peer_address().is_none());
    echo(client, server, &[0, 1, 100_000, 20_000_000]).await;
}

proptest::proptest! {
    /// Frames of any content read back; frames with a byte changed or cut are refused or waited for, never
    /// more than they say they are.
    #[test]
    fn frames_round_trip(
        mut plain in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        repeats in 1usize..40,
        level in 0u8..5,
        damage in proptest::option::of((0usize..20_000, 0u8..=255)),
    ) {
        plain = plain.repeat(repeats);
        let algorithm = if level == 0 { Algorithm::Zlib } else { Algorithm::zstd(level) };
        let mut wire = Vec::new();
        Compression::new(algorithm).pack(&plain, &mut wire).unwrap();
        if let Some((at, byte)) = damage {
            if wire.is_empty() {
                return Ok(());
            }
            let at = at % wire.len();
            wire[at] = byte;
        }
        let mut reader = Compression::new(algorithm);
        reader.raw.extend(wire.len()).copy_from_slice(&wire);
        let mut read = ReadBuffer::default();
        let mut outcome = Ok(true);
        while let Ok(true) = outcome {
            outcome = reader.unpack(&mut read);
        }
        if damage.is_none() {
            proptest::prop_assert!(matches!(outcome, Ok(false)));
            proptest::prop_assert_eq!(read.unread(), &plain[..]);
        }
    }
}
