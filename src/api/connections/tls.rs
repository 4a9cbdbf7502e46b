//! TLS from files, which are read again when they change: a certificate is renewed without a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Wrap;

/// Between two looks at the files.
const EVERY: Duration = Duration::from_secs(2);

/// Why connections cannot be wrapped in TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error("the certificate and the key do not belong together, or are of no use: {0}")]
    Unfit(#[from] rustls::Error),
}

/// Certificates, the server's own first, and its key, as PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub certificates: PathBuf,
    pub key: PathBuf,
}

/// What tells whether a file changed.
type Mark = Option<(SystemTime, u64)>;

impl TlsFiles {
    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let fail = |path: &Path, reason: String| TlsError::File {
            path: path.to_owned(),
            reason,
        };
        let bad = |path: &Path| {
            let path = path.to_owned();
            move |error: rustls::pki_types::pem::Error| fail(&path, error.to_string())
        };
        let certificates = CertificateDer::pem_file_iter(&self.certificates)
            .map_err(bad(&self.certificates))?
            .collect::<Result<Vec<_>, _>>()
            .map_err(bad(&self.certificates))?;
        if certificates.is_empty() {
            let reason = "holds no certificate in PEM".to_owned();
            return Err(fail(&self.certificates, reason));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(bad(&self.key))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn marks(&self) -> [Mark; 2] {
        [&self.certificates, &self.key].map(|path| {
            let about = fs::metadata(path).ok()?;
            Some((about.modified().ok()?, about.len()))
        })
    }
}

/// Wraps connections in TLS, by what the files said last.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    pub fn of(files: TlsFiles) -> Result<Self, TlsError> {
        let current = Arc::new(RwLock::new(files.read()?));
        Ok(Self { files, current })
    }

    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again whenever they changed. Where they are of no use, as between the writing of one and the
    /// other, what was read before holds.
    pub async fn follow(self) {
        let mut seen = self.files.marks();
        loop {
            tokio::time::sleep(EVERY).await;
            let now = self.files.marks();
            if now == seen {
                continue;
            }
            match self.files.read() {
                Ok(config) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
                    tracing::info!("the TLS certificate was read again");
                }
                Err(error) => tracing::warn!(%error, "the TLS files changed and are of no use"),
            }
            seen = now;
        }
    }
}

impl Wrap for Tls {
    type Stream = TlsStream<TcpStream>;

    async fn wrap(&self, stream: TcpStream) -> std::io::Result<Self::Stream> {
        TlsAcceptor::from(self.current()).accept(stream).await
    }
}
