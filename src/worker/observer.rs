//! The outside of a run as the store sees it: progress at a bearable rate, metrics, checkpoints.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, json};

use super::checkpoint::{CheckpointError, Checkpoints};
use super::control::Control;
use super::now_ms;
use crate::nn::Tensors;
use crate::store::{EventKind, MetricPoint, NewEvent, Report as StoreReport, StoreError};
use crate::train::epoch_loop::Progress;
use crate::train::{Halt, Observer, Report, Request, Snapshot};

/// SQLite has one writer: a progress row costs more than many steps.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// Epochs longer than this also report means from inside the epoch.
const WINDOW: Duration = Duration::from_secs(3);

pub struct JobObserver {
    pub checkpoints: Checkpoints,
    control: Control,
    pace: Pace,
    reported: Instant,
    window: Window,
    window_opened: Instant,
}

/// Row-weighted sums of the steps since the last point.
type Window = BTreeMap<&'static str, (f64, u64)>;

/// Speed since this process took the job up.
struct Pace {
    started: Instant,
    first_step: Option<u64>,
    rows: u64,
}

impl JobObserver {
    pub fn new(checkpoints: Checkpoints, control: Control) -> Self {
        let now = Instant::now();
        Self {
            checkpoints,
            control,
            pace: Pace {
                started: now,
                first_step: None,
                rows: 0,
            },
            reported: now,
            window: Window::new(),
            window_opened: now,
        }
    }

    /// Writes a report; a busy database is no reason to stop training, a lost lease is.
    pub fn report(&self, report: &StoreReport) {
        let Checkpoints {
            store,
            lease,
            runtime,
            ..
        } = &self.checkpoints;
        match runtime.block_on(store.report(lease, report, now_ms())) {
            Ok(wish) => self.control.obey(wish),
            Err(StoreError::LeaseLost) => self.control.lose(),
            Err(error) => tracing::warn!(%error, "a progress report was not written"),
        }
    }

    fn progress(&self, p: Progress) -> (crate::jobs::Progress, Option<f64>) {
        let seconds = self.pace.started.elapsed().as_secs_f64().max(1e-6);
        let done = p.step - self.pace.first_step.unwrap_or(p.step);
        let eta = (done > 0)
            .then(|| (p.total_steps - p.step.min(p.total_steps)) as f64 * seconds / done as f64);
        let progress = crate::jobs::Progress {
            epoch: i64::from(p.epoch),
            epochs: i64::from(p.epochs),
            step: i64::try_from(p.step).unwrap_or(i64::MAX),
            total_steps: i64::try_from(p.total_steps).unwrap_or(i64::MAX),
            fraction: p.step as f64 / p.total_steps.max(1) as f64,
            samples_per_second: (done > 0).then(|| self.pace.rows as f64 / seconds),
        };
        (progress, eta)
    }

    fn send(&mut self, progress: Progress, points: Vec<MetricPoint>) {
        let (now, eta) = self.progress(progress);
        let latest: Map<_, _> = points
            .iter()
            .map(|p| (p.key.clone(), p.value.into()))
            .collect();
        self.report(&StoreReport {
            progress: Some(now),
            eta_seconds: eta,
            latest,
            points,
            ..StoreReport::default()
        });
        self.reported = Instant::now();
    }

    fn window_points(&mut self, progress: Progress) -> Vec<MetricPoint> {
        self.window_opened = Instant::now();
        std::mem::take(&mut self.window)
            .into_iter()
            .map(|(name, (sum, rows))| {
                point(format!("train/{name}"), sum / rows.max(1) as f64, progress)
            })
            .collect()
    }
}

fn point(key: String, value: f64, progress: Progress) -> MetricPoint {
    MetricPoint {
        key,
        step: i64::try_from(progress.step).unwrap_or(i64::MAX),
        epoch: i64::from(progress.epoch),
        value,
        at: now_ms(),
    }
}

fn halt(error: CheckpointError, control: &Control) -> Halt {
    if matches!(error, CheckpointError::Store(StoreError::LeaseLost)) {
        control.lose();
    }
    Halt::Observer(error.to_string())
}

impl Observer for JobObserver {
    fn request(&mut self) -> Request {
        self.control.request()
    }

    fn phase(&mut self, name: &str) {
        self.report(&StoreReport {
            phase: Some(name.to_owned()),
            ..StoreReport::default()
        });
    }

    fn adopted(&mut self, names: &[String]) {
        let message = format!("{} tensors were copied from init_from", names.len());
        self.report(&StoreReport {
            events: vec![NewEvent {
                kind: EventKind::Log,
                data: json!({ "level": "info", "message": message, "copied": names }),
                at: now_ms(),
            }],
            ..StoreReport::default()
        });
    }

    fn step(&mut self, progress: Progress, rows: u64, report: &Report) {
        if self.pace.first_step.is_none() {
            self.pace.first_step = Some(progress.step.saturating_sub(1));
        }
        self.pace.rows += rows;
        for &(name, value) in &report.0 {
            let (sum, count) = self.window.entry(name).or_default();
            *sum += value * rows as f64;
            *count += rows;
        }
        if self.reported.elapsed() >= REPORT_EVERY {
            let due = self.window_opened.elapsed() >= WINDOW;
            let points = if due {
                self.window_points(progress)
            } else {
                Vec::new()
            };
            self.send(progress, points);
        }
    }

    fn epoch(&mut self, progress: Progress, metrics: &[(String, f64)]) {
        self.window.clear();
        self.window_opened = Instant::now();
        let points = metrics
            .iter()
            .map(|(key, value)| point(key.clone(), *value, progress))
            .collect();
        self.send(progress, points);
    }

    fn checkpoint(&mut self, snapshot: Snapshot<'_>) -> Result<(), Halt> {
        self.checkpoints
            .write(&snapshot)
            .map_err(|e| halt(e, &self.control))
    }

    fn recall_best(&mut self) -> Result<Option<Tensors>, Halt> {
        self.checkpoints.best().map_err(|e| halt(e, &self.control))
    }
}
