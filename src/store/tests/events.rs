//! Reports and the events that tell of them.

use serde_json::{Map, json};

use super::{Fixture, checkpoint, version};
use crate::jobs::JobProgress;
use crate::store::{EventKind, JobReport, NewEvent};
use crate::train::Directive;

#[tokio::test]
async fn the_events_of_a_life_in_order() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let progress = JobProgress {
        epoch: 1,
        epochs: 2,
        step: 10,
        fraction: f64::NAN,
        ..JobProgress::default()
    };
    let log = NewEvent {
        kind: EventKind::Log,
        data: json!({ "message": "hello" }),
        at: 20,
    };
    let report = JobReport {
        phase: Some("training".into()),
        progress: Some(progress),
        eta_seconds: Some(3.5),
        device: Some("cpu".into()),
        latest: Map::from_iter([("train/loss".to_owned(), json!(0.5))]),
        points: Vec::new(),
        events: vec![log.clone()],
    };
    assert_eq!(
        f.store.report(&lease, &report, 20).await.expect("reports"),
        Directive::Continue
    );
    f.store
        .append_events(&lease, &[log.clone(), log])
        .await
        .expect("appends");
    f.store
        .record_checkpoint(&lease, &checkpoint(10, "c1", true), 2, 21)
        .await
        .expect("records");
    f.store
        .succeed(&lease, &version("m1"), &Map::new(), 22)
        .await
        .expect("succeeds");

    let events = f
        .store
        .events(&job.id, 0, 100)
        .await
        .expect("events")
        .events;
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    let wanted = "status status phase progress metrics log log log checkpoint status end";
    assert_eq!(kinds.join(" "), wanted);
    assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!(events[9].data["result"]["version"], 1);
    assert_eq!(events[10].data, json!({ "status": "succeeded" }));

    let rest = f
        .store
        .events(&job.id, events[3].id, 2)
        .await
        .expect("events")
        .events;
    assert_eq!(rest, events[4..6]);
}

#[tokio::test]
async fn a_report_changes_what_it_names() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let latest = |key: &str, value: f64| Map::from_iter([(key.to_owned(), json!(value))]);
    let first = JobReport {
        phase: Some("loading".into()),
        progress: Some(JobProgress {
            step: 1,
            ..JobProgress::default()
        }),
        eta_seconds: Some(9.0),
        device: Some("cpu".into()),
        latest: latest("a", 1.0),
        ..JobReport::default()
    };
    let second = JobReport {
        phase: Some("loading".into()),
        latest: latest("b", 2.0),
        ..JobReport::default()
    };
    f.store.report(&lease, &first, 20).await.expect("reports");
    f.store.report(&lease, &second, 30).await.expect("reports");
    let job = f.job(&job.id).await;
    assert_eq!(
        (job.phase.as_deref(), job.device.as_deref()),
        (Some("loading"), Some("cpu"))
    );
    assert_eq!((job.progress.step, job.eta_seconds), (1, Some(9.0)));
    assert_eq!(
        serde_json::Value::from(job.metrics),
        json!({ "a": 1.0, "b": 2.0 })
    );
    let events = f
        .store
        .events(&job.id, 0, 100)
        .await
        .expect("events")
        .events;
    assert_eq!(
        events
            .iter()
            .filter(|event| event.kind == EventKind::Phase)
            .count(),
        1
    );

    f.store.cancel(&job.id, 40).await.expect("cancels");
    let told = f
        .store
        .report(&lease, &JobReport::default(), 50)
        .await
        .expect("reports");
    assert_eq!(told, Directive::Cancel);
}

#[tokio::test]
async fn many_events_at_once() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let events: Vec<NewEvent> = (0..2500)
        .map(|n| NewEvent {
            kind: EventKind::Log,
            data: json!({ "n": n }),
            at: n,
        })
        .collect();
    f.store
        .append_events(&lease, &events)
        .await
        .expect("appends");
    let read = f
        .store
        .events(&job.id, 0, 10_000)
        .await
        .expect("events")
        .events;
    let numbers: Vec<i64> = read
        .iter()
        .filter_map(|event| event.data["n"].as_i64())
        .collect();
    assert_eq!(numbers, (0..2500).collect::<Vec<i64>>());
}

#[tokio::test]
async fn of_a_long_log_the_end_is_kept_and_the_gap_is_told() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let (other, _) = f.running("b").await;
    let lines: Vec<NewEvent> = (0..100)
        .map(|i| NewEvent {
            kind: EventKind::Log,
            data: json!({ "line": i }),
            at: i,
        })
        .collect();
    f.store
        .append_events(&lease, &lines)
        .await
        .expect("appends");
    let before = f.store.events(&job.id, 0, 1000).await.expect("events");
    assert_eq!(before.gap, None);
    let dropped = f.store.prune_events(10, 0).await.expect("prunes");
    assert_eq!(dropped, before.events.len() as u64 - 10);

    let page = f.store.events(&job.id, 0, 1000).await.expect("events");
    assert_eq!(page.events, before.events[before.events.len() - 10..]);
    let gap = page.gap.expect("a gap");
    assert_eq!(gap, before.events[before.events.len() - 11].id);
    // Who was further on has missed nothing.
    let on = f.store.events(&job.id, gap, 1000).await.expect("events");
    assert_eq!((on.gap, on.events), (None, page.events));
    let untouched = f.store.events(&other.id, 0, 1000).await.expect("events");
    assert_eq!((untouched.gap, untouched.events.len()), (None, 2));
}
