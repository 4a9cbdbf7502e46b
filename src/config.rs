//! Flags and environment: every flag is also a variable `LATENTD_…`.

mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use values::{Network, base_path, origin};

/// Trains and serves latent-variable models over HTTP.
#[derive(Debug, Parser)]
#[command(name = "latentd", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The API, inference, and supervised training workers.
    Serve(Box<Serve>),
    /// A training worker (`serve` starts its own; more can be started by hand).
    Work(Work),
    /// Makes, lists and revokes API keys, of a service that runs or is to run on the data directory.
    Keys {
        #[command(subcommand)]
        command: Keys,
    },
    /// Copies a data directory as it is at this moment, while the service runs or not.
    Backup {
        /// A folder that is new or empty; on the same disk it takes little room.
        to: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Makes a new data directory of a backup, every artifact checked.
    Restore {
        /// The backup.
        from: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Prints the OpenAPI document.
    Openapi,
    /// Asks a running service whether it is ready; ends with 0 or 1.
    Health {
        #[arg(long, env = "LATENTD_LISTEN", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        /// The service's own certificate, where it speaks TLS.
        #[arg(long, env = "LATENTD_TLS_CERT")]
        tls_cert: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum Keys {
    /// Makes a key and prints it: it is shown once.
    Create(Box<CreateKey>),
    /// Lists the keys, without their secrets.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Revokes a key, by its name or id.
    Revoke {
        key: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Clone, Args)]
pub struct CreateKey {
    /// Its name, which the audit log uses.
    #[arg(long)]
    pub name: String,
    /// What it may do: some of read, infer, train, data; or admin for everything.
    #[arg(long, value_delimiter = ',', required = true)]
    pub scopes: Vec<String>,
    /// Names of models that it reaches, such as `prod-*`; all when left out.
    #[arg(long, value_delimiter = ',')]
    pub models: Option<Vec<String>>,
    /// Names of data sets that it reaches; all when left out.
    #[arg(long, value_delimiter = ',')]
    pub datasets: Option<Vec<String>>,
    /// When it ends, from now on: `90d`, `12h`, `30m`; never when left out.
    #[arg(long)]
    pub expires: Option<String>,
    /// Requests a second, at most.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub requests_per_second: Option<u32>,
    /// Jobs that wait or run at once, at most.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..=1_000_000))]
    pub jobs: Option<i64>,
    /// Mebibytes of the data sets that it uploads, at most.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..=1_000_000_000))]
    pub stored_mib: Option<i64>,
    /// Rows that one of its jobs may train on in all, epochs times rows.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub job_samples: Option<i64>,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Database, data sets and weights live here.
    #[arg(long, env = "LATENTD_DATA_DIR", default_value = "./latentd-data")]
    pub data_dir: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Database, data sets and weights live here.
    #[arg(long, env = "LATENTD_DATA_DIR", default_value = "./latentd-data")]
    pub data_dir: PathBuf,
    /// The mask of what files and folders let others do, such as 0007; 0077 when left out, or the process's own
    /// where the data directory may be written to by its group.
    #[arg(long, env = "LATENTD_UMASK", value_parser = mask)]
    pub umask: Option<u32>,
    /// Seconds after which a silent worker is taken for dead.
    #[arg(long, env = "LATENTD_LEASE_SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(i64).range(1..=3600))]
    pub lease_seconds: i64,
    /// Jobs that run on the CPU at once, over all workers; as many as there are workers when left out.
    #[arg(long, env = "LATENTD_JOBS_ON_CPU", value_parser = clap::value_parser!(i64).range(1..=1024))]
    pub jobs_on_cpu: Option<i64>,
    /// Jobs that run on one GPU at once, over all workers.
    #[arg(long, env = "LATENTD_JOBS_PER_GPU", default_value_t = 1,
        value_parser = clap::value_parser!(i64).range(1..=64))]
    pub jobs_per_gpu: i64,
    /// Seconds that a worker which hangs, or does not do as it is told, is given before it is killed.
    #[arg(long, env = "LATENTD_GRACE_SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub grace_seconds: u64,
    /// How far training stands back for whoever else wants the cores, as `nice` counts: 0 not at all, 19 wholly.
    #[arg(long, env = "LATENTD_TRAINING_NICE", default_value_t = 10,
        value_parser = clap::value_parser!(i32).range(0..=19))]
    pub training_nice: i32,
    /// What is logged, for example `info` or `latentd=debug`.
    #[arg(long, env = "LATENTD_LOG", default_value = "info")]
    pub log: String,
    #[arg(long, env = "LATENTD_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

fn mask(text: &str) -> Result<u32, String> {
    let mask = u32::from_str_radix(text, 8).ok();
    mask.filter(|mask| *mask <= 0o777)
        .ok_or_else(|| "must be an octal number from 0 to 0777".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Args)]
pub struct Serve {
    #[command(flatten)]
    pub common: Common,
    /// Address and port; port 0 picks a free one.
    #[arg(long, env = "LATENTD_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Certificates as PEM, the service's own first: it then speaks TLS. They are read again when they change.
    #[arg(long, env = "LATENTD_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key as PEM.
    #[arg(long, env = "LATENTD_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A path before all others, such as `/latentd`, under which a proxy shows the service. Paths without it are
    /// answered too.
    #[arg(long, env = "LATENTD_BASE_PATH", default_value = "", value_parser = base_path)]
    pub base_path: String,
    /// Names that the service answers to beside this machine's own, for example `models.example.org`, `*.example.org`;
    /// `*` for any.
    #[arg(long, env = "LATENTD_ALLOWED_HOSTS", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may ask, for example `https://app.example.org`.
    #[arg(long, env = "LATENTD_CORS_ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<String>,
    /// Ask for an API key though there is none yet; as soon as there is one, keys are asked for anyway.
    #[arg(long, env = "LATENTD_REQUIRE_KEYS", value_parser = clap::builder::BoolishValueParser::new())]
    pub require_keys: bool,
    /// Listen beyond this machine though no API key was made: whoever reaches the port may do everything.
    #[arg(long, env = "LATENTD_INSECURE", value_parser = clap::builder::BoolishValueParser::new())]
    pub insecure: bool,
    /// Proxies in front, as addresses or networks such as 10.0.0.0/8: what they say in X-Forwarded-For is believed.
    #[arg(long, env = "LATENTD_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,
    /// Days that the audit log is kept.
    #[arg(long, env = "LATENTD_KEEP_AUDIT_DAYS", default_value_t = 90,
        value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub keep_audit_days: u32,
    /// Jobs that train at once, each in a process of its own; 0 for none.
    #[arg(long, env = "LATENTD_WORKERS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=64))]
    pub workers: u32,
    /// Jobs that may wait.
    #[arg(long, env = "LATENTD_MAX_QUEUED_JOBS", default_value_t = 1000)]
    pub max_queued_jobs: u32,
    /// Inference requests in flight at once, beside those being computed; more are refused.
    #[arg(long, env = "LATENTD_INFERENCE_QUEUE", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub inference_queue: u32,
    /// Rows of inference requests that are computed together, at most.
    #[arg(long, env = "LATENTD_BATCH_ROWS", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub batch_rows: u32,
    /// Milliseconds that a batch which is not full waits for more requests. At 0 it is whatever came while the
    /// last one was computed.
    #[arg(long, env = "LATENTD_BATCH_DELAY_MS", default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub batch_delay_ms: u64,
    /// CPU threads of inference; all cores when left out.
    #[arg(long, env = "LATENTD_INFERENCE_THREADS", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub inference_threads: Option<u32>,
    /// Memory for loaded models, in MiB.
    #[arg(long, env = "LATENTD_MODEL_MEMORY_MIB", default_value_t = 2048)]
    pub model_memory_mib: usize,
    /// Events that are kept of each job; of what is older, streams tell a `gap`.
    #[arg(long, env = "LATENTD_KEEP_EVENTS", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    pub keep_events: u32,
    /// Ended jobs that are kept; of older ones everything but their published models is removed. 0 keeps all.
    #[arg(long, env = "LATENTD_KEEP_JOBS", default_value_t = 0)]
    pub keep_jobs: u32,
    /// Largest data set upload, in MiB as sent.
    #[arg(long, env = "LATENTD_MAX_UPLOAD_MIB", default_value_t = 4096,
        value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub max_upload_mib: u64,
    /// Largest file of a data set once unpacked, in MiB.
    #[arg(long, env = "LATENTD_MAX_UNPACKED_MIB", default_value_t = 8192,
        value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub max_unpacked_mib: u64,
    /// Largest body of any other request, in MiB.
    #[arg(long, env = "LATENTD_MAX_BODY_MIB", default_value_t = 32,
        value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub max_body_mib: u32,
    /// Connections served at once; further ones wait. 10,000 when left out, or as many as files may be open.
    #[arg(long, env = "LATENTD_MAX_CONNECTIONS", value_parser = clap::value_parser!(u32).range(8..=1_000_000))]
    pub max_connections: Option<u32>,
    /// Largest answer of numbers: of a model, or rows of a data set, in MiB. A number has 4 bytes; as JSON, 13.
    #[arg(long, env = "LATENTD_MAX_ANSWER_MIB", default_value_t = 256,
        value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub max_answer_mib: u64,
    /// Let webhooks point to this machine and to private networks.
    #[arg(long, env = "LATENTD_WEBHOOK_ALLOW_PRIVATE", value_parser = clap::builder::BoolishValueParser::new())]
    pub webhook_allow_private: bool,
    /// Wait so long, in milliseconds, before each further attempt of a webhook: for tests.
    #[arg(long, hide = true)]
    pub webhook_backoff_ms: Option<u64>,
    /// Between two looks at what nothing names: for tests.
    #[arg(long, hide = true, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub sweep_seconds: u64,
    /// Seconds that requests and jobs get to finish at shutdown.
    #[arg(long, env = "LATENTD_SHUTDOWN_SECONDS", default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub shutdown_seconds: u64,
}

#[derive(Debug, Clone, Args)]
pub struct Work {
    #[command(flatten)]
    pub common: Common,
    /// Run one job in this very process, if one waits.
    #[arg(long, hide = true)]
    pub once: bool,
    /// The name under which the supervisor knows this process.
    #[arg(long, hide = true, requires = "once")]
    pub owner: Option<String>,
}
