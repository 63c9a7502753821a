CREATE TABLE links (
    code       text        PRIMARY KEY CONSTRAINT links_code_is_well_formed CHECK (code ~ '^[A-Za-z0-9_-]{6,32}$'),
    tenant     text        NOT NULL CONSTRAINT links_tenant_is_well_formed CHECK (tenant ~ '^[a-z0-9-]{1,63}$'),
    target     text        NOT NULL CONSTRAINT links_target_is_http CHECK (target ~ '^https?://[^/?#@]+/' AND length(target) <= 2048),
    version    bigint      NOT NULL DEFAULT 1 CONSTRAINT links_version_is_positive CHECK (version >= 1),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT links_updated_after_creation CHECK (updated_at >= created_at)
);

COMMENT ON TABLE links IS 'Short names of URLs. One namespace for all tenants, because a redirect has none.';
COMMENT ON COLUMN links.code IS 'The short name, as it stands in the short URL.';
COMMENT ON COLUMN links.tenant IS 'Who made the link: nobody else may see or change it, everybody may follow it.';
COMMENT ON COLUMN links.target IS 'Where the link leads: an absolute URL in its normal form. May be a capability.';
COMMENT ON COLUMN links.version IS 'Starts at 1, grows by 1 with every change of the target.';
COMMENT ON COLUMN links.created_at IS 'When the link was first put.';
COMMENT ON COLUMN links.updated_at IS 'When the target last changed.';
