//! One HTTP request: a POST with a JSON body, and the status of its answer. Nothing else of HTTP is needed
//! for webhooks: no redirect is followed, no connection kept, no body of an answer read.
//!
//! **Source**: RFC 9112 (HTTP/1.1).

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::WebAddress;

/// Bytes read of an answer, at most: its first line.
const ANSWER_BYTES_MAX: usize = 1024;

/// Sends the body; gives the status of the answer. The caller bounds it in time.
///
/// # Errors
/// No connection, no TLS, or no HTTP answer.
pub(super) async fn post(
    address: &WebAddress,
    token: Option<&str>,
    ca: Option<&Path>,
    body: &str,
) -> io::Result<u16> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    if !address.is_tls {
        return exchange(stream, address, token, body).await;
    }
    let connector = TlsConnector::from(Arc::new(client_config(ca)?));
    let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
    exchange(connector.connect(name, stream).await?, address, token, body).await
}

fn client_config(ca: Option<&Path>) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            for certificate in CertificateDer::pem_file_iter(path).map_err(io::Error::other)? {
                roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth())
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    address: &WebAddress,
    token: Option<&str>,
    body: &str,
) -> io::Result<u16> {
    let WebAddress { host, port, path, .. } = address;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: bulkhead/{version}\r\n{bearer}\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX);
    let mut chunk = [0; 256];
    while !answer.contains(&b'\n') && answer.len() < ANSWER_BYTES_MAX {
        match stream.read(&mut chunk).await? {
            0 => break,
            read => answer.extend_from_slice(&chunk[..read]),
        }
    }
    status_of(&answer).ok_or_else(|| io::Error::other("the answer is not HTTP"))
}

/// The status in `HTTP/1.1 200 OK`.
fn status_of(answer: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(answer.split(|byte| *byte == b'\n').next()?).ok()?;
    let (version, rest) = line.split_once(' ')?;
    let status = rest.trim_start().get(..3)?.parse().ok()?;
    (version.starts_with("HTTP/1.") && (100..600).contains(&status)).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_is_an_answer() {
        assert_eq!(status_of(b"HTTP/1.1 204 No Content\r\n"), Some(204));
        assert_eq!(status_of(b"HTTP/1.0 500\r\n"), Some(500));
        for bad in
            [&b"SSH-2.0-x\r\n"[..], b"HTTP/1.1 abc\r\n", b"HTTP/1.1", b"", b"HTTP/1.1 2\r\n", &[0xff, 0xfe]]
        {
            assert_eq!(status_of(bad), None, "{bad:?}");
        }
    }
}
