//! The real binary on a data directory of its own, and how a client speaks to it.

use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::process::{signal, workers_of};
use crate::reply::Reply;

const BINARY: &str = env!("CARGO_BIN_EXE_latentd");

/// Nothing here takes this long on a machine that works.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Training wants whole cores: more services at once would only take longer each.
static PLACES: Semaphore = Semaphore::const_new(ALL_PLACES as usize);
const ALL_PLACES: u32 = 2;

/// A running service; it ends with the test, which fails if the log holds a panic.
pub struct Service {
    child: Child,
    url: String,
    folder: Arc<TempDir>,
    settings: Settings,
    client: Client,
    _places: SemaphorePermit<'static>,
}

/// How the binary is started.
#[derive(Clone)]
struct Settings {
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    /// A command that becomes the binary, its path and arguments behind; none for the binary itself.
    launcher: Vec<String>,
    data_dir: PathBuf,
}

impl Service {
    /// A service with nothing in it.
    pub async fn start(flags: &[&str]) -> Self {
        Self::start_in(1, flags, &[], None, &[]).await
    }

    /// A service on a data directory of the caller's.
    pub async fn start_on(flags: &[&str], data_dir: &Path) -> Self {
        Self::start_in(1, flags, &[], Some(data_dir), &[]).await
    }

    /// As `start_on`, by a command that ends in running its last argument.
    pub async fn start_by(launcher: &[&str], flags: &[&str], data_dir: &Path) -> Self {
        Self::start_in(1, flags, &[], Some(data_dir), launcher).await
    }

    /// As `with_digits`, while no other test trains.
    pub async fn with_digits_alone(flags: &[&str]) -> Self {
        Self::start_in(ALL_PLACES, flags, &[], None, &[])
            .await
            .given_digits()
            .await
    }

    /// As `with_digits`, with these variables in its environment.
    pub async fn with_digits_in(flags: &[&str], environment: &[(String, String)]) -> Self {
        Self::start_in(1, flags, environment, None, &[])
            .await
            .given_digits()
            .await
    }

    /// As `with_digits`, on a data directory of the caller's; it counts as part of a test that has
    /// a place.
    pub async fn with_digits_on(flags: &[&str], data_dir: &Path) -> Self {
        Self::start_in(0, flags, &[], Some(data_dir), &[])
            .await
            .given_digits()
            .await
    }

    async fn start_in(
        places: u32,
        flags: &[&str],
        environment: &[(String, String)],
        data_dir: Option<&Path>,
        launcher: &[&str],
    ) -> Self {
        let places = PLACES
            .acquire_many(places)
            .await
            .expect("the semaphore is never closed");
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let settings = Settings {
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            environment: environment.to_vec(),
            launcher: launcher.iter().map(|&word| word.to_owned()).collect(),
            data_dir: data_dir.map_or_else(|| folder.path().join("data"), Path::to_owned),
        };
        let (child, url) = launch(Arc::clone(&folder), settings.clone()).await;
        // The client is built with TLS but speaks to this machine without: any provider and no roots do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .tls_certs_only([])
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        Self {
            child,
            url,
            folder,
            settings,
            client,
            _places: places,
        }
    }

    /// A service with the embedded digits as data set `digits`.
    pub async fn with_digits(flags: &[&str]) -> Self {
        Self::start(flags).await.given_digits().await
    }

    async fn given_digits(self) -> Self {
        self.post(
            "/v1/datasets",
            &json!({"name": "digits", "builtin": "digits"}),
        )
        .await
        .ok(201);
        self
    }

    /// Starts again on the same data directory, after a `kill` or a `stop`.
    pub async fn restart(&mut self) {
        let flags = self.settings.flags.clone();
        self.restart_with(&flags).await;
    }

    pub async fn restart_with(&mut self, flags: &[impl AsRef<str>]) {
        assert!(
            self.child.try_wait().expect("a status").is_some(),
            "the service still runs"
        );
        let settings = Settings {
            flags: flags.iter().map(|flag| flag.as_ref().to_owned()).collect(),
            ..self.settings.clone()
        };
        (self.child, self.url) = launch(Arc::clone(&self.folder), settings).await;
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> &str {
        self.url
            .split_once("://")
            .map_or("", |(_, address)| address)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.settings.data_dir.clone()
    }

    /// What lies in the folder of data sets.
    pub fn dataset_files(&self) -> Vec<String> {
        let entries =
            fs::read_dir(self.data_dir().join("datasets")).expect("the folder of data sets");
        entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }

    /// Kills the service at once, as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().expect("the service can be killed");
        self.child.wait().expect("it has ended");
    }

    /// Kills the worker that trains now; answers how many there were.
    pub fn kill_worker(&self) -> usize {
        workers_of(self.pid())
            .into_iter()
            .filter(|&pid| signal(pid, "KILL"))
            .count()
    }

    /// Asks the service to shut down.
    pub fn terminate(&self) {
        assert!(signal(self.pid(), "TERM"), "SIGTERM was not delivered");
    }

    /// Waits for the end of a service that was asked to shut down.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            assert!(
                Instant::now() < until,
                "the service has not ended within {within:?}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(log_file(self.folder.path())).unwrap_or_default()
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub async fn send(&self, request: RequestBuilder) -> Reply {
        let request = request.build().expect("a request");
        let asked = format!("{} {}", request.method(), request.url().path());
        let answer = self
            .client
            .execute(request)
            .await
            .unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer
            .bytes()
            .await
            .unwrap_or_else(|error| panic!("{asked}: {error:?}"))
            .to_vec();
        Reply {
            asked,
            status,
            headers,
            body,
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// Posts with an `Accept` header.
    pub async fn post_for(&self, path: &str, body: &Value, accept: &str) -> Reply {
        self.send(
            self.request(Method::POST, path)
                .json(body)
                .header("accept", accept),
        )
        .await
    }

    /// Posts bytes of some media type.
    pub async fn post_bytes(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Reply {
        self.send(
            self.request(Method::POST, path)
                .header("content-type", media_type)
                .body(body),
        )
        .await
    }
}

/// Looks again and again until there is something to see.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("service.log")
}

/// Starts the binary and waits for the line that tells its address.
async fn launch(folder: Arc<TempDir>, settings: Settings) -> (Child, String) {
    let started = tokio::task::spawn_blocking(move || {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log_file(folder.path()))
            .expect("a log file");
        let mut child = spawn(&settings, log);
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let url = line
            .trim()
            .strip_prefix("latentd is ready at ")
            .map(str::to_owned);
        let url = url.unwrap_or_else(|| {
            let _ = child.kill();
            let log = fs::read_to_string(log_file(folder.path())).unwrap_or_default();
            panic!("the service did not start: {line:?}\n{log}")
        });
        (child, url)
    });
    tokio::time::timeout(PATIENCE, started)
        .await
        .expect("the service starts")
        .expect("the service starts")
}

fn spawn(settings: &Settings, log: File) -> Child {
    let mut words = settings.launcher.iter().map(String::as_str);
    let mut command = Command::new(words.next().unwrap_or(BINARY));
    command.args(words);
    if !settings.launcher.is_empty() {
        command.arg(BINARY);
    }
    // Settings of whoever runs the tests must not reach the service.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LATENTD_") {
            command.env_remove(name);
        }
    }
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--lease-seconds",
            "3",
            "--inference-threads",
            "1",
            "--data-dir",
        ])
        .arg(&settings.data_dir)
        .args(&settings.flags)
        .envs(settings.environment.iter().cloned())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the service's binary")
}

impl Drop for Service {
    fn drop(&mut self) {
        let workers = workers_of(self.pid());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for worker in workers {
            signal(worker, "KILL");
        }
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("--- the service's log ends with ---\n{}", tail(&log));
        } else {
            assert!(!log.contains("panicked"), "the service panicked:\n{log}");
        }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
