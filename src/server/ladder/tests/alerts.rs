//! Alerts reach a webhook and a program, and a receiver that fails holds up nothing.

use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::alerts::alert_of;
use super::super::http;
use super::PATIENCE;
use crate::config::WebAddress;
use crate::drain::{Entry, Notice};

#[tokio::test]
async fn a_post_is_read_by_an_http_server_and_its_status_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        while !text.contains("\"why\"") {
            let mut chunk = [0; 1024];
            let read = stream.read(&mut chunk).await.unwrap();
            assert!(read > 0, "cut short: {text}");
            text.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
        }
        // In pieces, as a network may.
        for piece in ["HTTP/1.1 5", "03 Service Unavailable\r\n\r\n"] {
            stream.write_all(piece.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        text
    });
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_156_400);
    let notice = Notice { at, cluster: None, is_raised: true, name: "all_alike".into(), said: "é".into() };
    let body = alert_of(&Entry::Notice(notice), "proxy-1").to_string();
    let address = WebAddress::parse(&format!("http://127.0.0.1:{port}/hook?x=1")).unwrap();
    let posted = tokio::time::timeout(PATIENCE, http::post(&address, Some("t0ken"), None, &body));
    assert_eq!(posted.await.expect("in time").unwrap(), 503);
    let text = server.await.unwrap();
    let (head, sent) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nAuthorization: Bearer t0ken\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    let sent: serde_json::Value = serde_json::from_str(sent).unwrap();
    assert_eq!(sent["at"], "2024-02-28T21:40:00.000Z");
    assert_eq!((&sent["kind"], &sent["how"]), (&"notice".into(), &"raised".into()));
}

#[tokio::test]
async fn who_does_not_speak_http_is_no_receiver() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = WebAddress::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&[b'x'; 4096]).await.unwrap();
    });
    let error = http::post(&address, None, None, "{}").await.unwrap_err();
    assert!(error.to_string().contains("not HTTP") || error.kind() == std::io::ErrorKind::ConnectionReset);
    server.await.unwrap();
}
