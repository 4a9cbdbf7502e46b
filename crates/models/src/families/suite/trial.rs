//! One small net in training, on the built-in digits and without HTTP.

use std::error::Error;
use std::rc::Rc;

use serde_json::Value;
use tch::Device;

use super::table::{Small, table, table_of_targets};
use crate::artifacts::weights;
use crate::data::digits::write_digits;
use crate::data::import::sink::ColumnSink;
use crate::data::reader::ColumnFile;
use crate::data::split::Split;
use crate::data::{Column, Dtype, Imported, Role, SplitFiles};
use crate::document::FieldError;
use crate::families::Family;
use crate::nn::Tensors;
use crate::nn::model::DataFacts;
use crate::train::{
    Cursor, Directive, Halt, Learner, Observer, Outcome, Progress, Report, Run, Snapshot, Start,
    Training, fit, resume,
};
use crate::verbs::Model;

/// Nets, each with the digits it is tried on.
pub type Trials = Vec<(Small, Rc<Digits>)>;

/// Those of both tables.
pub fn trials() -> Result<Trials, Box<dyn Error>> {
    let (labelled, of_targets) = (Rc::new(Digits::new()?), Rc::new(Digits::with_targets()?));
    let with = |digits: &Rc<Digits>| {
        let digits = Rc::clone(digits);
        move |small| (small, Rc::clone(&digits))
    };
    let first = table().into_iter().map(with(&labelled));
    let second = table_of_targets().into_iter().map(with(&of_targets));
    Ok(first.chain(second).collect())
}

/// The digits on disk, and what nets know of them.
pub struct Digits {
    pub train: Split,
    pub test: Split,
    pub facts: DataFacts,
    _folder: tempfile::TempDir,
}

impl Digits {
    pub fn new() -> Result<Self, Box<dyn Error>> {
        Self::open(10, 0)
    }

    /// Their labels are there too, and are not to be taken for the targets.
    pub fn with_targets() -> Result<Self, Box<dyn Error>> {
        Self::open(10, 1)
    }

    fn open(classes: i64, targets: i64) -> Result<Self, Box<dyn Error>> {
        // Sums split over other threads have other last bits.
        tch::set_num_threads(1);
        let folder = tempfile::tempdir()?;
        let digits = write_digits(folder.path())?;
        let open = |name: &str, imported: Imported| -> Result<Split, Box<dyn Error>> {
            let files = SplitFiles::of(folder.path(), name);
            let mut columns = imported.columns;
            if targets > 0 {
                columns.push(write_targets(&files)?);
            }
            Ok(Split::open(&files, &columns)?)
        };
        Ok(Self {
            train: open("train", digits.train)?,
            test: open("test", digits.test)?,
            facts: DataFacts::new(&[1, 8, 8], (0.0, 1.0))
                .with_classes(Some(classes))
                .with_targets(targets > 0),
            _folder: folder,
        })
    }
}

fn write_targets(files: &SplitFiles) -> Result<Column, Box<dyn Error>> {
    let rows = ColumnFile::open(&files.path(Role::Rows))?;
    let values = rows.values::<f32>().ok_or("digits are floats")?;
    let targets = files.path(Role::Targets);
    let mut sink = ColumnSink::create(&targets, Role::Targets, Dtype::F64, 1 << 20)?;
    for row in values.chunks_exact(64) {
        sink.push(250_000.0 - 5000.0 * f64::from(row[..32].iter().sum::<f32>()))?;
    }
    Ok(sink.finish(&[])?.column)
}

/// One small net in training.
pub struct Trial<'a> {
    pub family: &'static Family,
    pub spec: Value,
    pub training: Training,
    digits: &'a Digits,
}

impl<'a> Trial<'a> {
    pub fn new(small: &Small, seed: u64, digits: &'a Digits) -> Result<Self, Box<dyn Error>> {
        let trial = Self::of(&small.model, small.settings, seed, digits)?;
        let broken = trial.broken_rules();
        assert!(broken.is_empty(), "{}: {broken:?}", small.name);
        Ok(trial)
    }

    /// Of a net that the table does not hold.
    pub fn of(
        model: &Value,
        settings: impl FnOnce(&mut Training),
        seed: u64,
        digits: &'a Digits,
    ) -> Result<Self, Box<dyn Error>> {
        let kind = model["kind"].as_str().unwrap_or_default();
        let family = Family::find(kind).ok_or("no such family")?;
        let spec = (family.normalise)(model).map_err(|e| format!("{e:?}"))?;
        let mut training = Training::of(&family.training_defaults, 1);
        training.batch_size = 100;
        training.seed = seed;
        settings(&mut training);
        Ok(Self {
            family,
            spec,
            training,
            digits,
        })
    }

    pub fn broken_rules(&self) -> Vec<FieldError> {
        (self.family.check)(&self.spec, &self.training, &self.digits.facts)
    }

    pub fn learner(&self) -> Result<Box<dyn Learner>, Box<dyn Error>> {
        let facts = &self.digits.facts;
        Ok((self.family.learner)(
            &self.spec,
            &self.training,
            facts,
            Device::Cpu,
        )?)
    }

    /// Trains from a cursor until the end, or until `leave` steps are done in all.
    pub fn fit(
        &self,
        learner: &mut dyn Learner,
        cursor: Cursor,
        leave: Option<u64>,
    ) -> Result<(Outcome, Watcher), Halt> {
        self.fit_from(learner, cursor, leave, None)
    }

    /// The same of a run that starts from another model's weights.
    pub fn fit_from(
        &self,
        learner: &mut dyn Learner,
        cursor: Cursor,
        leave: Option<u64>,
        start_from: Option<Start<'_>>,
    ) -> Result<(Outcome, Watcher), Halt> {
        let mut watcher = Watcher {
            leave,
            ..Watcher::default()
        };
        let run = Run {
            learner,
            train: &self.digits.train,
            test: Some(&self.digits.test),
            training: &self.training,
            device: Device::Cpu,
            cursor,
            step_costs: &[],
            start_from,
        };
        let outcome = fit(run, &mut watcher)?;
        Ok((outcome, watcher))
    }

    /// The weights of a run that goes on from where another one left.
    pub fn gone_on(&self, left: Watcher) -> Result<Vec<u8>, Box<dyn Error>> {
        let (cursor, bytes) = left.left.ok_or("no checkpoint")?;
        let (state, _): (Tensors, String) = weights::decode(&bytes)?;
        let mut learner = self.learner()?;
        resume(learner.as_mut(), &cursor, &state)?;
        self.fit(learner.as_mut(), cursor, None)?;
        Ok(bytes_of(learner.model())?)
    }
}

/// Leaves after so many steps, and keeps the last checkpoint as bytes.
#[derive(Default)]
pub struct Watcher {
    leave: Option<u64>,
    pub step: u64,
    pub phases: Vec<String>,
    pub left: Option<(Cursor, Vec<u8>)>,
}

impl Observer for Watcher {
    fn directive(&mut self) -> Directive {
        if self.leave.is_some_and(|leave| self.step >= leave) {
            Directive::Release
        } else {
            Directive::Continue
        }
    }
    fn phase(&mut self, name: &str) {
        self.phases.push(name.to_owned());
    }
    fn step(&mut self, progress: Progress, _rows: u64, _report: &Report) {
        self.step = progress.step;
    }
    fn epoch(&mut self, _progress: Progress, _metrics: &[(String, f64)]) {}
    fn checkpoint(&mut self, snapshot: Snapshot<'_>) -> Result<(), Halt> {
        let bytes =
            weights::encode(&snapshot.state, &"").map_err(|e| Halt::Observer(e.to_string()))?;
        self.left = Some((snapshot.cursor.clone(), bytes));
        Ok(())
    }
    fn recall_best(&mut self) -> Result<Option<Tensors>, Halt> {
        Ok(None)
    }
}

pub fn bytes_of(model: &dyn Model) -> Result<Vec<u8>, weights::WeightsError> {
    weights::encode(&model.tensors(), &"")
}
