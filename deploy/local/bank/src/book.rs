//! What the bank knows: instructions, decisions, the statement, and the webhooks that are not delivered yet.
//!
//! Every change is a record of the journal. The same code applies it when it happens and when the journal is read at the start.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    io,
    path::Path,
};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, SubsecRound as _, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{
    domain::{Acceptance, Decision, Fate, Identifier, Misbehaviour, Notice, Terms},
    journal::Journal,
    metrics,
};

/// Entries of one page of the statement.
pub(crate) const PAGE: usize = 100;

/// A change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Accepted(Box<Acceptance>),
    Decided {
        id: Identifier,
        at: DateTime<Utc>,
    },
    /// The receiver has acknowledged the next webhook of the instruction.
    Delivered {
        id: Identifier,
    },
    /// The time for the webhooks of the instruction is over.
    Abandoned {
        id: Identifier,
    },
}

/// An instruction with all that happened to it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) acceptance: Acceptance,
    pub(crate) decided_at: Option<DateTime<Utc>>,
    /// Webhooks that are acknowledged or abandoned.
    n_finished: usize,
    /// Failed attempts of the next webhook. A restart forgets them.
    n_failed: u32,
    /// When the next webhook is due. `None` while there is none, or an attempt is under way.
    attempt_at: Option<DateTime<Utc>>,
}

impl Case {
    /// Returns the decision once it is made.
    pub(crate) fn decision(&self) -> Option<Decision> {
        self.decided_at.map(|_| self.acceptance.fate.decision)
    }

    fn next_notice(&self) -> Option<Notice> {
        let notices = &self.acceptance.fate.notices;
        self.acceptance.terms.webhook_url.as_ref().and_then(|_| notices.get(self.n_finished)).copied()
    }
}

/// The outcome of a PUT.
#[derive(Debug)]
pub(crate) enum Put {
    Created(Case),
    /// The same instruction again.
    Known(Case),
    /// The id has other terms.
    Conflict,
}

/// A webhook that is due.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) case: Case,
    pub(crate) notice: Notice,
    /// The receiver has acknowledged the same webhook before.
    pub(crate) is_repeated: bool,
    /// Failed attempts before this one.
    pub(crate) n_failed: u32,
    pub(crate) decided_at: DateTime<Utc>,
}

/// Everything the bank knows.
pub(crate) struct Book {
    state: Mutex<State>,
    journal: Journal,
    /// Wakes the worker that decides.
    accepted: Notify,
    /// Wakes the worker that delivers webhooks.
    announced: Notify,
}

#[derive(Default)]
struct State {
    cases: HashMap<Identifier, Case>,
    /// By the time at which they are due.
    undecided: BTreeSet<(DateTime<Utc>, Identifier)>,
    /// Settled instructions in the order of their settlement: entry 1 of the statement is the first.
    settled: Vec<Identifier>,
    /// Instructions with a webhook, by the time of its next attempt.
    unsent: BTreeSet<(DateTime<Utc>, Identifier)>,
}

impl State {
    fn apply(&mut self, record: Record) -> anyhow::Result<()> {
        match record {
            Record::Accepted(acceptance) => self.accept(*acceptance)?,
            Record::Decided { id, at } => {
                let case = self.case(&id)?;
                ensure!(case.decided_at.replace(at).is_none(), "instruction {id} was decided before");
                let (due, is_settled) =
                    (case.acceptance.due(), case.acceptance.fate.decision == Decision::Settled);
                self.undecided.remove(&(due, id.clone()));
                if is_settled {
                    self.settled.push(id.clone());
                }
                self.schedule(&id, at)?;
            }
            Record::Delivered { id } => {
                let case = self.case(&id)?;
                case.n_finished += 1;
                case.n_failed = 0;
                let decided_at = case.decided_at.context("a webhook came before its decision")?;
                self.schedule(&id, decided_at)?;
            }
            Record::Abandoned { id } => {
                let case = self.case(&id)?;
                case.n_finished = case.acceptance.fate.notices.len();
                self.unschedule(&id)?;
            }
        }
        Ok(())
    }

    fn accept(&mut self, acceptance: Acceptance) -> anyhow::Result<()> {
        let id = acceptance.id.clone();
        self.undecided.insert((acceptance.due(), id.clone()));
        let case = Case { acceptance, decided_at: None, n_finished: 0, n_failed: 0, attempt_at: None };
        let known = self.cases.insert(id, case);
        ensure!(known.is_none(), "an instruction was accepted before");
        Ok(())
    }

    fn case(&mut self, id: &Identifier) -> anyhow::Result<&mut Case> {
        self.cases.get_mut(id).with_context(|| format!("instruction {id} was never accepted"))
    }

    /// Plans the next attempt of the next webhook, if there is one.
    fn schedule(&mut self, id: &Identifier, at: DateTime<Utc>) -> anyhow::Result<()> {
        self.unschedule(id)?;
        let case = self.case(id)?;
        if case.next_notice().is_some() {
            case.attempt_at = Some(at);
            self.unsent.insert((at, id.clone()));
        }
        Ok(())
    }

    fn unschedule(&mut self, id: &Identifier) -> anyhow::Result<()> {
        if let Some(at) = self.case(id)?.attempt_at.take() {
            self.unsent.remove(&(at, id.clone()));
        }
        Ok(())
    }
}

impl Book {
    /// Reads the journal, or begins one.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let (journal, records) = Journal::open(path)?;
        let mut state = State::default();
        for (line, record) in (1..).zip(records) {
            let wrong =
                || format!("line {line} of the journal {} contradicts those before it", path.display());
            state.apply(record).with_context(wrong)?;
        }
        tracing::info!(
            instructions = state.cases.len(),
            undecided = state.undecided.len(),
            webhooks = state.unsent.len(),
            "the journal is read"
        );
        Ok(Self { state: Mutex::new(state), journal, accepted: Notify::new(), announced: Notify::new() })
    }

    /// Waits until all that was read or changed so far is on disk: the condition of every response and webhook.
    pub(crate) async fn synced(&self) -> io::Result<()> {
        self.journal.synced().await
    }

    fn record(&self, state: &mut State, record: Record) -> anyhow::Result<()> {
        self.journal.append(&record);
        state.apply(record)
    }

    /// Accepts an instruction, unless its id is known.
    pub(crate) async fn put(
        &self,
        id: Identifier,
        terms: Terms,
        misbehaviour: &Misbehaviour,
    ) -> anyhow::Result<Put> {
        let put = self.put_unsynced(id, terms, misbehaviour)?;
        self.synced().await?;
        Ok(put)
    }

    fn put_unsynced(&self, id: Identifier, terms: Terms, misbehaviour: &Misbehaviour) -> anyhow::Result<Put> {
        let mut state = self.state.lock();
        if let Some(case) = state.cases.get(&id) {
            let is_same = case.acceptance.terms == terms;
            return Ok(if is_same { Put::Known(case.clone()) } else { Put::Conflict });
        }
        let fate = Fate::draw(&id, misbehaviour);
        let acceptance = Acceptance { id: id.clone(), terms, at: now(), fate };
        self.record(&mut state, Record::Accepted(Box::new(acceptance)))?;
        metrics::INSTRUCTIONS.with_label_values(&["accepted"]).inc();
        self.accepted.notify_one();
        Ok(Put::Created(state.case(&id)?.clone()))
    }

    /// Returns an instruction.
    pub(crate) async fn find(&self, id: &Identifier) -> io::Result<Option<Case>> {
        let found = self.state.lock().cases.get(id).cloned();
        self.synced().await?;
        Ok(found)
    }

    /// Returns a page of settled instructions with their entry numbers, and whether there are more.
    pub(crate) async fn statement(&self, after: usize) -> io::Result<(Vec<(usize, Case)>, bool)> {
        let page = {
            let state = self.state.lock();
            let entries = (1..).zip(&state.settled).skip(after).take(PAGE);
            let cases = entries.filter_map(|(entry, id)| Some((entry, state.cases.get(id)?.clone())));
            (cases.collect(), state.settled.len() > after.saturating_add(PAGE))
        };
        self.synced().await?;
        Ok(page)
    }

    /// Waits until an instruction can be decided.
    pub(crate) async fn decision_is_due(&self) {
        let next = || self.state.lock().undecided.first().map(|(at, _)| *at);
        is_due(next, || self.accepted.notified()).await;
    }

    /// Decides all instructions that are due.
    pub(crate) async fn decide(&self) -> anyhow::Result<()> {
        self.decide_unsynced()?;
        self.synced().await?;
        self.announced.notify_one();
        Ok(())
    }

    fn decide_unsynced(&self) -> anyhow::Result<()> {
        let mut state = self.state.lock();
        let at = now();
        while let Some((_, id)) = state.undecided.first().filter(|(due, _)| *due <= at) {
            let id = id.clone();
            let outcome = match state.case(&id)?.acceptance.fate.decision {
                Decision::Settled => "settled",
                Decision::Refused(_) => "refused",
            };
            self.record(&mut state, Record::Decided { id, at })?;
            metrics::INSTRUCTIONS.with_label_values(&[outcome]).inc();
        }
        Ok(())
    }

    /// Waits until a webhook is due.
    pub(crate) async fn webhook_is_due(&self) {
        let next = || self.state.lock().unsent.first().map(|(at, _)| *at);
        is_due(next, || self.announced.notified()).await;
    }

    /// Takes the next webhook that is due, until its outcome is known.
    pub(crate) fn take_webhook(&self) -> Option<Due> {
        let mut state = self.state.lock();
        state.unsent.first().filter(|(at, _)| *at <= now())?;
        let (_, id) = state.unsent.pop_first()?;
        let case = state.cases.get_mut(&id)?;
        case.attempt_at = None;
        let (notice, decided_at) = (case.next_notice()?, case.decided_at?);
        let is_repeated =
            case.acceptance.fate.notices.iter().take(case.n_finished).any(|done| *done == notice);
        Some(Due { notice, is_repeated, n_failed: case.n_failed, decided_at, case: case.clone() })
    }

    /// Records that the receiver has acknowledged the webhook.
    pub(crate) async fn deliver(&self, id: Identifier) -> anyhow::Result<()> {
        self.finish(Record::Delivered { id }).await
    }

    /// Records that the webhooks of an instruction are not delivered.
    pub(crate) async fn abandon(&self, id: Identifier) -> anyhow::Result<()> {
        self.finish(Record::Abandoned { id }).await
    }

    async fn finish(&self, record: Record) -> anyhow::Result<()> {
        self.record(&mut self.state.lock(), record)?;
        self.synced().await?;
        self.announced.notify_one();
        Ok(())
    }

    /// Plans another attempt after a failed one.
    pub(crate) fn retry(&self, id: &Identifier, at: DateTime<Utc>) -> anyhow::Result<()> {
        let mut state = self.state.lock();
        state.case(id)?.n_failed += 1;
        state.schedule(id, at)?;
        self.announced.notify_one();
        Ok(())
    }
}

/// The time of a record, in microseconds: as precise as clients see it.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Waits until the first time of a set has come; `changed` says that the set has another first time.
async fn is_due<C: Future<Output = ()>>(next: impl Fn() -> Option<DateTime<Utc>>, changed: impl Fn() -> C) {
    loop {
        let Some(at) = next() else {
            changed().await;
            continue;
        };
        // A time in the past has no duration.
        let Ok(pause) = (at - now()).to_std() else { return };
        if pause.is_zero() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = changed() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Identifier {
        text.parse().unwrap()
    }

    async fn put(book: &Book, name: &str, misbehaviour: &Misbehaviour) {
        let terms = Terms {
            amount_minor: 1,
            currency: "EUR".parse().unwrap(),
            source: id("a"),
            destination: id("b"),
            webhook_url: Some("http://127.0.0.1/".parse().unwrap()),
        };
        let put = book.put(id(name), terms, misbehaviour).await.unwrap();
        assert!(matches!(put, Put::Created(_)), "{put:?}");
    }

    /// Everything that the outside can see of a book, but for the time of the next attempt.
    async fn seen(book: &Book) -> String {
        let state = book.state.lock();
        let mut cases: Vec<_> = state.cases.values().collect();
        cases.sort_by_key(|case| &case.acceptance.id);
        let cases = cases.iter().map(|case| (&case.acceptance, case.decided_at, case.n_finished));
        let unsent: BTreeSet<_> = state.unsent.iter().map(|(_, id)| id).collect();
        format!("{:?} {:?} {:?} {unsent:?}", cases.collect::<Vec<_>>(), state.undecided, state.settled)
    }

    #[tokio::test]
    async fn a_book_that_is_read_again_at_any_moment_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let at_once = Misbehaviour { delay_min_ms: 0, delay_max_ms: 0, ..Misbehaviour::default() };
        let refused = Misbehaviour { refused_percent: 100, ..at_once.clone() };
        let twice = Misbehaviour { twice_percent: 100, ..at_once.clone() };
        let never = Misbehaviour { delay_min_ms: 3_600_000, delay_max_ms: 3_600_000, ..at_once.clone() };
        for step in 0..=8 {
            let book = Book::open(&path).unwrap();
            let before = seen(&book).await;
            match step {
                0 => put(&book, "settled", &at_once).await,
                1 => put(&book, "refused", &refused).await,
                2 => put(&book, "twice", &twice).await,
                3 => put(&book, "undecided", &never).await,
                4 => book.decide().await.unwrap(),
                5 => book.deliver(id("settled")).await.unwrap(),
                6 => book.abandon(id("refused")).await.unwrap(),
                _ => book.deliver(id("twice")).await.unwrap(),
            }
            let after = seen(&book).await;
            assert_ne!(before, after, "step {step}");
            drop(book);
            assert_eq!(seen(&Book::open(&path).unwrap()).await, after, "step {step}");
        }
        let book = Book::open(&path).unwrap();
        assert!(book.take_webhook().is_none(), "all are delivered or abandoned");
        assert_eq!(book.statement(0).await.unwrap().0.len(), 2, "of four, one is refused and one undecided");
    }

    #[tokio::test]
    async fn a_journal_that_contradicts_itself_is_refused_with_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let at_once = Misbehaviour { delay_min_ms: 0, delay_max_ms: 0, ..Misbehaviour::default() };
        let book = Book::open(&path).unwrap();
        put(&book, "t-1", &at_once).await;
        book.decide().await.unwrap();
        book.deliver(id("t-1")).await.unwrap();
        drop(book);

        let good = std::fs::read_to_string(&path).unwrap();
        let [accepted, decided, delivered] = good.lines().collect::<Vec<_>>()[..] else { panic!("{good}") };
        for (lines, wrong) in [
            (vec![decided], 1),
            (vec![delivered], 1),
            (vec![accepted, accepted], 2),
            (vec![accepted, delivered], 2),
            (vec![accepted, decided, decided], 3),
        ] {
            std::fs::write(&path, lines.join("\n") + "\n").unwrap();
            let refused = Book::open(&path).err().unwrap();
            assert!(refused.to_string().starts_with(&format!("line {wrong} of the journal")), "{refused:#}");
        }
    }
}
