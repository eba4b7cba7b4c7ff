//! Alerts reach a webhook and a program, and a receiver that fails holds up nothing.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::super::alerts::{Sent, alert_of, send_all};
use super::super::http;
use super::PATIENCE;
use crate::config::{AlertCommand, Alerts, WebAddress, Webhook};
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

#[tokio::test]
async fn a_post_by_https_goes_to_whom_the_authority_vouches_for_and_to_nobody_else() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk).await.unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
        // Its certificate is not one that public authorities have signed.
        let (stream, _) = listener.accept().await.unwrap();
        assert!(acceptor.accept(stream).await.is_err());
        String::from_utf8_lossy(&chunk[..read]).into_owned()
    });
    let address = WebAddress::parse(&format!("https://localhost:{port}/hook")).unwrap();
    let posted = tokio::time::timeout(PATIENCE, http::post(&address, None, Some(&ca), "{}"));
    assert_eq!(posted.await.expect("in time").unwrap(), 204);
    let refused = tokio::time::timeout(PATIENCE, http::post(&address, None, None, "{}"));
    assert!(refused.await.expect("in time").is_err());
    assert!(server.await.unwrap().starts_with("POST /hook HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_no_other() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts");
    let web = Webhook {
        name: "silent".into(),
        address: WebAddress::parse(&format!("http://{}/", silent.local_addr().unwrap())).unwrap(),
        token: None,
        ca: None,
        timeout: Duration::from_secs(3600),
    };
    let program = AlertCommand {
        name: "file".into(),
        program: "/bin/sh".into(),
        arguments: ["-c".into(), format!("cat >> {}", file.display()).into()].into(),
        timeout: PATIENCE,
    };
    let alerts = Alerts { webhooks: vec![web], commands: vec![program] };
    let (queue, entries) = mpsc::channel(16);
    let sent = Arc::new(Sent::default());
    let sending = tokio::spawn(send_all(move || alerts.clone(), entries, sent.clone()));
    for number in 0..3 {
        queue.send(Arc::new(serde_json::json!({"number": number}))).await.unwrap();
    }
    let all = "{\"number\":0}\n{\"number\":1}\n{\"number\":2}\n";
    let arrived = tokio::time::timeout(PATIENCE, async {
        while std::fs::read_to_string(&file).unwrap_or_default() != all {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    arrived.await.expect("the program was told of each, in order");
    sending.abort();
}
