-- Who changed what and when, written by triggers: the administrator can neither skip nor change it.

CREATE TABLE directory.audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor text NOT NULL,
  operation text NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE')),
  relation text NOT NULL,
  before jsonb,
  after jsonb,
  CHECK ((before IS NOT NULL) OR (after IS NOT NULL))
);
COMMENT ON COLUMN directory.audit.actor IS 'Database role, and the operator that the command line named.';

-- A changed hash is recorded as a changed fingerprint, so that the audit holds no hash.
CREATE FUNCTION directory.audit_row(r jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN r ? 'password_hash'
    THEN r - 'password_hash' || jsonb_build_object('password_sha256', encode(sha256(convert_to(r ->> 'password_hash', 'UTF8')), 'hex'))
    ELSE r END
$$;

CREATE FUNCTION directory.write_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = directory, pg_catalog AS $$
BEGIN
  INSERT INTO audit (actor, operation, relation, before, after) VALUES (
    concat_ws('/', session_user, nullif(left(current_setting('onedallmail.actor', true), 128), '')),
    TG_OP, TG_TABLE_NAME,
    CASE WHEN TG_OP <> 'INSERT' THEN audit_row(to_jsonb(OLD)) END,
    CASE WHEN TG_OP <> 'DELETE' THEN audit_row(to_jsonb(NEW)) END);
  RETURN NULL;
END
$$;

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON directory.domains
  FOR EACH ROW EXECUTE FUNCTION directory.write_audit();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON directory.mailboxes
  FOR EACH ROW EXECUTE FUNCTION directory.write_audit();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON directory.aliases
  FOR EACH ROW EXECUTE FUNCTION directory.write_audit();

GRANT SELECT ON directory.audit TO directory_admin;
