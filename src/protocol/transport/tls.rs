//! TLS on both sides, through rustls with the aws-lc-rs provider; TLS 1.2 and 1.3.
//!
//! Towards clients: a configured certificate, or a throw-away self-signed one as mysqld makes. Towards
//! servers: MySQL's own modes, from "disabled" to "verify the identity". Reads no files: PEM text comes in.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::framed::Framed;
use super::stream::Stream;

/// TLS that could not be set up or begun.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// PEM text that holds no usable item.
    #[error("no usable {what} in the PEM text")]
    Pem {
        /// What was looked for.
        what: &'static str,
    },
    /// The mode verifies, and no CA is given.
    #[error("verifying a server needs a CA")]
    NoCa,
    /// Certificate, key and CA do not work together.
    #[error("TLS configuration refused: {source}")]
    Rustls {
        /// Why.
        #[from]
        source: rustls::Error,
    },
    /// The verifier could not be built from the CA.
    #[error("CA refused: {source}")]
    Verifier {
        /// Why.
        #[from]
        source: rustls::server::VerifierBuilderError,
    },
    /// The throw-away certificate could not be made.
    #[error("certificate not made: {source}")]
    Certificate {
        /// Why.
        #[from]
        source: rcgen::Error,
    },
    /// The name of the server is no host name.
    #[error("`{name}` is no host name that a certificate can be checked for")]
    HostName {
        /// The name.
        name: String,
    },
    /// TLS is on already.
    #[error("TLS is on already")]
    AlreadyOn,
    /// The server sent bytes in clear behind its greeting.
    #[error("bytes in clear came where TLS should begin")]
    BytesInClear,
    /// The handshake failed.
    #[error("TLS handshake failed: {source}")]
    Handshake {
        /// Why.
        #[from]
        source: io::Error,
    },
}

/// How a server is verified: the `--ssl-mode` of MySQL clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// Never TLS.
    Disabled,
    /// TLS if the server offers it, unverified.
    Preferred,
    /// TLS or nothing, unverified.
    Required,
    /// TLS, and the certificate is signed by the CA.
    VerifyCa,
    /// TLS, and the certificate is the CA's for this very host.
    VerifyIdentity,
}

/// A certificate and its key, as PEM text.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The certificate, intermediates behind it.
    pub certificate: &'a [u8],
    /// The private key.
    pub key: &'a [u8],
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read_certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(TlsError::Pem { what }),
    }
}

fn read_roots(pem: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(pem, "CA certificate")? {
        roots.add(certificate)?;
    }
    Ok(Arc::new(roots))
}

fn read_identity(
    identity: Identity<'_>,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let certificates = read_certificates(identity.certificate, "certificate")?;
    let key =
        PrivateKeyDer::from_pem_slice(identity.key).map_err(|_| TlsError::Pem { what: "private key" })?;
    Ok((certificates, key))
}

/// TLS towards clients, with a configured certificate; with a CA, a client certificate that is shown must be
/// signed by it.
///
/// # Errors
/// PEM text without certificate or key; a key that does not fit.
pub fn server_config(
    identity: Identity<'_>,
    client_ca: Option<&[u8]>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let (certificates, key) = read_identity(identity)?;
    build_server(certificates, key, client_ca)
}

/// TLS towards clients with a self-signed certificate made now, for `names`.
///
/// # Errors
/// The certificate could not be made.
pub fn throw_away_server_config(names: &[String]) -> Result<Arc<ServerConfig>, TlsError> {
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    build_server(vec![made.cert.der().clone()], PrivateKeyDer::from(key), None)
}

fn build_server(
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    client_ca: Option<&[u8]>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(read_roots(ca)?, provider)
                .allow_unauthenticated()
                .build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    Ok(Arc::new(builder.with_single_cert(certificates, key)?))
}

/// TLS towards servers.
#[derive(Clone, Debug)]
pub struct ClientTls {
    mode: TlsMode,
    config: Option<Arc<ClientConfig>>,
}

impl ClientTls {
    /// No TLS.
    pub fn disabled() -> Self {
        Self { mode: TlsMode::Disabled, config: None }
    }

    /// TLS of `mode`; `ca` is needed by the modes that verify, `identity` is shown to servers that ask.
    ///
    /// # Errors
    /// PEM text without what is needed; a verifying mode without CA.
    pub fn new(mode: TlsMode, ca: Option<&[u8]>, identity: Option<Identity<'_>>) -> Result<Self, TlsError> {
        if mode == TlsMode::Disabled {
            return Ok(Self::disabled());
        }
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let roots = match ca {
            Some(ca) => Some(read_roots(ca)?),
            None => None,
        };
        let verifier: Arc<dyn ServerCertVerifier> = match mode {
            TlsMode::VerifyIdentity => {
                let roots = roots.ok_or(TlsError::NoCa)?;
                WebPkiServerVerifier::builder_with_provider(roots, provider).build()?
            }
            TlsMode::VerifyCa => {
                Arc::new(NamelessVerifier { roots: Some(roots.ok_or(TlsError::NoCa)?), provider })
            }
            TlsMode::Disabled | TlsMode::Preferred | TlsMode::Required => {
                Arc::new(NamelessVerifier { roots: None, provider })
            }
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (certificates, key) = read_identity(identity)?;
                builder.with_client_auth_cert(certificates, key)?
            }
        };
        Ok(Self { mode, config: Some(Arc::new(config)) })
    }

    /// The mode.
    pub fn mode(&self) -> TlsMode {
        self.mode
    }

    /// True if a server without TLS must be refused.
    pub fn is_required(&self) -> bool {
        !matches!(self.mode, TlsMode::Disabled | TlsMode::Preferred)
    }

    /// True if TLS should be used when the server offers it.
    pub fn is_wanted(&self) -> bool {
        self.config.is_some()
    }
}

/// Accepts the CA's signature for any name, or any certificate at all; the handshake's signature is always
/// checked, so the peer holds the key of the certificate it shows.
#[derive(Debug)]
struct NamelessVerifier {
    roots: Option<Arc<RootCertStore>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NamelessVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            rustls::client::verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

/// Encrypts a client's connection: called when its request for TLS was read.
///
/// **Cancel safety**: not safe; the connection is closed.
///
/// # Errors
/// `AlreadyOn`; `Handshake`.
pub async fn accept(framed: &mut Framed, config: Arc<ServerConfig>) -> Result<(), TlsError> {
    let (stream, unread) = framed.take_stream();
    let socket = stream.take_socket(unread).ok_or(TlsError::AlreadyOn)?;
    let tls = TlsAcceptor::from(config).accept(socket).await?;
    framed.put_stream(Stream::Tls(Box::new(tls.into())));
    Ok(())
}

/// Encrypts the connection to a server called `host`: called when the request for TLS was written. Does
/// nothing if TLS is disabled.
///
/// **Cancel safety**: not safe; the connection is closed.
///
/// # Errors
/// `AlreadyOn`; `BytesInClear`; `HostName` if the identity is to be verified; `Handshake`.
pub async fn connect(framed: &mut Framed, tls: &ClientTls, host: &str) -> Result<(), TlsError> {
    let Some(config) = &tls.config else { return Ok(()) };
    let name = match ServerName::try_from(host.to_owned()) {
        Ok(name) => name,
        Err(_) if tls.mode == TlsMode::VerifyIdentity => {
            return Err(TlsError::HostName { name: host.to_owned() });
        }
        // Not verified and not needed: a placeholder that cannot be sent as a server's name.
        Err(_) => ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into()),
    };
    let (stream, unread) = framed.take_stream();
    if !unread.is_empty() {
        return Err(TlsError::BytesInClear);
    }
    let socket = stream.take_socket(unread).ok_or(TlsError::AlreadyOn)?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, socket).await?;
    framed.put_stream(Stream::Tls(Box::new(stream.into())));
    Ok(())
}
