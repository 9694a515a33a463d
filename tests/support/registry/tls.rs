//! Certificates, good and bad, for 127.0.0.1 and localhost.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A certificate authority of its own, which nobody trusts yet.
#[derive(Clone)]
pub struct Authority(Arc<CertifiedIssuer<'static, KeyPair>>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "the tests' authority");
        let key = KeyPair::generate().unwrap();
        Self(Arc::new(CertifiedIssuer::self_signed(params, key).unwrap()))
    }

    /// The certificate of the authority.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client's certificate and its key, both as PEM.
    pub fn client(&self) -> (String, String) {
        let mut params = CertificateParams::new(vec!["client".to_string()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// What is wrong with the server's certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flaw {
    #[default]
    None,
    /// It was good until 2001.
    Expired,
    /// It was good until yesterday.
    Yesterday,
    /// It will be good from tomorrow on.
    Tomorrow,
    /// It is for `elsewhere.test`.
    WrongName,
}

const DAY: Duration = Duration::from_hours(24);

/// How a server speaks TLS (1.3; HTTP/1.1 only, unless told otherwise). Servers that share an authority are trusted together.
#[derive(Clone, Default)]
pub struct Tls {
    pub authority: Authority,
    pub flaw: Flaw,
    /// Whether clients must show a certificate of the same authority.
    pub wants_client: bool,
    /// Whether it speaks HTTP/2 with those who want to.
    pub http2: bool,
    /// How many streams a connection of HTTP/2 may have at once, if not any number.
    pub streams: Option<u32>,
}

impl Tls {
    pub fn flawed(flaw: Flaw) -> Self {
        Self {
            flaw,
            ..Self::default()
        }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let (certificate, key) = self.identity();
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match self.wants_client {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(self.authority.0.der().clone()).unwrap();
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
        if self.http2 {
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        TlsAcceptor::from(Arc::new(config))
    }

    fn identity(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let names: &[&str] = match self.flaw {
            Flaw::WrongName => &["elsewhere.test"],
            _ => &["127.0.0.1", "localhost"],
        };
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = date_time_ymd(1970, 1, 1) + SystemTime::UNIX_EPOCH.elapsed().unwrap();
        match self.flaw {
            Flaw::None | Flaw::WrongName => {}
            Flaw::Expired => {
                params.not_before = date_time_ymd(2000, 1, 1);
                params.not_after = date_time_ymd(2001, 1, 1);
            }
            Flaw::Yesterday => params.not_after = now - DAY,
            Flaw::Tomorrow => params.not_before = now + DAY,
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority.0).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (certificate.der().clone(), key.into())
    }
}
