//! Reports a run to the store: progress at most twice a second, since SQLite has one writer, metrics at the
//! ends of epochs, checkpoints and preview pictures.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, json};

use super::checkpoint::{CheckpointError, Checkpoints};
use super::preview::Preview;
use super::room::{AGAIN, once_there_is_room};
use crate::artifacts::WantOfRoom;
use crate::clock::now_ms;
use crate::jobs::JobProgress;
use crate::nn::Tensors;
use crate::store::{EventKind, JobReport, MetricPoint, NewEvent, StoreError};
use crate::traces;
use crate::train::forecast::{Forecast, PlannedPhase};
use crate::train::{Adopted, Directive, Halt, Observer, Progress, Report, Snapshot, StopSignal};
use crate::verbs::Model;

/// SQLite has one writer: a progress row costs more than many steps.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// The phase of a job that cannot write what it has learnt.
const WAITS: &str = "waiting for room on the disk";
/// Epochs longer than this also report means from inside the epoch.
const WINDOW: Duration = Duration::from_secs(3);

pub struct JobObserver {
    pub checkpoints: Checkpoints,
    /// Where rows are images.
    pub preview: Option<Preview>,
    /// The run as a span, where spans are sent.
    pub trace: Option<traces::JobSpan>,
    signal: StopSignal,
    /// What the run is at, as it was told last.
    phase: Option<String>,
    throughput: Throughput,
    reported: Instant,
    window: Window,
    window_opened: Instant,
}

/// Row-weighted sums of the steps since the last point.
type Window = BTreeMap<&'static str, (f64, u64)>;

/// How fast the run is since this process took the job up, and how long it will take.
struct Throughput {
    forecast: Forecast,
    /// Of the first step here; time before it is set-up.
    started: Option<Instant>,
    /// Until when, and until which step, time is accounted for.
    accounted: Instant,
    step: u64,
    /// Whether an epoch was closed since the last step.
    between: bool,
    rows: u64,
}

impl Throughput {
    /// Accounts for the time since the last call, in which the run came to `step`.
    fn step(&mut self, step: u64, rows: u64) {
        let since = self.accounted;
        let seconds = self.unaccounted();
        if self.started.is_none() {
            // It touches memory and libraries for the first time, and is like no other.
            self.started = Some(since);
        } else if self.between {
            self.forecast.record_first_step(step, seconds);
        } else {
            self.forecast.record_steps(self.step, step, seconds);
        }
        self.between = false;
        self.step = step;
        self.rows += rows;
    }

    fn close_epoch(&mut self) {
        let seconds = self.unaccounted();
        self.forecast.record_close(seconds);
        self.between = true;
    }

    /// Seconds since the last call, which are accounted for now.
    fn unaccounted(&mut self) -> f64 {
        let now = Instant::now();
        let seconds = (now - self.accounted).as_secs_f64();
        self.accounted = now;
        seconds
    }

    fn rows_per_second(&self) -> Option<f64> {
        let seconds = self.started?.elapsed().as_secs_f64();
        (seconds > 0.0).then(|| self.rows as f64 / seconds)
    }
}

impl JobObserver {
    pub fn new(checkpoints: Checkpoints, signal: StopSignal) -> Self {
        let now = Instant::now();
        Self {
            checkpoints,
            preview: None,
            trace: None,
            signal,
            phase: None,
            throughput: Throughput {
                forecast: Forecast::default(),
                started: None,
                accounted: now,
                step: 0,
                between: false,
                rows: 0,
            },
            reported: now,
            window: Window::new(),
            window_opened: now,
        }
    }

    /// Writes a report; a busy database is no reason to stop training, a lost lease is.
    pub fn report(&self, report: &JobReport) {
        let Checkpoints {
            store,
            lease,
            runtime,
            reserve,
            ..
        } = &self.checkpoints;
        let write = || store.report(lease, report, now_ms());
        match runtime.block_on(reserve.spend(write)) {
            Ok(directive) => self.signal.raise(directive),
            Err(StoreError::LeaseLost) => self.signal.raise(Directive::Lost),
            Err(error) => tracing::warn!(%error, "a progress report was not written"),
        }
    }

    /// Does what needs the disk, and tells of the wait if it is full; `None` if the worker is to leave first.
    pub fn once_there_is_room<T, E: WantOfRoom>(
        &self,
        work: impl FnMut() -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let tell = |waits| {
            let (phase, message) = match waits {
                true => (
                    Some(WAITS.to_owned()),
                    "the disk is full: the job waits for room",
                ),
                false => (self.phase.clone(), "there is room again: the job goes on"),
            };
            tracing::warn!(job = self.checkpoints.lease.job_id, "{message}");
            let data = json!({ "level": "warn", "message": message });
            self.report(&JobReport {
                phase,
                events: vec![NewEvent::new(EventKind::Log, data, now_ms())],
                ..JobReport::default()
            });
        };
        once_there_is_room(&self.signal, tell, work)
    }

    /// The text of an error, which may be that the lease is lost.
    fn noted(&self, error: CheckpointError) -> String {
        if matches!(error, CheckpointError::Store(StoreError::LeaseLost)) {
            self.signal.raise(Directive::Lost);
        }
        error.to_string()
    }

    fn progress(&self, p: Progress) -> (JobProgress, Option<f64>) {
        let eta = self.throughput.forecast.seconds_left(p.step);
        let progress = JobProgress {
            epoch: i64::from(p.epoch),
            epochs: i64::from(p.epochs),
            step: i64::try_from(p.step).unwrap_or(i64::MAX),
            total_steps: i64::try_from(p.total_steps).unwrap_or(i64::MAX),
            fraction: self.throughput.forecast.fraction(p.step),
            samples_per_second: self.throughput.rows_per_second(),
        };
        (progress, eta)
    }

    fn send(&mut self, progress: Progress, points: Vec<MetricPoint>) {
        let (now, eta) = self.progress(progress);
        let latest: Map<_, _> = points
            .iter()
            .map(|p| (p.key.clone(), p.value.into()))
            .collect();
        self.report(&JobReport {
            progress: Some(now),
            eta_seconds: eta,
            latest,
            points,
            ..JobReport::default()
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

impl Observer for JobObserver {
    fn plan(&mut self, phases: Vec<PlannedPhase>) {
        self.throughput.forecast = Forecast::new(phases);
        self.throughput.accounted = Instant::now();
    }

    fn directive(&mut self) -> Directive {
        self.signal.directive()
    }

    fn phase(&mut self, name: &str) {
        self.phase = Some(name.to_owned());
        self.report(&JobReport {
            phase: Some(name.to_owned()),
            ..JobReport::default()
        });
    }

    fn adopted(&mut self, adopted: &Adopted) {
        let Adopted { copied, frozen } = adopted;
        let mut message = format!("{} tensors were copied from init_from", copied.len());
        let held = frozen.names().count();
        if held > 0 {
            message += &format!(", {held} of them stay as they are");
        }
        let data =
            json!({ "level": "info", "message": message, "copied": copied, "frozen": frozen });
        self.report(&JobReport {
            events: vec![NewEvent::new(EventKind::Log, data, now_ms())],
            ..JobReport::default()
        });
    }

    fn step(&mut self, progress: Progress, rows: u64, report: &Report) {
        self.throughput.step(progress.step, rows);
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

    /// A picture that cannot be made or kept is no reason to stop training.
    fn preview(&mut self, epoch: u32, model: &dyn Model) {
        let Some(png) = self.preview.as_ref().and_then(|p| p.picture(model)) else {
            return;
        };
        if let Err(error) = self.checkpoints.write_sample(epoch, &png) {
            tracing::warn!(error = self.noted(error), "a sample picture was not kept");
        }
    }

    fn epoch(&mut self, progress: Progress, metrics: &[(String, f64)]) {
        if let Some(trace) = &mut self.trace {
            trace.epoch(progress.epoch, metrics);
        }
        self.throughput.close_epoch();
        self.window.clear();
        self.window_opened = Instant::now();
        let points = metrics
            .iter()
            .map(|(key, value)| point(key.clone(), *value, progress))
            .collect();
        self.send(progress, points);
    }

    fn checkpoint(&mut self, snapshot: Snapshot<'_>) -> Result<(), Halt> {
        let began = Instant::now();
        let written = self.once_there_is_room(|| self.checkpoints.write(&snapshot));
        if began.elapsed() > AGAIN {
            // Not what a step takes.
            self.throughput.accounted = Instant::now();
        }
        written.map(drop).map_err(|e| Halt::Observer(self.noted(e)))
    }

    fn recall_best(&mut self) -> Result<Option<Tensors>, Halt> {
        let best = self.checkpoints.best();
        best.map_err(|e| Halt::Observer(self.noted(e)))
    }
}
