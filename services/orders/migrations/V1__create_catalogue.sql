CREATE TABLE products (
    tenant           text   NOT NULL,
    sku              text   NOT NULL CHECK (sku ~ '^[A-Z0-9][A-Z0-9-]{0,39}$'),
    name             text   NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    unit_price_minor bigint NOT NULL CHECK (unit_price_minor BETWEEN 1 AND 1000000000),
    currency         text   NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    PRIMARY KEY (tenant, sku)
);

CREATE TABLE stock (
    tenant    text   NOT NULL,
    sku       text   NOT NULL,
    available bigint NOT NULL CONSTRAINT stock_is_never_negative CHECK (available >= 0),
    PRIMARY KEY (tenant, sku),
    FOREIGN KEY (tenant, sku) REFERENCES products (tenant, sku)
);

COMMENT ON TABLE products IS 'What a tenant sells, at which price.';
COMMENT ON COLUMN products.unit_price_minor IS 'Price of one piece in the currency''s minor unit.';
COMMENT ON TABLE stock IS 'Pieces that can still be promised. Its rows are locked in order of sku.';
