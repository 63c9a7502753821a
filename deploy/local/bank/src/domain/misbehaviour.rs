//! How the bank misbehaves: flags at the start, and a document on the admin port.

use clap::{Args, value_parser};
use serde::Serialize;
use utoipa::ToSchema;

/// The longest delay, in milliseconds.
pub(crate) const MAX_DELAY_MS: u32 = 3_600_000;

/// How the bank misbehaves. Shares are per cent of the instructions.
#[derive(Clone, Debug, PartialEq, Eq, Args, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
// clap would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub(crate) struct Misbehaviour {
    /// Decides what happens to which instruction: the same seed and id give the same.
    #[arg(long, env = "BANK_SEED", value_name = "N", default_value_t = 0)]
    pub(crate) seed: u32,

    /// Shortest time from the acceptance of an instruction to its decision, in milliseconds.
    #[arg(long, env = "BANK_DELAY_MIN_MS", value_name = "MS", default_value_t = 100, value_parser = value_parser!(u32).range(..=3_600_000))]
    #[schema(maximum = 3_600_000)]
    pub(crate) delay_min_ms: u32,

    /// Longest time from the acceptance of an instruction to its decision, in milliseconds.
    #[arg(long, env = "BANK_DELAY_MAX_MS", value_name = "MS", default_value_t = 1_000, value_parser = value_parser!(u32).range(..=3_600_000))]
    #[schema(maximum = 3_600_000)]
    pub(crate) delay_max_ms: u32,

    /// Share that is refused.
    #[arg(long, env = "BANK_REFUSED_PERCENT", value_name = "PERCENT", default_value_t = 0, value_parser = value_parser!(u8).range(..=100))]
    #[schema(maximum = 100)]
    pub(crate) refused_percent: u8,

    /// Share whose first PUT is not answered in time. The instruction is accepted and decided.
    #[arg(long, env = "BANK_TIMEOUT_PERCENT", value_name = "PERCENT", default_value_t = 0, value_parser = value_parser!(u8).range(..=100))]
    #[schema(maximum = 100)]
    pub(crate) timeout_percent: u8,

    /// Share whose webhook is delivered twice, with the same id.
    #[arg(long, env = "BANK_TWICE_PERCENT", value_name = "PERCENT", default_value_t = 0, value_parser = value_parser!(u8).range(..=100))]
    #[schema(maximum = 100)]
    pub(crate) twice_percent: u8,

    /// Share with a webhook about the acceptance after that about the decision.
    #[arg(long, env = "BANK_OUT_OF_ORDER_PERCENT", value_name = "PERCENT", default_value_t = 0, value_parser = value_parser!(u8).range(..=100))]
    #[schema(maximum = 100)]
    pub(crate) out_of_order_percent: u8,

    /// Share of settled instructions whose webhook says `refused`. A poll says `settled`, which is true.
    #[arg(long, env = "BANK_CONTRADICTORY_PERCENT", value_name = "PERCENT", default_value_t = 0, value_parser = value_parser!(u8).range(..=100))]
    #[schema(maximum = 100)]
    pub(crate) contradictory_percent: u8,

    /// Answer every request of the API with 503.
    #[arg(long, env = "BANK_DOWN")]
    pub(crate) down: bool,
}

/// The shortest delay is longer than the longest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be at most delay_max_ms ({0})")]
pub(crate) struct InvalidDelays(u32);

impl Default for Misbehaviour {
    /// The defaults of the flags.
    fn default() -> Self {
        Self {
            seed: 0,
            delay_min_ms: 100,
            delay_max_ms: 1_000,
            refused_percent: 0,
            timeout_percent: 0,
            twice_percent: 0,
            out_of_order_percent: 0,
            contradictory_percent: 0,
            down: false,
        }
    }
}

impl Misbehaviour {
    /// Checks the rule about several members. The range of each is checked where it is read.
    pub(crate) fn check(&self) -> Result<(), InvalidDelays> {
        if self.delay_min_ms > self.delay_max_ms { Err(InvalidDelays(self.delay_max_ms)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        misbehaviour: Misbehaviour,
    }

    #[test]
    fn the_defaults_are_those_of_the_flags() {
        let flags = Flags::parse_from(["bank"]).misbehaviour;
        assert_eq!(flags, Misbehaviour::default());
        assert_eq!(flags.check(), Ok(()));
    }
}
