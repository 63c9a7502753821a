-- Only allows more, so that the release before this one can go on beside it. NOT VALID: the rows that exist satisfy the constraints that
-- this replaces, and a scan of the table would hold up its writers.
ALTER TABLE mails
    ALTER COLUMN order_id DROP NOT NULL,
    DROP CONSTRAINT mails_kind_check,
    ADD CONSTRAINT mails_kind_check CHECK (kind IN ('confirmed', 'rejected', 'win_back')) NOT VALID,
    ADD CONSTRAINT mails_order_unless_promotion CHECK ((order_id IS NULL) = (kind = 'win_back')) NOT VALID;

COMMENT ON COLUMN mails.order_id IS 'The order of that event. NULL: the mail is a promotion.';
COMMENT ON COLUMN mails.kind IS 'What the mail says about the order, or win_back for a promotion.';
