CREATE TABLE mails (
    event_id         uuid        PRIMARY KEY,
    order_id         uuid        NOT NULL,
    tenant           text        NOT NULL,
    kind             text        NOT NULL CHECK (kind IN ('confirmed', 'rejected')),
    message_id       text        NOT NULL,
    state            text        NOT NULL CHECK (state IN ('sending', 'handing_over', 'sent')),
    attempts         integer     NOT NULL DEFAULT 1 CHECK (attempts >= 1),
    handovers        integer     NOT NULL DEFAULT 0 CHECK (handovers >= 0),
    first_attempt_at timestamptz NOT NULL DEFAULT now(),
    sent_at          timestamptz,
    CONSTRAINT mails_sent_at_when_sent CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT mails_handed_over_before_sent CHECK (state = 'sending' OR handovers >= 1)
);
CREATE INDEX mails_first_attempt_at ON mails (first_attempt_at);

COMMENT ON TABLE mails IS 'Mails that this service has sent or is about to send, one per event. Holds no address.';
COMMENT ON COLUMN mails.event_id IS 'The event that the mail tells about.';
COMMENT ON COLUMN mails.order_id IS 'The order of that event.';
COMMENT ON COLUMN mails.tenant IS 'Whose order it is.';
COMMENT ON COLUMN mails.kind IS 'What the mail says about the order.';
COMMENT ON COLUMN mails.message_id IS 'Message-ID header, the same for every attempt.';
COMMENT ON COLUMN mails.state IS 'sending: nothing has reached the SMTP server. handing_over: it may have. sent: the server has accepted it.';
COMMENT ON COLUMN mails.attempts IS 'How often the event was taken up.';
COMMENT ON COLUMN mails.handovers IS 'How often the mail was handed over without being refused. More than one: the customer may have it more than once.';
COMMENT ON COLUMN mails.first_attempt_at IS 'When the event was first taken up. Rows are purged by it.';
COMMENT ON COLUMN mails.sent_at IS 'When the acceptance was recorded.';
