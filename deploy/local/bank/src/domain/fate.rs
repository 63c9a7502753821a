//! What becomes of an instruction: drawn once, when it is accepted, and stored with it.

use derive_more::Display;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::{Identifier, Misbehaviour};

/// What becomes of an instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fate {
    /// Time from the acceptance to the decision.
    pub(crate) delay_ms: u32,
    pub(crate) decision: Decision,
    /// The webhooks, in the order in which they are delivered.
    pub(crate) notices: Vec<Notice>,
}

/// How the bank decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decision {
    Settled,
    Refused(Reason),
}

/// Why an instruction is refused.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    AccountClosed,
    LimitExceeded,
    SuspectedFraud,
}

/// What a webhook says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notice {
    /// The decision.
    Decision,
    /// That the instruction is refused, which is wrong.
    Contradiction,
    /// That the instruction is accepted, which is late.
    Acceptance,
}

impl Fate {
    /// Draws the fate of an instruction.
    pub(crate) fn draw(id: &Identifier, misbehaviour: &Misbehaviour) -> Self {
        let Misbehaviour { seed, delay_min_ms, delay_max_ms, .. } = *misbehaviour;
        let is_drawn = |what, percent| is_drawn(seed, id, what, percent);
        let spread = u64::from(delay_max_ms.saturating_sub(delay_min_ms)) + 1;
        let delay_ms = delay_max_ms - u32::try_from(draw(seed, id, "delay") % spread).unwrap_or(0);
        let decision = if is_drawn("refused", misbehaviour.refused_percent) {
            Decision::Refused(reason(draw(seed, id, "reason")))
        } else {
            Decision::Settled
        };
        let is_contradicted =
            decision == Decision::Settled && is_drawn("contradictory", misbehaviour.contradictory_percent);
        let first = if is_contradicted { Notice::Contradiction } else { Notice::Decision };
        let mut notices = vec![first];
        if is_drawn("twice", misbehaviour.twice_percent) {
            notices.push(first);
        }
        if is_drawn("out_of_order", misbehaviour.out_of_order_percent) {
            notices.push(Notice::Acceptance);
        }
        Self { delay_ms, decision, notices }
    }
}

impl Misbehaviour {
    /// Returns whether the PUT that creates this instruction gets no answer in time.
    pub(crate) fn withholds_answer(&self, id: &Identifier) -> bool {
        is_drawn(self.seed, id, "timeout", self.timeout_percent)
    }
}

fn reason(number: u64) -> Reason {
    match number % 3 {
        0 => Reason::AccountClosed,
        1 => Reason::LimitExceeded,
        _ => Reason::SuspectedFraud,
    }
}

fn is_drawn(seed: u32, id: &Identifier, what: &str, percent: u8) -> bool {
    draw(seed, id, what) % 100 < u64::from(percent)
}

/// Draws a number that depends on nothing else: neither on the order and the times of the requests, nor on the other shares.
pub(crate) fn draw(seed: u32, id: &Identifier, what: &str) -> u64 {
    let mut hash = Sha256::new();
    for part in [what, "/", id.as_str()] {
        hash.update(part);
    }
    hash.update(seed.to_be_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    u64::from_be_bytes(*hash.first_chunk().expect("SHA-256 is longer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(misbehaviour: &Misbehaviour) -> Vec<Fate> {
        let ids = (0..1_000).map(|n| format!("t-{n}").parse().unwrap());
        ids.map(|id| Fate::draw(&id, misbehaviour)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_fates_and_another_one_others() {
        let half = Misbehaviour { refused_percent: 50, ..Misbehaviour::default() };
        assert_eq!(fates(&half), fates(&half));
        assert_ne!(fates(&half), fates(&Misbehaviour { seed: 1, ..half.clone() }));
    }

    #[test]
    fn shares_are_kept() {
        let fates = fates(&Misbehaviour {
            refused_percent: 20,
            twice_percent: 10,
            out_of_order_percent: 100,
            contradictory_percent: 50,
            ..Misbehaviour::default()
        });
        let count = |is: &dyn Fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count();
        let refused = count(&|fate| matches!(fate.decision, Decision::Refused(_)));
        assert!((160..=240).contains(&refused), "{refused}");
        let twice = count(&|fate| fate.notices[0] == fate.notices[1]);
        assert!((70..=130).contains(&twice), "{twice}");
        let contradictory = count(&|fate| fate.notices[0] == Notice::Contradiction);
        assert!((340..=460).contains(&contradictory), "half of the settled ones: {contradictory}");
        assert_eq!(count(&|fate| fate.notices.last() == Some(&Notice::Acceptance)), 1_000);
    }

    #[test]
    fn a_share_changes_no_other_draw() {
        let some = Misbehaviour { refused_percent: 20, ..Misbehaviour::default() };
        let more = Misbehaviour { twice_percent: 50, ..some.clone() };
        let decisions = |misbehaviour| -> Vec<_> {
            fates(misbehaviour).into_iter().map(|fate| (fate.decision, fate.delay_ms)).collect()
        };
        assert_eq!(decisions(&some), decisions(&more));
    }

    #[test]
    fn delays_fill_their_range() {
        let range = Misbehaviour { delay_min_ms: 5, delay_max_ms: 9, ..Misbehaviour::default() };
        let delays: std::collections::BTreeSet<_> =
            fates(&range).into_iter().map(|fate| fate.delay_ms).collect();
        assert!(delays.into_iter().eq(5..=9));
        let fixed = Misbehaviour { delay_min_ms: 0, delay_max_ms: 0, ..Misbehaviour::default() };
        assert!(fates(&fixed).iter().all(|fate| fate.delay_ms == 0));
    }
}
