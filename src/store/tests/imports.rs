//! Versions that no job has trained, and files from before there were any.

use serde_json::Map;
use sqlx::migrate::{Migration, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;

use super::{Fixture, version};
use crate::jobs::parse_ref;
use crate::store::{Store, StoreError};

#[tokio::test]
async fn an_imported_version_is_the_next_of_its_name_and_has_no_job() {
    let f = Fixture::new().await;
    let (_, lease) = f.running("a").await;
    let trained = f
        .store
        .succeed(&lease, &version("m1"), &Map::new(), 20)
        .await;
    assert_eq!(trained.expect("succeeds"), 1);
    let import = |name: &'static str, sha256| {
        let store = f.store.clone();
        async move {
            store
                .import_version(name, "rbm", &version(sha256), 30)
                .await
        }
    };
    assert_eq!(import("a", "m2").await.expect("imports"), 2);
    assert_eq!(import("b", "m2").await.expect("imports"), 1);
    let second = parse_ref("a:2").expect("a reference");
    let found = f.store.model_version(&second).await.expect("the version");
    assert_eq!((found.job_id, found.dataset), (None, None));
    assert_eq!((found.kind.as_str(), found.created_at), ("rbm", 30));
    assert!(f.store.is_artifact_named("m2").await.expect("asks"));
    let orphans = f.store.delete_model("b").await.expect("deletes");
    assert!(orphans.is_empty(), "a:2 has the same weights");
    assert_eq!(
        f.store.delete_model_version("a", 2).await.expect("deletes"),
        ["m2"]
    );
    assert_eq!(import("b", "m3").await.expect("imports"), 2);
}

/// Everything up to this migration, on a file of its own.
pub(super) async fn file_as_of(migration: i64, folder: &TempDir) -> SqlitePool {
    let all = Migrator::new(std::path::Path::new("./migrations")).await;
    let all = all.expect("migrations");
    let upto = all.iter().filter(|m| m.version <= migration).cloned();
    let upto: Vec<Migration> = upto.collect();
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("latentd.db"))
        .create_if_missing(true)
        .foreign_keys(true);
    let pool = SqlitePool::connect_with(options).await.expect("opens");
    Migrator::with_migrations(upto)
        .run(&pool)
        .await
        .expect("migrates");
    pool
}

#[tokio::test]
async fn versions_and_aliases_of_an_older_file_are_still_there() {
    let folder = TempDir::new().expect("a folder");
    let old = file_as_of(5, &folder).await;
    for statement in [
        "INSERT INTO models (name, next_version) VALUES ('a', 3)",
        "INSERT INTO model_versions SELECT 'a', 1, 'rbm', '{}', 'job_1', 'digits', '[4]', '[2]', 9, '[]', '{}', '{}', \
            'm1', 5, 7",
        "INSERT INTO model_versions SELECT 'a', 2, 'pca', '{}', 'job_2', 'digits', '[4]', NULL, 9, '[]', '{}', '{}', \
            'm2', 5, 8",
        "INSERT INTO model_aliases (name, alias, version) VALUES ('a', 'best', 1), ('a', 'new', 2)",
    ] {
        sqlx::query(statement).execute(&old).await.expect(statement);
    }
    old.close().await;
    let store = Store::open(&folder.path().join("latentd.db"))
        .await
        .expect("opens");
    let model = store.model("a").await.expect("the model");
    assert_eq!((model.aliases["best"], model.aliases["new"]), (1, 2));
    let [newest, oldest] = model.versions.as_slice() else {
        panic!("{:?}", model.versions);
    };
    assert_eq!(
        (newest.job_id.as_deref(), newest.code_shape.as_ref()),
        (Some("job_2"), None)
    );
    assert_eq!(
        (oldest.dataset.as_deref(), oldest.created_at),
        (Some("digits"), 7)
    );
    // What refers to it still does, and the numbers go on.
    let held = store.delete_model_version("a", 1).await;
    assert!(matches!(held, Err(StoreError::Conflict(_))), "{held:?}");
    let moved = store.put_alias("a", "best", 7, 9).await;
    assert!(matches!(moved, Err(StoreError::NotFound(_))), "{moved:?}");
    let next = store.import_version("a", "rbm", &version("m3"), 9).await;
    assert_eq!(next.expect("imports"), 3);
}
