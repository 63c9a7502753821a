//! Maps transfers to the events of `payments.events`.

use events::{
    EncodeError, Encoder,
    payments::{TransferData, TransferFailed, TransferReversed, TransferSucceeded},
};
use outbox::Entry;

use crate::domain::{Details, Instruction, Outcome, Settled, Transfer};

/// Makes the outbox entries of the outcome of a transfer, each of another aggregate. They continue the trace of the current span.
pub(crate) fn settled(encoder: &Encoder, transfer: &Transfer<Settled>) -> Result<Vec<Entry>, EncodeError> {
    let Details { id, ref instruction, .. } = transfer.details;
    let Settled { at, outcome } = transfer.state;
    let data = data(&transfer.details);
    if let Outcome::Failed(reason) = outcome {
        let event = TransferFailed { transfer: data, reason: reason.as_str().to_owned(), failed_at: at };
        return Ok(vec![Entry::new(encoder, id, at, &event)?]);
    }
    let mut entries = Vec::new();
    if let Some(original) = instruction.reverses {
        let transfer = TransferData {
            transfer_id: original,
            source: instruction.destination,
            destination: instruction.source,
            ..data.clone()
        };
        let event = TransferReversed { transfer, reversal_id: id, reversed_at: at };
        entries.push(Entry::new(encoder, original, at, &event)?);
    }
    let event = TransferSucceeded { transfer: data, succeeded_at: at };
    entries.push(Entry::new(encoder, id, at, &event)?);
    Ok(entries)
}

fn data(transfer: &Details) -> TransferData {
    let Details { id, tenant, instruction, .. } = transfer;
    let Instruction { source, destination, amount, reference, .. } = instruction;
    TransferData {
        transfer_id: *id,
        tenant: tenant.clone(),
        source: *source,
        destination: *destination,
        amount_minor: amount.minor(),
        currency: amount.currency().code().to_owned(),
        reference: reference.as_str().to_owned(),
    }
}
