//! An instruction as JSON, in responses and in webhooks.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    book::Case,
    domain::{Decision, Identifier, Reason, Terms},
};

/// An instruction.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Instruction)]
pub(crate) struct InstructionBody {
    #[schema(value_type = String)]
    id: Identifier,
    pub(crate) status: Status,
    /// Why it is refused.
    #[schema(required = true)]
    reason: Option<Reason>,
    amount_minor: i64,
    currency: &'static str,
    #[schema(value_type = String)]
    source: Identifier,
    #[schema(value_type = String)]
    destination: Identifier,
    accepted_at: DateTime<Utc>,
    #[schema(required = true)]
    decided_at: Option<DateTime<Utc>>,
}

/// The state of an instruction. `settled` and `refused` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = InstructionStatus)]
pub(crate) enum Status {
    Accepted,
    Settled,
    Refused,
}

impl Status {
    /// Returns the type of the webhook with this status.
    pub(crate) fn event(self) -> &'static str {
        match self {
            Self::Accepted => "instruction.accepted",
            Self::Settled => "instruction.settled",
            Self::Refused => "instruction.refused",
        }
    }
}

impl InstructionBody {
    /// Shows an instruction as it is.
    pub(crate) fn new(case: Case) -> Self {
        let decision = case.decision();
        let decided_at = case.decided_at;
        Self::with(case, decision, decided_at)
    }

    /// Shows an instruction with this decision, which may be a lie or out of date.
    pub(crate) fn with(case: Case, decision: Option<Decision>, decided_at: Option<DateTime<Utc>>) -> Self {
        let (status, reason) = match decision {
            None => (Status::Accepted, None),
            Some(Decision::Settled) => (Status::Settled, None),
            Some(Decision::Refused(reason)) => (Status::Refused, Some(reason)),
        };
        let Terms { amount_minor, currency, source, destination, .. } = case.acceptance.terms;
        Self {
            id: case.acceptance.id,
            status,
            reason,
            amount_minor,
            currency: currency.code(),
            source,
            destination,
            accepted_at: case.acceptance.at,
            decided_at,
        }
    }
}
