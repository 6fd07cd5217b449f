-- Domains, mailboxes and aliases of the platform.
-- Addresses are lower-case and NFC; domains are lower-case A-labels, so that one address has one spelling.

CREATE SCHEMA directory;
SET LOCAL search_path = directory;

CREATE DOMAIN domain_name AS text CHECK (
  length(VALUE) BETWEEN 4 AND 253
  AND VALUE ~ '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$'
);
CREATE DOMAIN local_part AS text CHECK (
  octet_length(VALUE) BETWEEN 1 AND 64
  AND VALUE = lower(VALUE) AND VALUE IS NFC NORMALIZED
  AND VALUE !~ '[[:cntrl:][:space:]@"(),:;<>\[\]\\]' AND VALUE !~ '(^\.|\.\.|\.$)'
);
CREATE DOMAIN mail_address AS text CHECK (
  octet_length(VALUE) BETWEEN 6 AND 254 AND VALUE ~ '^[^@[:space:]]+@[^@[:space:]]+$'
  AND VALUE = lower(VALUE) AND VALUE IS NFC NORMALIZED
);

CREATE TABLE placement_groups (
  number integer PRIMARY KEY CHECK (number BETWEEN 0 AND 65535)
);
COMMENT ON TABLE placement_groups IS 'Numbers that exist; where a group lives is in etcd.';

CREATE TABLE domains (
  name domain_name PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE mailboxes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  local_part local_part NOT NULL,
  domain domain_name NOT NULL REFERENCES domains (name),
  address mail_address NOT NULL UNIQUE GENERATED ALWAYS AS (local_part || '@' || domain) STORED,
  display_name text NOT NULL DEFAULT '' CHECK (length(display_name) <= 128 AND display_name !~ '[[:cntrl:]]'),
  placement_group integer NOT NULL REFERENCES placement_groups (number),
  quota_bytes bigint NOT NULL CHECK (quota_bytes BETWEEN 1048576 AND 1125899906842624),
  password_hash text NOT NULL CHECK (
    password_hash ~ '^\{ARGON2ID\}\$argon2id\$v=19\$m=[0-9]+,t=[0-9]+,p=1\$[A-Za-z0-9+/]{22,}\$[A-Za-z0-9+/]{43,}$'
  ),
  password_changed_at timestamptz NOT NULL DEFAULT now(),
  enabled boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX mailboxes_by_group ON mailboxes (placement_group);

CREATE TABLE aliases (
  local_part local_part NOT NULL,
  domain domain_name NOT NULL REFERENCES domains (name),
  destination mail_address NOT NULL,
  address mail_address NOT NULL GENERATED ALWAYS AS (local_part || '@' || domain) STORED,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (domain, local_part, destination),
  CHECK (destination <> local_part || '@' || domain)
);
CREATE INDEX aliases_by_address ON aliases (address);
CREATE INDEX aliases_by_destination ON aliases (destination);

-- An address is a mailbox or an alias, never both.
CREATE FUNCTION refuse_second_meaning() RETURNS trigger LANGUAGE plpgsql SET search_path = directory, pg_catalog AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(NEW.local_part || '@' || NEW.domain, 0));
  IF TG_TABLE_NAME = 'mailboxes' AND EXISTS (
    SELECT FROM aliases a WHERE a.local_part = NEW.local_part AND a.domain = NEW.domain) THEN
    RAISE unique_violation USING MESSAGE = format('%s@%s is an alias', NEW.local_part, NEW.domain), CONSTRAINT = 'address_is_alias';
  ELSIF TG_TABLE_NAME = 'aliases' AND EXISTS (
    SELECT FROM mailboxes m WHERE m.local_part = NEW.local_part AND m.domain = NEW.domain) THEN
    RAISE unique_violation USING MESSAGE = format('%s@%s is a mailbox', NEW.local_part, NEW.domain), CONSTRAINT = 'address_is_mailbox';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER one_meaning BEFORE INSERT OR UPDATE OF local_part, domain ON mailboxes
  FOR EACH ROW EXECUTE FUNCTION refuse_second_meaning();
CREATE TRIGGER one_meaning BEFORE INSERT OR UPDATE OF local_part, domain ON aliases
  FOR EACH ROW EXECUTE FUNCTION refuse_second_meaning();

CREATE FUNCTION note_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := now();
  IF NEW.password_hash <> OLD.password_hash THEN
    NEW.password_changed_at := now();
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER note_update BEFORE UPDATE ON mailboxes FOR EACH ROW EXECUTE FUNCTION note_update();

GRANT USAGE ON SCHEMA directory TO directory_admin;
GRANT SELECT ON placement_groups TO directory_admin;
GRANT SELECT, INSERT, DELETE ON domains, aliases TO directory_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON mailboxes TO directory_admin;
