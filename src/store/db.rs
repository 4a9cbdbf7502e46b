//! The database: its types under names that the rest of the store uses, how it is opened, and the two ways
//! into it, many readers and one writer. What is `SQLite`'s own stands here and in `migrations/`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::time::sleep;

use super::error::{self, code_of};
use super::{Result, StoreError};

pub(super) use sqlx::sqlite::{
    Sqlite as Db, SqliteArgumentsBuffer as Arguments, SqliteConnection as Conn, SqliteRow as DbRow,
    SqliteTypeInfo as TypeInfo, SqliteValueRef as ValueRef,
};
pub(super) type QueryBuilder = sqlx::QueryBuilder<Db>;
type Transaction = sqlx::Transaction<'static, Db>;

/// How long to wait for another process's write. Writes take milliseconds, so running into this
/// means real trouble.
const BUSY: Duration = Duration::from_secs(10);
/// Between two tries to open a file that another process is just making.
const RETRY: Duration = Duration::from_millis(20);
const READERS: u32 = 4;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The database. Cheap to clone; several processes may have the same file open.
#[derive(Clone, Debug)]
pub struct Store {
    readers: SqlitePool,
    /// One connection: `SQLite` admits one writer anyway, and this queue is fair where its busy
    /// timeout is not.
    writer: SqlitePool,
    opened: Arc<Opened>,
}

/// The file as it was when it was opened.
#[derive(Debug)]
struct Opened {
    path: PathBuf,
    file: Option<FileId>,
}

/// Device and inode. Of a file that was removed the number is not given away while it is open.
type FileId = (u64, u64);

fn file_id(path: &Path) -> Option<FileId> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.dev(), about.ino()))
}

impl Store {
    /// Opens the file, creates it if there is none, and brings its tables up to date.
    ///
    /// Commits are synced in full. In WAL mode `NORMAL` would survive a crash of the process but
    /// may lose the last commits with the power: a job that was answered 202 would be gone, and,
    /// since files are deleted once no row names them, a row could come back whose weights do not.
    /// The price is one sync a commit, which is why workers report in batches.
    pub async fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, true).await
    }

    /// Opens the file as a worker of a running service does: one that is not there was removed, and a new
    /// one in its place would be nobody's.
    pub async fn open_existing(path: &Path) -> Result<Self> {
        Self::open_with(path, false).await
    }

    async fn open_with(path: &Path, create: bool) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .synchronous(SqliteSynchronous::Full)
            // What is deleted is overwritten: secrets of webhooks lie in it.
            .pragma("secure_delete", "on");
        let writing = options.clone().journal_mode(SqliteJournalMode::Wal);
        let writer = connect(writing.clone().create_if_missing(create)).await?;
        // Connections are opened anew now and then. None makes a new file where the old one is gone.
        writer.set_connect_options(writing);
        migrate(&writer).await?;
        let readers = pool_of(READERS).connect_lazy_with(options.pragma("query_only", "on"));
        let opened = Arc::new(Opened {
            path: path.to_owned(),
            file: file_id(path),
        });
        Ok(Self {
            readers,
            writer,
            opened,
        })
    }

    /// A copy of the whole database as it is at this moment, in a file that is new. Nobody waits for it.
    pub async fn copy_to(&self, path: &Path) -> Result<()> {
        let path = path.to_string_lossy().into_owned();
        sqlx::query("VACUUM INTO $1")
            .bind(path)
            .execute(self.writer()?)
            .await?;
        Ok(())
    }

    /// Refuses a file that was removed, or replaced by another: what is written to it is gone with the last
    /// process that has it open, and no restart would find it. One `stat`; a commit costs a sync.
    pub fn require_in_place(&self) -> Result<()> {
        if self.opened.file.is_some() && self.opened.file == file_id(&self.opened.path) {
            Ok(())
        } else {
            Err(StoreError::Misplaced)
        }
    }

    /// Waits for what is under way, and closes the file. The last to close it folds the write-ahead
    /// log in.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Where it was opened.
    pub(super) fn path(&self) -> &Path {
        &self.opened.path
    }

    /// For single reading statements.
    pub(super) fn reader(&self) -> &SqlitePool {
        &self.readers
    }

    /// For single writing statements.
    pub(super) fn writer(&self) -> Result<&SqlitePool> {
        self.require_in_place()?;
        Ok(&self.writer)
    }

    /// Several reads of one moment.
    pub(super) async fn read(&self) -> Result<Transaction> {
        Ok(self.readers.begin().await?)
    }

    /// Takes the write lock now: a deferred transaction that reads first and writes later fails at
    /// once, whatever the busy timeout, if another process wrote in between.
    pub(super) async fn write(&self) -> Result<Transaction> {
        Ok(self.writer()?.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// A pool that takes no connection back which still counts as within a transaction: it is closed, and the
/// next is opened anew.
///
/// When the disk is full or fails, or memory runs out, `SQLite` rolls the transaction back by itself. The
/// rollback of sqlx then fails, for there is nothing to roll back; sqlx counts the transaction as open for
/// ever, and refuses every `BEGIN IMMEDIATE` on that connection from then on.
fn pool_of(connections: u32) -> SqlitePoolOptions {
    let options = SqlitePoolOptions::new().max_connections(connections);
    options.after_release(|connection, _| {
        Box::pin(async move {
            // A transaction that is dropped only asks for its rollback: the ping is answered behind it.
            connection.ping().await?;
            Ok(!connection.is_in_transaction())
        })
    })
}

/// Turning a new file to WAL needs it alone for a moment, and for that `SQLite` does not wait as its busy
/// timeout has it wait for a write.
async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool> {
    let until = Instant::now() + BUSY;
    loop {
        match pool_of(1).connect_with(options.clone()).await {
            Err(error) if code_of(&error) == Some(error::BUSY) && Instant::now() < until => {
                sleep(RETRY).await
            }
            connected => return Ok(connected?),
        }
    }
}

/// Under the write lock, since a service and its workers may open a new file at the same moment.
async fn migrate(writer: &SqlitePool) -> Result<()> {
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    // What `run` does, but `run` is generic over a lifetime in a way that makes this future not
    // `Send`.
    MIGRATIONS.run_direct(None, &mut *tx, false).await?;
    Ok(tx.commit().await?)
}
