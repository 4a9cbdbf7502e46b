//! Versions, their numbers, and their aliases.

use serde_json::Map;

use super::{Fixture, version};
use crate::jobs::parse_ref;
use crate::store::{Result, StoreError};

async fn publish(f: &Fixture, name: &str, sha256: &str) -> i64 {
    let (_, lease) = f.running(name).await;
    f.store
        .succeed(&lease, &version(sha256), &Map::new(), 20)
        .await
        .expect("succeeds")
}

async fn number(f: &Fixture, reference: &str) -> Result<i64> {
    let reference = parse_ref(reference).expect("a reference");
    f.store
        .model_version(&reference)
        .await
        .map(|version| version.version)
}

#[tokio::test]
async fn numbers_go_up_and_are_never_used_again() {
    let f = Fixture::new().await;
    assert_eq!(publish(&f, "a", "m1").await, 1);
    assert_eq!(publish(&f, "a", "m2").await, 2);
    assert_eq!(number(&f, "a").await.expect("newest"), 2);
    assert_eq!(number(&f, "a:1").await.expect("by number"), 1);

    assert_eq!(
        f.store.delete_model_version("a", 2).await.expect("deletes"),
        ["m2"]
    );
    assert_eq!(number(&f, "a").await.expect("newest"), 1);
    assert!(matches!(
        number(&f, "a:2").await,
        Err(StoreError::NotFound(_))
    ));
    assert_eq!(publish(&f, "a", "m3").await, 3);

    assert_eq!(
        f.store.delete_model("a").await.expect("deletes"),
        ["m1", "m3"]
    );
    assert!(matches!(
        f.store.model("a").await,
        Err(StoreError::NotFound(_))
    ));
    assert!(matches!(
        f.store.delete_model("a").await,
        Err(StoreError::NotFound(_))
    ));
    assert_eq!(publish(&f, "a", "m4").await, 4);
}

#[tokio::test]
async fn aliases_move_and_hold_what_they_name() {
    let f = Fixture::new().await;
    publish(&f, "a", "same").await;
    publish(&f, "a", "same").await;
    f.store.put_alias("a", "best", 1, 5).await.expect("puts");
    assert_eq!(number(&f, "a@best").await.expect("by alias"), 1);
    let held = f.store.delete_model_version("a", 1).await;
    assert!(matches!(held, Err(StoreError::Conflict(_))));

    f.store.put_alias("a", "best", 2, 6).await.expect("moves");
    assert_eq!(number(&f, "a@best").await.expect("by alias"), 2);
    assert!(
        f.store
            .delete_model_version("a", 1)
            .await
            .expect("deletes")
            .is_empty(),
        "2 has the same weights"
    );
    assert!(matches!(
        f.store.put_alias("a", "best", 1, 5).await,
        Err(StoreError::NotFound(_))
    ));

    let model = f.store.model("a").await.expect("the model");
    assert_eq!((model.aliases["best"], model.versions.len()), (2, 1));
    f.store.delete_alias("a", "best", 7).await.expect("deletes");
    assert!(matches!(
        f.store.delete_alias("a", "best", 7).await,
        Err(StoreError::NotFound(_))
    ));
    assert!(matches!(
        number(&f, "a@best").await,
        Err(StoreError::NotFound(_))
    ));
    let moves = f.store.alias_moves("a", "best").await.expect("its moves");
    let moves: Vec<_> = moves.iter().map(|m| (m.version, m.at)).collect();
    assert_eq!(moves, [(None, 7), (Some(2), 6), (Some(1), 5)]);
}

#[tokio::test]
async fn of_an_alias_the_last_moves_are_kept() {
    let f = Fixture::new().await;
    publish(&f, "a", "m").await;
    for now in 0..105 {
        f.store.put_alias("a", "best", 1, now).await.expect("puts");
        f.store.put_alias("a", "other", 1, 0).await.expect("puts");
    }
    let moves = f.store.alias_moves("a", "best").await.expect("its moves");
    assert_eq!(moves.len(), 100);
    assert_eq!((moves[0].at, moves[99].at), (104, 5));
    f.store.delete_model("a").await.expect("deletes");
    let moves = f.store.alias_moves("a", "best").await.expect("none");
    assert!(moves.is_empty(), "they went with the model");
}

#[tokio::test]
async fn a_model_goes_with_its_aliases() {
    let f = Fixture::new().await;
    publish(&f, "a", "m1").await;
    f.store.put_alias("a", "best", 1, 5).await.expect("puts");
    assert_eq!(f.store.delete_model("a").await.expect("deletes"), ["m1"]);
    assert!(f.store.all_artifacts().await.expect("artifacts").is_empty());
}

#[tokio::test]
async fn names_are_listed_newest_first_without_the_empty_ones() {
    let f = Fixture::new().await;
    for name in ["a", "b", "gone", "c"] {
        publish(&f, name, name).await;
    }
    publish(&f, "a", "a2").await;
    f.store.delete_model("gone").await.expect("deletes");
    let first = f.store.list_models(2, None).await.expect("lists");
    let names: Vec<&str> = first
        .items
        .iter()
        .map(|model| model.name.as_str())
        .collect();
    assert_eq!((names, first.has_more), (vec!["c", "b"], true));
    let second = f.store.list_models(2, Some("b")).await.expect("lists");
    assert_eq!((second.items.len(), second.has_more), (1, false));
    let versions: Vec<i64> = second.items[0]
        .versions
        .iter()
        .map(|version| version.version)
        .collect();
    assert_eq!(versions, [2, 1]);
}
