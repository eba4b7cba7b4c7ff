//! What one hop costs: CPU time of the relay per statement, against a copy of bytes that knows no packets;
//! and what finding the end of an answer costs per row.
//!
//! Run with `cargo bench --bench relay`. Clients and servers are threads that send canned bytes over
//! loopback; CPU time is that of the relay's own thread, from the scheduler's statistics (Linux).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bulkhead::protocol::capability::{Capabilities, StatusFlags};
use bulkhead::protocol::framed::Framed;
use bulkhead::protocol::packet::put_packets;
use bulkhead::protocol::response::{Advance, CommandKind, ResponseTracker};
use bulkhead::protocol::result::{Column, TextResult};

const CAPABILITIES: Capabilities =
    Capabilities(Capabilities::DEPRECATE_EOF.0 | Capabilities::SESSION_TRACK.0);
const RUN_TIME: Duration = Duration::from_secs(2);
const CLIENTS: usize = 8;
const MAX_PACKET: usize = 64 * 1024 * 1024;

fn answer(rows: usize) -> Vec<u8> {
    let columns = [Column::bigint("id"), Column::text("c", 120)];
    let mut result = TextResult::new(CAPABILITIES, &columns, 1, StatusFlags::AUTOCOMMIT);
    for row in 0..rows {
        result.display(row).text(&"x".repeat(100));
    }
    result.finish(StatusFlags::AUTOCOMMIT, 0)
}

/// On-CPU time of this thread.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(first.expect("a number of nanoseconds"))
}

/// A server that answers every command with the same bytes.
fn serve(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.expect("accept"), answer.clone());
            stream.set_nodelay(true).expect("nodelay");
            std::thread::spawn(move || {
                let mut command = [0; 1024];
                while stream.read(&mut command).is_ok_and(|count| count > 0) {
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Sends commands until the time is over; gives how many were answered.
fn load(address: SocketAddr, answer_bytes: usize) -> u64 {
    let mut command = Vec::new();
    put_packets(&mut command, b"\x03SELECT id, c FROM sbtest1 WHERE id = 4711", 0);
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_nodelay(true).expect("nodelay");
    let mut answer = vec![0; answer_bytes];
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < RUN_TIME {
        stream.write_all(&command).expect("write");
        stream.read_exact(&mut answer).expect("read");
        count += 1;
    }
    count
}

async fn relay_packets(client: tokio::net::TcpStream, server: tokio::net::TcpStream) {
    let mut client = Framed::new(client, MAX_PACKET);
    let mut server = Framed::new(server, MAX_PACKET);
    let mut tracker = ResponseTracker::new();
    loop {
        client.reset_sequence();
        if client.read_packet().await.is_err() {
            return;
        }
        let wire = client.packet_wire().expect("short commands");
        server.write_raw(wire).await.expect("server takes the command");
        tracker.start(CommandKind::Query, CAPABILITIES);
        loop {
            server.fill().await.expect("server answers");
            let advance = tracker.advance(server.buffered()).expect("a valid answer");
            let forward = advance.forward();
            client.write_raw(&server.buffered()[..forward]).await.expect("client reads");
            server.consume(forward);
            if matches!(advance, Advance::Done { .. }) {
                break;
            }
        }
    }
}

async fn relay_bytes(mut client: tokio::net::TcpStream, mut server: tokio::net::TcpStream) {
    // How a copy ends does not matter here: the load is over.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

/// Runs a relay on a thread of its own; gives statements answered and CPU time per statement.
fn measure(rows: usize, with_packets: bool) -> (u64, Duration) {
    let bytes = answer(rows);
    let answer_bytes = bytes.len();
    let server = serve(bytes);
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let relay = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
            tell.send(listener.local_addr().expect("address")).expect("main waits");
            let accepting = async {
                loop {
                    let (client, _) = listener.accept().await.expect("accept");
                    let server = tokio::net::TcpStream::connect(server).await.expect("connect");
                    client.set_nodelay(true).expect("nodelay");
                    server.set_nodelay(true).expect("nodelay");
                    if with_packets {
                        tokio::spawn(relay_packets(client, server));
                    } else {
                        tokio::spawn(relay_bytes(client, server));
                    }
                }
            };
            tokio::select! { () = accepting => {}, _ = stopped => {} }
        });
        cpu_time()
    });
    let address = told.recv().expect("relay listens");
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| std::thread::spawn(move || load(address, answer_bytes))).collect();
    let count: u64 = clients.into_iter().map(|client| client.join().expect("client ends")).sum();
    // The relay may be gone already; then there is nothing to stop.
    let _ = stop.send(());
    let cpu = relay.join().expect("relay ends");
    (count, cpu / u32::try_from(count.max(1)).unwrap_or(u32::MAX))
}

fn measure_tracker() {
    let (rows, wire) = (10_000, answer(10_000));
    let mut tracker = ResponseTracker::new();
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < Duration::from_secs(1) {
        tracker.start(CommandKind::Query, CAPABILITIES);
        let advance = std::hint::black_box(tracker.advance(&wire)).expect("a valid answer");
        assert_eq!(advance, Advance::Done { forward: wire.len() });
        count += 1;
    }
    println!("tracker: {:?} per row", start.elapsed() / count / rows);
}

fn main() {
    measure_tracker();
    for rows in [1, 100, 2000] {
        for with_packets in [false, true] {
            let (count, cpu) = measure(rows, with_packets);
            let name = if with_packets { "packets" } else { "bytes  " };
            println!("{rows:>5} rows, {name}: {cpu:?} CPU per statement, {count} statements");
        }
    }
}
