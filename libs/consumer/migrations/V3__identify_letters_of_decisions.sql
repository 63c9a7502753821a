-- Only adds, so that the release before this one can go on beside it: its decisions have no timestamp.
ALTER TABLE dead_letter_decisions ADD COLUMN written_at timestamptz;

COMMENT ON COLUMN dead_letter_decisions.written_at IS 'Timestamp of the letter in its topic. A topic that is created again has other letters at the same offsets. NULL: a decision of an earlier release, about any letter at its offset.';
